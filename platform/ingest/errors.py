"""Why a file could not be read: one class and one stable code for each reason.

Every reason is an `UnreadableFile`, so that a caller can report it for that file and go on.
"""

import errno
from collections.abc import Mapping
from types import MappingProxyType

from rostra.core import UnreadableFile


class EncryptedFile(UnreadableFile):
    """The file needs a password."""

    code = "encrypted_file"


class EmptyFile(UnreadableFile):
    """The file has no bytes, or nothing but whitespace."""

    code = "empty_file"


class CorruptFile(UnreadableFile):
    """The file is not what its type says, is cut off or is damaged."""

    code = "corrupt_file"


class NoText(UnreadableFile):
    """The file is sound but holds no text, as a scanned PDF or one without pages."""

    code = "no_text"


class TooLarge(UnreadableFile):
    """The file or its text is over a limit of the settings."""

    code = "too_large"


class TooDeep(UnreadableFile):
    """The file's structure is nested deeper than any reader would follow."""

    code = "too_deep"


class UnsupportedType(UnreadableFile):
    """No parser reads this type of file."""

    code = "unsupported_type"


class ArchiveBomb(UnreadableFile):
    """An archive that would unpack to far more than it is."""

    code = "archive_bomb"


class NestedArchive(UnreadableFile):
    """An archive inside an archive; these are not opened."""

    code = "nested_archive"


class UnsafeName(UnreadableFile):
    """An archive member whose name points outside of the archive."""

    code = "unsafe_name"


class DuplicateName(UnreadableFile):
    """A second thing of the same name or id, so that no address would be its own."""

    code = "duplicate_name"


class Vanished(UnreadableFile):
    """The file was listed but is no longer there, or no longer the same."""

    code = "vanished"


class NotRegular(UnreadableFile):
    """A pipe, socket, device or link: nothing with an end to read to."""

    code = "not_a_regular_file"


class DirectoryLoop(UnreadableFile):
    """A link that leads back to a folder above it."""

    code = "directory_loop"


class PermissionDenied(UnreadableFile):
    """The operating system does not let us read this."""

    code = "permission_denied"


class ReadFailed(UnreadableFile):
    """The operating system failed to read this."""

    code = "read_failed"


class BadRecord(UnreadableFile):
    """A line of a JSON lines corpus that is not a record."""

    code = "bad_record"


class ParseTimeout(UnreadableFile):
    """Parsing took longer than `parse_timeout`."""

    code = "parse_timeout"


class ParseMemory(UnreadableFile):
    """Parsing needed more than `parse_memory_bytes`."""

    code = "parse_memory"


_REASONS: Mapping[str, type[UnreadableFile]] = MappingProxyType(
    {reason.code: reason for reason in UnreadableFile.__subclasses__()}
)


def unreadable(code: str, message: str, hint: str | None = None) -> UnreadableFile:
    """Makes the error of a code again, as it came over a pipe."""
    return _REASONS.get(code, UnreadableFile)(message, hint=hint)


def os_reason(error: OSError, name: str) -> UnreadableFile:
    """The typed reason behind a failed system call on a file."""
    reasons: dict[int | None, tuple[type[UnreadableFile], str]] = {
        errno.ENOENT: (Vanished, "is no longer there"),
        errno.ENOTDIR: (Vanished, "is no longer there"),
        errno.ESTALE: (Vanished, "is no longer there"),
        errno.EACCES: (PermissionDenied, "may not be read by this user"),
        errno.EPERM: (PermissionDenied, "may not be read by this user"),
        errno.ELOOP: (DirectoryLoop, "is a link that leads back to itself"),
        errno.ENXIO: (NotRegular, "is not a regular file"),
    }
    reason, text = reasons.get(error.errno, (ReadFailed, f"cannot be read: {error.strerror}"))
    return reason(f"{name} {text}")
