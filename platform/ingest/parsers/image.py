"""Images: the text that recognition finds in them, one page for each of their frames.

An image is refused by the size in its header before its pixels are unpacked. Without the extra for
text recognition it is refused with the command that installs it.
"""

import io
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps, UnidentifiedImageError

from rostra.ingest.builder import DocumentBuilder
from rostra.ingest.document import JsonScalar, ParsedDocument
from rostra.ingest.errors import CorruptFile, NoText, TooLarge
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers.ocr import MAX_SIDE, TextBox, recogniser
from rostra.ingest.parsers.page_text import PageLine, add_page
from rostra.ingest.reasons import words_of

if TYPE_CHECKING:
    import numpy as np

_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP")
# Icons and rules: nothing that a person could read.
_LEAST_SIDE = 16


def parse(data: bytes, name: str, media_type: str, limits: ParseLimits) -> ParsedDocument:
    """Reads an image.

    Raises:
        UnsupportedType: if text recognition is not installed.
        CorruptFile: if it is damaged or cut off.
        TooLarge: if it has too many pixels or frames.
        NoText: if no text is found in it.
    """
    reader = recogniser(limits, "images are read")
    builder = DocumentBuilder(limits.max_text_chars)
    frames = 0
    left_over: list[int] = []
    try:
        for number, picture in enumerate(_pictures(data, limits), start=1):
            frames = number
            if picture is None or (reader.is_over and number > 1):
                left_over.append(number)
                continue
            lines = page_lines(reader.lines(picture))
            if lines:
                add_page(builder, lines, number, [], set())
    except Image.DecompressionBombError as error:
        raise TooLarge(f"the image is too large: {error}") from None
    except (OSError, ValueError, SyntaxError, EOFError, UnidentifiedImageError) as error:
        # What Pillow raises for images that are cut off or damaged.
        raise CorruptFile(f"the image is damaged: {words_of(error)}") from None
    if not builder.length:
        raise NoText("no text was found in the image")
    facts: dict[str, JsonScalar] = {"pages": frames, "ocr": True}
    if left_over:
        facts["pages_not_read"] = page_ranges(left_over)
    return builder.build(name, media_type, facts)


def page_lines(boxes: list[TextBox], scale: float = 1.0) -> list[PageLine]:
    """Recognised lines in the coordinates of a page, whose y grows upwards.

    Args:
        boxes: in pixels.
        scale: points in a pixel.
    """
    heights = sorted(box.bottom - box.top for box in boxes)
    usual = heights[len(heights) // 2] if heights else 0.0
    lines = []
    for box in boxes:
        height = box.bottom - box.top
        # A line without long letters is no smaller type.
        height = usual if 0.6 * usual < height < 1.5 * usual else height
        bottom = -(box.top + box.bottom + height) / 2 * scale
        top, size = bottom + height * scale, height * scale
        lines.append(
            PageLine(box.text, box.left * scale, box.right * scale, top, bottom, (size, size))
        )
    return lines


def page_ranges(numbers: list[int]) -> str:
    """Page numbers as a person writes them: `2, 5-9`."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    written = [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
    return ", ".join(written[:100])


def _pictures(data: bytes, limits: ParseLimits) -> Iterator["np.ndarray[Any, Any] | None"]:
    """The frames as arrays; None for one that is too small to hold text.

    Raises:
        TooLarge: before anything of an image with too many pixels or frames is unpacked.
    """
    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            # Frames of other formats are an animation.
            frames = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
            if frames > limits.max_pages:
                raise TooLarge(f"the image has more than {limits.max_pages:,} pages")
            for number in range(frames):
                image.seek(number)
                width, height = image.size
                if width * height > limits.max_pixels:
                    raise TooLarge(
                        f"the image has {width:,} x {height:,} pixels, more than the "
                        f"{limits.max_pixels:,} that are read",
                        hint="Scale it down, or raise parse_memory_bytes.",
                    )
                if min(width, height) < _LEAST_SIDE:
                    yield None
                    continue
                image.draft("RGB", (MAX_SIDE, MAX_SIDE))
                picture: Any = image.convert("RGBA" if _is_clear(image) else "RGB")
                picture.thumbnail((MAX_SIDE, MAX_SIDE))
                if picture.mode == "RGBA":
                    paper = Image.new("RGBA", picture.size, "white")
                    paper.alpha_composite(picture)
                    picture = paper.convert("RGB")
                picture = ImageOps.exif_transpose(picture)
                yield np.asarray(picture)[:, :, ::-1].copy()


def _is_clear(image: Image.Image) -> bool:
    """Whether parts of it are transparent: on white paper then, as a page shows them."""
    return image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info
