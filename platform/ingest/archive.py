"""Zip archives and e-mails as sources: each member has its own address, and is read when asked for.

What always holds: nothing is written to disk, no member is read beyond its declared size, and what
would unpack to more than the limits is refused before it is unpacked. One bad member is a reason
for that member only. A message's attachments are unpacked in the parser process alone, like the
message: here they are names.
"""

import os
import re
import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from rostra.core import UnreadableFile, normalize_text
from rostra.ingest import media
from rostra.ingest.container import check_extent, member_reason
from rostra.ingest.document import ParsedDocument
from rostra.ingest.errors import (
    ArchiveBomb,
    CorruptFile,
    DuplicateName,
    NestedArchive,
    NotRegular,
    TooDeep,
    TooLarge,
    UnsafeName,
    Vanished,
    os_reason,
)
from rostra.ingest.files import display_name, file_too_large, open_regular
from rostra.ingest.items import FailedSource, Source
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers import attachment_name
from rostra.ingest.parsers.letter import NAMES, STEP
from rostra.ingest.reasons import words_of

_END_RECORD = b"PK\x05\x06"
_END_RECORD_BYTES = 22
_ZIP64_LOCATOR = b"PK\x06\x07"
_MAX_COMMENT_BYTES = 65_535
# A directory entry has 46 bytes and its names; more than this per member is no archive of files.
_ENTRY_BYTES = 1024
# Messages in messages: deeper ones are named and not read.
_MAX_MESSAGES = 5
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class MemberSource:
    """A file in an archive.

    Attributes:
        uri: the archive's address, `!/` and the member's name, percent-encoded.
        name: the member's name with its folders.
        size: bytes when unpacked.
    """

    uri: str
    name: str
    size: int
    archive: "Archive"
    member: zipfile.ZipInfo

    def read(self) -> bytes:
        """Unpacks the member.

        Raises:
            UnreadableFile: of the class that says why it cannot be read.
        """
        return self.archive.unpack(self.member)


@dataclass(frozen=True, slots=True)
class AttachmentSource:
    """Something attached to an e-mail.

    Attributes:
        uri: the message's address, `!/`, its number, and its name, percent-encoded.
        name: says to the parser which message it is in, and where; see `attachment_name`.
        size: bytes of the message.
        mail: the message.
    """

    uri: str
    name: str
    size: int
    mail: Source

    def read(self) -> bytes:
        """The bytes of the message: the parser takes what is attached out of them.

        Raises:
            UnreadableFile: of the class that says why it cannot be read.
        """
        return self.mail.read()


def attachments_of(mail: Source, document: ParsedDocument) -> list[AttachmentSource | FailedSource]:
    """What is attached to a message and of a type that is read; nothing for other documents.

    Args:
        mail: the message, or a message attached to one.
        document: as it was parsed.

    Returns:
        Their sources in order. Those beyond the most that are read are one that failed.
    """
    listed = document.metadata.get("attachments")
    if document.media_type not in media.MAILS or not isinstance(listed, str):
        return []
    found: list[AttachmentSource | FailedSource] = []
    number = 0
    for number, name in enumerate(listed.split(NAMES), start=1):
        uri = f"{mail.uri}!/{number}/{quote(name, errors='replace')}"
        if media.media_type_of(name) == media.ZIP:
            text = f"{name} is an archive inside a message; these are not opened"
            found.append(FailedSource(uri, NestedArchive(text)))
        elif not media.is_listed(name):
            continue
        elif mail.name.count(STEP) >= 2 * _MAX_MESSAGES:
            text = f"messages in messages are read {_MAX_MESSAGES} levels deep"
            found.append(FailedSource(uri, TooDeep(text)))
        else:
            step = attachment_name(mail.name, number, name)
            found.append(AttachmentSource(uri, step, mail.size, mail))
    left_out = document.metadata.get("attachments_not_read")
    if isinstance(left_out, int) and left_out > 0:
        first, last = number + 1, number + left_out
        text = f"the message has {last:,} attachments; the first {number:,} are read"
        found.append(FailedSource(f"{mail.uri}!/{first}-{last}", TooLarge(text)))
    return found


