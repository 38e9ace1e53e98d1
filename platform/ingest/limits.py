"""How much one file or archive may unpack to."""

from dataclasses import dataclass

from rostra.core import Settings

# Leaves time for the rest, and for the page at hand when it is over.
_OCR_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """Limits that a parser keeps, sent to the parser process with every file.

    Attributes:
        max_text_chars: most code points of text.
        max_unpacked_bytes: most bytes that a zip container such as DOCX may unpack to.
        max_members: most files in such a container.
        max_ratio: largest unpacked-to-packed ratio of a member over 1 MiB.
        max_pages: most pages of a PDF or an image.
        max_columns: most columns of a table.
        max_pixels: most pixels of an image.
        ocr_seconds: time for recognising the text of one file's images and scanned pages; those
            that are left over are said not to have been read.
    """

    max_text_chars: int
    max_unpacked_bytes: int
    max_members: int
    max_ratio: int
    max_pages: int = 10_000
    max_columns: int = 16_384
    max_pixels: int = 100_000_000
    ocr_seconds: float = 36.0

    @classmethod
    def of(cls, settings: Settings) -> "ParseLimits":
        """The limits that the settings ask for."""
        return cls(
            max_text_chars=settings.max_text_chars,
            # A container's parts are in memory together, beside the trees made from them.
            max_unpacked_bytes=min(settings.max_archive_bytes, settings.parse_memory_bytes // 4),
            max_members=settings.max_archive_members,
            max_ratio=settings.max_archive_ratio,
            # An image is in memory several times while it is scaled down.
            max_pixels=settings.parse_memory_bytes // 20,
            ocr_seconds=_OCR_SHARE * settings.parse_timeout,
        )

    @classmethod
    def for_archives(cls, settings: Settings) -> "ParseLimits":
        """The limits of an archive whose members are read one by one."""
        return cls(
            max_text_chars=settings.max_text_chars,
            max_unpacked_bytes=settings.max_archive_bytes,
            max_members=settings.max_archive_members,
            max_ratio=settings.max_archive_ratio,
        )
