"""Uploaded files on disk, from the request that brings them to the end of the job that reads them.

What always holds: a client's file name is never part of a path, files are kept as 0001, 0002 ... in
the folder of their job; nothing beyond the limits is written; an upload that is not completed
leaves no job, and its folder is removed.

Memory stays flat: the body is parsed while it arrives and goes straight to its file.
"""

import asyncio
import errno
import os
import shutil
import time
import unicodedata
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote
from uuid import UUID

from litestar import Request
from multipart import (
    MultipartSegment,
    ParserError,
    ParserLimitReached,
    PushMultipartParser,
)

from rostra.core import (
    InvalidRequest,
    PathNotFound,
    PayloadTooLarge,
    RostraError,
    Settings,
    UnreadableFile,
    new_id,
    normalize_text,
    parse_id,
)
from rostra.ingest import FailedSource, Source, list_sources
from rostra.store import Job

JOB_KIND = "ingest"
FILES_PART = "files"
MAX_FILES = 1000

_INCOMING = "incoming-"
# No room on the disk, none left of a quota, or a file larger than the file system takes.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_STALE_SECONDS = 24 * 3600.0
_WRITE_BYTES = 1024 * 1024
# As file systems have it; also keeps a percent-encoded uri well below what databases index.
_MAX_NAME_BYTES = 255
_MAX_PATH_BYTES = 512
# Joiners that names in some scripts need; all other invisible characters go.
_KEPT_FORMAT = {"\u200c", "\u200d"}
# Reading on after a refusal lets the client finish sending, or it never reads the answer.
_DRAIN_SECONDS = 30.0


class StorageFull(RostraError):
    """The disk has no room for an upload."""

    status = 507
    code = "storage_full"


class UnsupportedUpload(RostraError):
    """The body is not multipart/form-data."""

    status = 415
    code = "unsupported_media_type"


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file of an upload.

    Attributes:
        name: what the client calls it, cleaned; unique within the upload.
        stored: its name in the job's folder.
        size: bytes.
    """

    name: str
    stored: str
    size: int

    @property
    def uri(self) -> str:
        """The address its document is known by."""
        return "upload:///" + quote(self.name)


@dataclass(slots=True)
class Incoming:
    """An upload that has arrived whole but has no job yet."""

    folder: Path
    files: list[UploadedFile] = field(default_factory=list)

    def payload(self, collection: str) -> dict[str, Any]:
        """What the job has to know."""
        return {
            "collection": collection,
            "files": [
                {"name": file.name, "stored": file.stored, "size": file.size} for file in self.files
            ],
        }


class Uploads:
    """The folder of uploads under the data directory."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = Path(settings.home) / "uploads"

    @asynccontextmanager
    async def receive(self, request: Request[Any, Any, Any]) -> AsyncIterator[Incoming]:
        """Streams a request's files to disk; what `adopt` has not moved by the end is removed.

        Raises:
            UnsupportedUpload: the body is not multipart/form-data.
            PayloadTooLarge: the body is over `max_upload_bytes`, or has too many files.
            InvalidRequest: the form is malformed, or a part is no file of ours.
            StorageFull: the disk has no room for it. What fails inside the `with` passes unchanged.
        """
        body = _Body(request, self._settings.max_upload_bytes)
        incoming = Incoming(self._root / f"{_INCOMING}{new_id()}")
        try:
            try:
                parser = PushMultipartParser(_boundary(request), header_charset="utf-8")
                await asyncio.to_thread(incoming.folder.mkdir, parents=True)
                await _Receiver(parser, incoming).read(body)
            except (RostraError, OSError) as error:
                await body.drain()
                if isinstance(error, OSError) and error.errno in _FULL:
                    raise StorageFull(
                        f"the upload cannot be stored: {error.strerror}",
                        hint="Free some disk space under the data directory.",
                    ) from error
                raise
            yield incoming
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, incoming.folder, True))

    def adopt(self, incoming: Incoming, job_id: UUID) -> None:
        """Gives a whole upload to its job; called before the job is committed."""
        incoming.folder.rename(self._folder(job_id))

    def remove(self, job_id: UUID) -> None:
        """Deletes a job's files, if there are any."""
        shutil.rmtree(self._folder(job_id), ignore_errors=True)

    def sources(self, job: Job) -> list[Source | FailedSource]:
        """What a job's files hold, under the addresses of the upload. Blocks."""
        files = [UploadedFile(**facts) for facts in job.payload.get("files", ())]
        folder = self._folder(job.id).absolute()
        found: list[Source | FailedSource] = []
        for file in files:
            found += _sources_of(folder / file.stored, file, self._settings)
        return found

    def job_folders(self) -> list[UUID]:
        """The jobs that files are kept for."""
        if not self._root.is_dir():
            return []
        ids = (parse_id(path.name) for path in self._root.iterdir())
        return [job_id for job_id in ids if job_id is not None]

    def is_stale(self, job_id: UUID) -> bool:
        """Whether a job's folder is older than any upload under way can be."""
        return _is_stale(self._folder(job_id))

    def remove_incoming(self) -> None:
        """Deletes uploads that a process left unfinished when it was killed."""
        for path in self._root.glob(f"{_INCOMING}*"):
            if _is_stale(path):
                shutil.rmtree(path, ignore_errors=True)

    def _folder(self, job_id: UUID) -> Path:
        return self._root / str(job_id)