class Archive:
    """One zip archive; its file is opened for the first read and closed after the last.

    Args:
        path: the archive, resolved.
        uri: its address.
        limits: what it may unpack to.
        max_bytes: most bytes of a member.
    """

    def __init__(self, path: Path, uri: str, limits: ParseLimits, max_bytes: int) -> None:
        self._path = path
        self._uri = uri
        self._limits = limits
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._zip: zipfile.ZipFile | None = None
        self._identity: tuple[int, int, int, int] | None = None
        self._unread = 0

    def members(self) -> Iterator[MemberSource | FailedSource | None]:
        """Lists the archive in the order of names; None for a member that is skipped.

        Raises:
            UnreadableFile: if the archive as a whole is refused.
        """
        with open_regular(self._path) as file:
            self._identity = _identity(file)
            members = self._directory(file)
        check_extent(members, self._limits)
        seen: set[str] = set()
        for member in sorted(members, key=lambda member: member.filename):
            if member.is_dir():
                continue
            yield self._listed(member, seen)

    def unpack(self, member: zipfile.ZipInfo) -> bytes:
        """The bytes of a member.

        Raises:
            UnreadableFile: if the archive has changed or the member is damaged.
        """
        with self._lock:
            self._unread -= 1
            try:
                if member.file_size > self._max_bytes:
                    raise file_too_large(member.filename, self._max_bytes)
                return self._opened().read(member)
            except (zipfile.BadZipFile, zlib.error, EOFError, struct.error) as error:
                raise CorruptFile(f"{member.filename} is damaged: {words_of(error)}") from None
            except (NotImplementedError, RuntimeError, ValueError) as error:
                # What zipfile raises for versions and flags it does not know.
                raise CorruptFile(
                    f"{member.filename} cannot be unpacked: {words_of(error)}"
                ) from None
            except OSError as error:
                raise os_reason(error, display_name(self._path)) from None
            finally:
                if self._unread <= 0:
                    self._close()

    def _listed(
        self, member: zipfile.ZipInfo, seen: set[str]
    ) -> MemberSource | FailedSource | None:
        name = normalize_text(member.filename).replace("\n", " ")
        uri = f"{self._uri}!/{quote(name, errors='replace')}"
        error = _name_reason(member, seen) or member_reason(member, self._limits)
        if error is None and not _is_plain(member):
            error = NotRegular(f"{name} is not a regular file")
        parts = name.split("/")
        hidden = any(part.startswith(".") or part in media.SKIPPED_FOLDERS for part in parts)
        if not isinstance(error, UnsafeName) and (hidden or not media.is_listed(name)):
            return None
        if error is None and media.media_type_of(name) == media.ZIP:
            error = NestedArchive(f"{name} is an archive inside an archive; these are not opened")
        seen.add(member.filename)
        if error is not None:
            return FailedSource(uri, error)
        self._unread += 1
        return MemberSource(uri, name, member.file_size, self, member)

    def _directory(self, file: BinaryIO) -> list[zipfile.ZipInfo]:
        name = display_name(self._path)
        try:
            size = _directory_bytes(file)
            if size > _ENTRY_BYTES * self._limits.max_members:
                raise ArchiveBomb(f"{name} has more than {self._limits.max_members:,} members")
            with zipfile.ZipFile(file) as archive:
                return archive.infolist()
        except (
            zipfile.BadZipFile,
            struct.error,
            EOFError,
            NotImplementedError,
            ValueError,
        ) as error:
            raise CorruptFile(f"{name} is no zip archive or damaged: {words_of(error)}") from None
        except OSError as error:
            raise os_reason(error, name) from None

    def _opened(self) -> zipfile.ZipFile:
        if self._zip is None:
            file = open_regular(self._path)
            if _identity(file) != self._identity:
                file.close()
                raise Vanished(f"{display_name(self._path)} has changed since it was listed")
            self._zip = zipfile.ZipFile(file)
        return self._zip

    def _close(self) -> None:
        if self._zip is not None:
            file = self._zip.fp
            self._zip.close()
            self._zip = None
            if file is not None:
                file.close()


def _identity(file: BinaryIO) -> tuple[int, int, int, int]:
    facts = os.fstat(file.fileno())
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns


def _directory_bytes(file: BinaryIO) -> int:
    """The size that the archive's directory claims, so that a huge one is never read.

    Raises:
        zipfile.BadZipFile: if there is no end record.
    """
    end = file.seek(0, os.SEEK_END)
    start = max(0, end - _MAX_COMMENT_BYTES - _END_RECORD_BYTES)
    file.seek(start)
    tail = file.read()
    file.seek(0)
    at = tail.rfind(_END_RECORD)
    if at < 0 or len(tail) - at < _END_RECORD_BYTES:
        raise zipfile.BadZipFile("it has no end record")
    size: int = struct.unpack_from("<I", tail, at + 12)[0]
    if _ZIP64_LOCATOR in tail[max(0, at - 20) : at]:
        # With 64-bit sizes the directory still lies within the file.
        return end
    return size


def _name_reason(member: zipfile.ZipInfo, seen: set[str]) -> UnreadableFile | None:
    # The directory's own spelling, before zipfile cuts it at a NUL or changes its slashes.
    name = member.orig_filename
    unsafe = (
        "\\" in name
        or "\x00" in name
        or name.startswith("/")
        or _DRIVE.match(name)
        or ".." in name.split("/")
        or not name.strip()
    )
    if unsafe:
        return UnsafeName(f"the name {name!r} points outside of the archive")
    if member.filename in seen:
        return DuplicateName(f"{name} is in the archive twice")
    return None


def _is_plain(member: zipfile.ZipInfo) -> bool:
    mode = member.external_attr >> 16
    return stat.S_IFMT(mode) in {0, stat.S_IFREG}
