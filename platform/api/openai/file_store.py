"""The bytes of clients' files, under the data directory, beside their rows.

What always holds: a file's name on disk is its id, never what a client calls it; a row is there
only once the bytes are on the disk; bytes without a row are removed once they are a day old.
"""

import asyncio
import errno
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from rostra.api.uploads import StorageFull
from rostra.core import PayloadTooLarge, new_id, parse_id
from rostra.runtime import Runtime
from rostra.store import StoredFile, add_file, delete_file, files_size

MAX_FILE_BYTES = 256 * 1024 * 1024
MAX_FILES = 10_000
MAX_ALL_BYTES = 16 * 1024 * 1024 * 1024

_STALE_SECONDS = 24 * 3600.0
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class FileStore:
    """The files of one data directory."""

    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.database
        self._root = Path(runtime.settings.home) / "files"

    def path(self, file_id: UUID) -> Path:
        """Where a file's bytes are, or will be."""
        return self._root / file_id.hex

    async def add(self, source: BinaryIO, filename: str, purpose: str) -> StoredFile:
        """Stores a file.

        Raises:
            PayloadTooLarge: there are too many files, or too large ones, already.
            StorageFull: the disk has no room.
        """
        async with self._database.read() as session:
            count, size = await files_size(session)
        if count >= MAX_FILES or size >= MAX_ALL_BYTES:
            raise PayloadTooLarge("too many files are stored", hint="Delete some of them.")
        file_id = new_id()
        try:
            written = await asyncio.to_thread(self._write, file_id, source)
        except OSError as error:
            await asyncio.to_thread(self._remove, file_id)
            if error.errno in _FULL:
                raise StorageFull(f"the file cannot be stored: {error.strerror}") from error
            raise
        async with self._database.write() as session:
            return await add_file(session, file_id, filename, purpose, written)

    async def delete(self, file_id: UUID) -> None:
        """Removes a file; raises as `store.delete_file` does."""
        async with self._database.write() as session:
            await delete_file(session, file_id)
        await asyncio.to_thread(self._remove, file_id)

    def make_folder(self) -> None:
        """Makes the folder of all files."""
        self._root.mkdir(parents=True, exist_ok=True)

    def stale(self) -> list[UUID]:
        """Files on disk that are older than any upload under way. Blocks."""
        if not self._root.is_dir():
            return []
        found = []
        for path in self._root.iterdir():
            file_id = parse_id(path.name)
            with suppress(FileNotFoundError):
                if file_id is not None and time.time() - path.stat().st_mtime > _STALE_SECONDS:
                    found.append(file_id)
        return found

    def remove_all(self, file_ids: Iterable[UUID]) -> None:
        """Removes bytes that no row names. Blocks."""
        for file_id in file_ids:
            self._remove(file_id)

    def _write(self, file_id: UUID, source: BinaryIO) -> int:
        self.make_folder()
        source.seek(0)
        with self.path(file_id).open("xb") as target:
            shutil.copyfileobj(source, target, 1024 * 1024)
            target.flush()
            os.fsync(target.fileno())
            return target.tell()

    def _remove(self, file_id: UUID) -> None:
        self.path(file_id).unlink(missing_ok=True)