class _Body:
    """A request's body in pieces, at most so many bytes of it."""

    def __init__(self, request: Request[Any, Any, Any], most: int) -> None:
        self._receive = request.receive
        self._most = most
        self._read = 0
        self._more = True
        try:
            self._announced = int(request.headers.get("content-length") or 0)
        except ValueError:
            self._announced = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives.

        Raises:
            PayloadTooLarge: it is longer than allowed; raised before reading when it says so.
            InvalidRequest: the client has gone.
        """
        if self._announced > self._most:
            raise self._too_large()
        while self._more:
            piece = await self._next()
            if self._read > self._most:
                raise self._too_large()
            yield piece

    async def drain(self) -> None:
        """Reads on and throws away, within limits."""
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while self._more and self._read <= 2 * self._most:
                    await self._next()
        except (TimeoutError, InvalidRequest):
            pass

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] != "http.request":
            self._more = False
            raise InvalidRequest("the upload was broken off")
        piece = message["body"]
        self._more = message["more_body"]
        self._read += len(piece)
        return piece

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"the upload is larger than {self._most:,} bytes",
            hint="Send fewer files at once, or raise max_upload_bytes.",
        )


class _Receiver:
    """Writes the parts of a form to an incoming upload's folder."""

    def __init__(self, parser: PushMultipartParser, incoming: Incoming) -> None:
        self._parser = parser
        self._incoming = incoming
        self._names: set[str] = set()
        self._name = ""
        self._file: BinaryIO | None = None
        self._size = 0
        self._buffer = bytearray()

    async def read(self, body: _Body) -> None:
        """Reads the whole form.

        Raises:
            InvalidRequest: it is malformed, holds other parts than files, or holds none.
            PayloadTooLarge: there are too many files.
        """
        try:
            async for piece in body.pieces():
                if not piece:
                    continue  # the parser would take it for the end
                for event in self._parser.parse(piece):
                    await self._take(event)
            self._parser.close()
        except ParserLimitReached as error:
            raise InvalidRequest(f"a part's headers are too long: {error}") from None
        except (ParserError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"the body is no valid multipart/form-data: {error}") from None
        finally:
            if self._file is not None:
                self._file.close()
        if not self._incoming.files:
            raise InvalidRequest(f"the form holds no file in {FILES_PART!r}", field=FILES_PART)

    async def _take(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif event is None:
            await self._end()
        else:
            self._buffer += event
            if len(self._buffer) >= _WRITE_BYTES:
                await self._write()

    def _begin(self, part: MultipartSegment) -> None:
        if part.name != FILES_PART or not part.filename:
            name = normalize_text(part.name or "")[:100]
            raise InvalidRequest(
                f"the part {name!r} is no file in {FILES_PART!r}", field=name or "body"
            )
        if len(self._incoming.files) >= MAX_FILES:
            raise PayloadTooLarge(
                f"the form holds more than {MAX_FILES} files",
                hint="Send them in several requests, or as a zip archive.",
            )
        number = len(self._incoming.files) + 1
        self._name = _unique(clean_name(part.filename) or f"unnamed-{number}", self._names)
        self._names.add(self._name)
        self._size = 0
        self._file = (self._incoming.folder / _stored_name(number, self._name)).open("xb")

    async def _write(self) -> None:
        if self._file is not None and self._buffer:
            data, self._buffer = self._buffer, bytearray()
            self._size += len(data)
            await asyncio.to_thread(self._file.write, data)

    async def _end(self) -> None:
        await self._write()
        if self._file is None:
            raise InvalidRequest("the body is no valid multipart/form-data")
        stored = Path(self._file.name).name
        await asyncio.to_thread(_finish, self._file)
        self._file = None
        self._incoming.files.append(UploadedFile(self._name, stored, self._size))


@dataclass(frozen=True, slots=True)
class _Renamed:
    """A stored file, or a member of a stored archive, as the client named it."""

    uri: str
    name: str
    size: int
    source: Source
    stored: str
    shown: str

    def read(self) -> bytes:
        """The file's bytes.

        Raises:
            UnreadableFile: with the client's name for the file.
        """
        try:
            return self.source.read()
        except UnreadableFile as error:
            raise _renamed(error, self.stored, self.shown) from None


def clean_name(raw: str) -> str:
    """A client's file name as text that is safe to show and to store; empty if nothing is left.

    A plain relative path, which browsers send for the files of a folder, is kept, so that equal
    names in different folders stay apart. Of anything that tries to lead elsewhere (absolute, with
    a drive or backslashes, with `..`) only the last part is kept.

    >>> clean_name("notes/2024/plan.md")
    'notes/2024/plan.md'
    >>> clean_name("../../etc/passwd")
    'passwd'
    """
    text = unicodedata.normalize("NFC", normalize_text(raw))
    leads_elsewhere = "\\" in text or ":" in text.split("/")[0] or text.startswith("/")
    parts = [_clean_part(part) for part in text.replace("\\", "/").split("/")]
    leads_elsewhere = leads_elsewhere or ".." in parts
    parts = [part for part in parts if part not in ("", ".", "..")]
    if not parts:
        return ""
    path = "/".join(parts)
    if leads_elsewhere or len(path.encode()) > _MAX_PATH_BYTES:
        return _short(parts[-1])
    return "/".join(_short(part) for part in parts)


def _clean_part(part: str) -> str:
    visible = (
        " " if character.isspace() else character
        for character in part
        if character.isspace()
        or character in _KEPT_FORMAT
        or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
    )
    return " ".join("".join(visible).split())


def _short(name: str) -> str:
    """Cuts a long name before its ending, which decides how the file is read."""
    if len(name.encode()) <= _MAX_NAME_BYTES:
        return name
    stem, dot, ending = name.rpartition(".")
    ending = dot + ending
    if not stem or len(ending.encode()) > 16:
        stem, ending = name, ""
    kept = stem.encode()[: _MAX_NAME_BYTES - len(ending.encode())].decode(errors="ignore")
    return kept + ending


def _unique(name: str, taken: set[str]) -> str:
    """The name, numbered when another file of the same upload has it."""
    if name not in taken:
        return name
    stem, dot, ending = name.rpartition(".")
    if not stem or "/" in ending:
        stem, dot, ending = name, "", ""
    number = 2
    while (numbered := f"{stem} ({number}){dot}{ending}") in taken:
        number += 1
    return numbered


def _stored_name(number: int, name: str) -> str:
    # Only an archive is told by the name it is stored under.
    return f"{number:04}.zip" if name.lower().endswith(".zip") else f"{number:04}"


def _finish(file: BinaryIO) -> None:
    """Closes a file once its bytes are on the disk: the job that names it will be."""
    with file:
        file.flush()
        os.fsync(file.fileno())


def _sources_of(path: Path, file: UploadedFile, settings: Settings) -> list[Source | FailedSource]:
    """A stored file, or the members of a stored archive."""
    try:
        items: Sequence[Source | FailedSource] = list_sources([path], settings).items
    except PathNotFound:
        return [FailedSource(file.uri, UnreadableFile(f"{file.name} was removed meanwhile"))]
    own = path.resolve().as_uri()
    found: list[Source | FailedSource] = []
    for item in items:
        member = item.uri.removeprefix(own)
        if isinstance(item, FailedSource):
            reason = _renamed(item.error, path.name, file.name)
            found.append(FailedSource(file.uri + member, reason))
        else:
            name = item.name if member else file.name
            found.append(_Renamed(file.uri + member, name, item.size, item, path.name, file.name))
    return found


def _renamed(error: UnreadableFile, stored: str, shown: str) -> UnreadableFile:
    """The same reason, about the name that the client knows."""
    return type(error)(error.message.replace(stored, shown), hint=error.hint, **error.details)


def _boundary(request: Request[Any, Any, Any]) -> bytes:
    kind, options = request.content_type
    if kind != "multipart/form-data":
        raise UnsupportedUpload(
            "files are uploaded as multipart/form-data",
            hint=f"Send one or more parts named {FILES_PART!r}, each with a file name.",
        )
    boundary = options.get("boundary", "")
    if not boundary:
        raise InvalidRequest("the Content-Type names no multipart boundary")
    return boundary.encode("latin-1", errors="replace")


def _is_stale(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > _STALE_SECONDS
    except FileNotFoundError:
        return False
