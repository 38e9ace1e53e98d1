"""Pages as last fetched, on disk, so that what has not changed is not fetched again.

What always holds: a file is whole or not believed (written aside, renamed, with a checksum); losing
the folder loses nothing but time; the folder stays under its limit once it is pruned.
"""

import contextlib
import hashlib
import os
from pathlib import Path

import msgspec

from rostra.core import get_logger, new_id
from rostra.fetch import Validators

log = get_logger(__name__)

_FORMAT = b"rostra page 1\n"
_DIGEST_BYTES = 16
_ENDING = ".page"


class Page(msgspec.Struct, frozen=True):
    """A page as its server sent it.

    Attributes:
        url: it was asked for by.
        final: after redirects.
        content_type: of the header.
        body: unpacked.
        etag, last_modified: of the headers; may be empty.
    """

    url: str
    final: str
    content_type: str
    body: bytes
    etag: str = ""
    last_modified: str = ""

    @property
    def validators(self) -> Validators | None:
        """To ask whether it has changed; None when its server gave nothing to ask with."""
        if not self.etag and not self.last_modified:
            return None
        return Validators(self.final, self.etag, self.last_modified)


class PageCache:
    """A folder of pages. Blocks.

    Args:
        folder: made when something is put there.
        max_bytes: what `prune` leaves at most.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def get(self, url: str) -> tuple[Page, float] | None:
        """A page, and when its server last said that it is so, in Unix seconds."""
        path = self._path(url)
        try:
            checked_at = path.stat().st_mtime
            data = path.read_bytes()
        except OSError:
            return None
        digest = data[len(_FORMAT) : len(_FORMAT) + _DIGEST_BYTES]
        packed = data[len(_FORMAT) + _DIGEST_BYTES :]
        if not data.startswith(_FORMAT) or digest != _digest(packed):
            log.warning("kept page is damaged and not used", url=url)
            return None
        try:
            page = msgspec.msgpack.decode(packed, type=Page)
        except msgspec.MsgspecError:
            return None
        return (page, checked_at) if page.url == url else None

    def put(self, page: Page) -> None:
        """Keeps a page; a disk that is full or closed only costs its reuse."""
        path = self._path(page.url)
        aside = path.with_name(f".{new_id()}")
        packed = msgspec.msgpack.encode(page)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                aside.write_bytes(_FORMAT + _digest(packed) + packed)
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)
        except OSError as error:
            log.warning("page not kept", url=page.url, reason=str(error))

    def confirm(self, url: str) -> None:
        """Notes that a page's server said just now that it is unchanged."""
        with contextlib.suppress(OSError):
            os.utime(self._path(url))

    def prune(self) -> None:
        """Removes the pages asked for longest ago until the folder is under its limit."""
        found = []
        for path in self._folder.glob(f"*/*{_ENDING}"):
            with contextlib.suppress(OSError):
                facts = path.stat()
                found.append((facts.st_mtime, facts.st_size, path))
        size = sum(entry[1] for entry in found)
        for _, bytes_, path in sorted(found, key=lambda entry: entry[0]):
            if size <= self._max_bytes:
                return
            with contextlib.suppress(OSError):
                path.unlink()
            size -= bytes_

    def _path(self, url: str) -> Path:
        name = hashlib.sha256(url.encode()).hexdigest()
        return self._folder / name[:2] / (name + _ENDING)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()
