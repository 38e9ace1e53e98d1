"""What a zip container may be before anything in it is unpacked.

What always holds after `check_members`: reading every member yields at most `max_unpacked_bytes`,
because zipfile never reads a member beyond the size that its directory entry declares.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence

from rostra.core import UnreadableFile
from rostra.ingest.errors import ArchiveBomb, CorruptFile, EncryptedFile, UnsupportedType
from rostra.ingest.limits import ParseLimits
from rostra.ingest.reasons import words_of

_RATIO_FROM_BYTES = 1024 * 1024
_ENCRYPTED = 0x1
_LOCAL_HEADER_BYTES = 30
# Both unpack in bounded steps and memory; others may ask for gigabytes before the first byte.
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


# What zipfile raises for containers and members that are cut off, damaged or of unknown versions.
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,
)


def open_container(data: bytes, limits: ParseLimits) -> zipfile.ZipFile:
    """Opens a document that is a zip container, after a look at what it would unpack to.

    Raises:
        CorruptFile: if it is no zip container or damaged.
        UnreadableFile: as `check_members` says.
    """
    try:
        container = zipfile.ZipFile(io.BytesIO(data))
    except ZIP_ERRORS as error:
        raise CorruptFile(f"the file is damaged: {words_of(error)}") from None
    check_members(container.infolist(), limits)
    return container


def check_members(members: Sequence[zipfile.ZipInfo], limits: ParseLimits) -> None:
    """Refuses a container as a whole.

    Raises:
        ArchiveBomb: for too many members or bytes, a high ratio, or entries that overlap.
        EncryptedFile: if a member is encrypted.
        UnsupportedType: if a member is packed by a method that is not read.
    """
    check_extent(members, limits)
    for member in members:
        reason = member_reason(member, limits)
        if reason is not None:
            raise reason


def check_extent(members: Sequence[zipfile.ZipInfo], limits: ParseLimits) -> None:
    """Refuses what no single member is to blame for.

    Raises:
        ArchiveBomb: for too many members, too many bytes together, or entries that overlap.
    """
    if len(members) > limits.max_members:
        raise ArchiveBomb(f"the archive has more than {limits.max_members:,} members")
    total = sum(member.file_size for member in members)
    if total > limits.max_unpacked_bytes:
        raise ArchiveBomb(
            f"the archive would unpack to {total:,} bytes, more than the "
            f"{limits.max_unpacked_bytes:,} allowed"
        )
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset < end:
            raise ArchiveBomb("the archive's entries overlap")
        end = member.header_offset + _LOCAL_HEADER_BYTES + member.compress_size


def member_reason(member: zipfile.ZipInfo, limits: ParseLimits) -> UnreadableFile | None:
    """Why this member is not unpacked; None if it may be."""
    if member.flag_bits & _ENCRYPTED:
        return EncryptedFile(f"{member.filename} is encrypted")
    if member.compress_type not in _METHODS:
        return UnsupportedType(f"{member.filename} is packed by a method that is not read")
    if member.file_size > _RATIO_FROM_BYTES and (
        member.file_size > limits.max_ratio * member.compress_size
    ):
        return ArchiveBomb(
            f"{member.filename} would unpack to more than {limits.max_ratio} times its size"
        )
    return None
