"""Rows of bytes in files that only ever grow, one width for all.

What always holds: a row that a manifest counts is never written again; a file has a fixed capacity,
so that a position alone says where its row is; what stands behind the counted rows is left over
from a process that was killed and is overwritten. Views are of the rows that were there when they
were made. Each file has a running CRC-32 of its counted rows, so that adding one costs only that
one.
"""

import contextlib
import mmap
import os
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from rostra.retrieval.lexical import DamagedIndex, Positions

Octets = npt.NDArray[np.uint8]

# Bytes of one file, at most.
FILE_BYTES = 1 << 27
_STRIDE = 1 << 24
# Rows read by blocks, through the maps, before their pages are let go.
_LET_GO = 1 << 15


class RowFile(msgspec.Struct, frozen=True):
    """What a manifest says of one file.

    Attributes:
        file: its name.
        rows: how many of its rows count.
        crc: CRC-32 of them.
    """

    file: str
    rows: int
    crc: int


@dataclass(frozen=True)
class RowsView:
    """The rows that were there at one time.

    Attributes:
        parts: uint8 [rows, width] each, mapped; all but the last are of `capacity`.
        maps: what they are mapped by.
        opened: the files themselves.
        capacity: rows in a file.
        width: bytes of a row.
        count: rows.
    """

    parts: tuple[Octets, ...]
    maps: tuple[mmap.mmap, ...]
    opened: tuple[FileIO, ...]
    capacity: int
    width: int
    count: int

    def __len__(self) -> int:
        return self.count

    def whole(self) -> Octets:
        """All rows, uint8 [rows, width]; not a copy where they are in one file."""
        if len(self.parts) == 1:
            return self.parts[0]
        return np.concatenate([np.zeros((0, self.width), np.uint8), *self.parts])

    def take(self, positions: Positions) -> Octets:
        """Copies of rows, uint8 [positions, width].

        Raises:
            IndexError: there is no such row.
        """
        if len(positions) and not (positions.min() >= 0 and positions.max() < self.count):
            raise IndexError(f"no such row: there are {self.count}")
        taken = np.empty((len(positions), self.width), np.uint8)
        if len(self.parts) == 1:
            return np.take(self.parts[0], positions, axis=0, out=taken)
        home = positions // self.capacity
        for at in np.unique(home).tolist():
            here = np.flatnonzero(home == at)
            taken[here] = self.parts[at][positions[here] - at * self.capacity]
        return taken

    def read(self, positions: Positions) -> Octets:
        """As `take`, by reads of single rows.

        A row that is looked up through a map brings up to 2 MB of its neighbours into the process,
        as the kernel sees fit: a few searches, and all is resident. This leaves nothing behind, and
        takes no longer.

        Raises:
            IndexError: there is no such row.
            DamagedIndex: a file was cut short meanwhile.
        """
        from rostra.retrieval.dense.kernels import read_rows

        if len(positions) and not (positions.min() >= 0 and positions.max() < self.count):
            raise IndexError(f"no such row: there are {self.count}")
        taken = np.empty((len(positions), self.width), np.uint8)
        files = np.array([file.fileno() for file in self.opened], np.int32)
        failed = read_rows(files, self.capacity, np.asarray(positions, np.int64), taken)
        if failed >= 0:
            at = int(positions[failed]) // self.capacity
            raise DamagedIndex(Path(str(self.opened[at].name)), "is shorter than it was written")
        return taken

    def let_go(self) -> None:
        """Takes the mapped pages out of this process; they come back when read."""
        for one in self.maps:
            with contextlib.suppress(OSError, ValueError):
                one.madvise(mmap.MADV_DONTNEED)


class Rows:
    """See this module. One thread writes; views may be read by any.

    Args:
        folder: where the files are.
        prefix: what their names start with; never used before for other rows in this folder.
        width: bytes of a row.
        files: what the manifest says.
        file_bytes: most bytes of a file.

    Raises:
        DamagedIndex: a file is missing or too short.
    """

    def __init__(
        self,
        folder: Path,
        prefix: str,
        width: int,
        files: Sequence[RowFile] = (),
        file_bytes: int = FILE_BYTES,
    ) -> None:
        self.width = width
        self.capacity = max(1, file_bytes // width)
        self._folder = folder
        self._prefix = prefix
        self._files = list(files)
        self._unsynced: set[str] = set()
        self._maps: list[tuple[mmap.mmap, int]] = []
        self._opened: list[FileIO] = []
        for at, one in enumerate(self._files):
            path = folder / one.file
            short = at < len(self._files) - 1 and one.rows != self.capacity
            if short or not 0 < one.rows <= self.capacity:
                raise DamagedIndex(path, "is counted wrongly")
            try:
                size = path.stat().st_size
            except OSError as error:
                raise DamagedIndex(path, error.strerror or "cannot be read") from error
            if size < one.rows * width:
                raise DamagedIndex(path, "is shorter than it was written")

    def __len__(self) -> int:
        return self.capacity * (len(self._files) - 1) + self._files[-1].rows if self._files else 0

    @property
    def files(self) -> list[RowFile]:
        """For the manifest; `sync` comes first."""
        return list(self._files)

    def append(self, rows: Octets) -> None:
        """Writes rows behind the others. They are durable after `sync`.

        Args:
            rows: uint8 [rows, width].

        Raises:
            OSError: the disk is full or not writable; nothing was added.
        """
        files = list(self._files)
        start = 0
        try:
            while start < len(rows):
                if not files or files[-1].rows == self.capacity:
                    files.append(RowFile(f"{self._prefix}-{len(files):05d}", 0, 0))
                last = files[-1]
                piece = np.ascontiguousarray(rows[start : start + self.capacity - last.rows])
                _write(self._folder / last.file, piece, last.rows * self.width)
                self._unsynced.add(last.file)
                files[-1] = RowFile(
                    last.file, last.rows + len(piece), zlib.crc32(piece.data, last.crc)
                )
                start += len(piece)
        except OSError:
            self._give_room(files)
            raise
        self._files = files

    def cut(self, count: int) -> None:
        """Forgets the rows from `count` on, which no view has seen: they are written again.

        Raises:
            OSError: the file that is cut cannot be read.
        """
        if count >= len(self):
            return
        whole, rest = divmod(count, self.capacity)
        kept = self._files[:whole]
        if rest:
            name = self._files[whole].file
            kept.append(RowFile(name, rest, _crc(self._folder / name, rest * self.width)))
        self._files = kept

    def sync(self) -> None:
        """Makes all rows durable.

        Raises:
            OSError: the disk is full or broken.
        """
        for name in sorted(self._unsynced):
            descriptor = os.open(self._folder / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        self._unsynced.clear()

    def view(self) -> RowsView:
        """The rows there are now.

        Raises:
            DamagedIndex: a file cannot be mapped.
        """
        for at, one in enumerate(self._files):
            wanted = one.rows * self.width
            if at < len(self._maps) and self._maps[at][1] >= wanted:
                continue
            path = self._folder / one.file
            try:
                if at == len(self._opened):
                    self._opened.append(FileIO(path, "rb"))
                file = self._opened[at]
                size = os.fstat(file.fileno()).st_size
                mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:
                raise DamagedIndex(path, str(error)) from error
            self._maps[at : at + 1] = [(mapped, size)]
        parts = tuple(
            np.frombuffer(mapped, np.uint8, one.rows * self.width).reshape(-1, self.width)
            for one, (mapped, _) in zip(self._files, self._maps, strict=True)
        )
        maps = tuple(mapped for mapped, _ in self._maps)
        opened = tuple(self._opened)
        return RowsView(parts, maps, opened, self.capacity, self.width, len(self))

    def discard(self) -> None:
        """Removes all files; of rows that no manifest counts."""
        for one in self._files:
            (self._folder / one.file).unlink(missing_ok=True)
        self._files = []

    def verify(self) -> None:
        """Compares all rows with what was written.

        Raises:
            DamagedIndex: a file differs.
        """
        for at in range(len(self._files)):
            self.verify_file(at)

    def verify_file(self, at: int) -> None:
        """The same of one file.

        Raises:
            DamagedIndex: it differs.
        """
        one = self._files[at]
        path = self._folder / one.file
        try:
            crc = _crc(path, one.rows * self.width)
        except OSError as error:
            raise DamagedIndex(path, error.strerror or "cannot be read") from error
        if crc != one.crc:
            raise DamagedIndex(path, "is not what was written")

    def _give_room(self, tried: Sequence[RowFile]) -> None:
        """After a failure: what was written in vain goes, as far as the disk lets it."""
        kept = {one.file for one in self._files}
        with contextlib.suppress(OSError):
            for one in tried:
                if one.file not in kept:
                    (self._folder / one.file).unlink(missing_ok=True)
            if self._files:
                last = self._files[-1]
                size = max(last.rows * self.width, self._mapped(len(self._files) - 1))
                os.truncate(self._folder / last.file, size)

    def _mapped(self, at: int) -> int:
        """Up to where a file is mapped: cutting it shorter would be a fault for who reads it."""
        return self._maps[at][1] if at < len(self._maps) else 0


class LettingGo:
    """Counts rows read through maps, and lets their pages go now and then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read = 0

    def after(self, rows: int, *views: RowsView) -> None:
        """Told of every such reading."""
        with self._lock:
            self._read += rows
            due = self._read >= _LET_GO
            if due:
                self._read = 0
        if due:
            for view in views:
                view.let_go()


def _write(path: Path, rows: Octets, offset: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        left = rows.data.cast("B")
        while left:
            done = os.pwrite(descriptor, left, offset)
            left, offset = left[done:], offset + done
    finally:
        os.close(descriptor)


def _crc(path: Path, size: int) -> int:
    crc = 0
    with path.open("rb") as file:
        while size > 0:
            piece = file.read(min(size, _STRIDE))
            if not piece:
                return -1
            crc, size = zlib.crc32(piece, crc), size - len(piece)
    return crc


def pieces(count: int, size: int) -> Iterator[slice]:
    """Consecutive slices of `size` that cover `count`."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def as_octets(rows: npt.NDArray[Any]) -> Octets:
    """The bytes of an array's rows, uint8 [rows, width]."""
    whole = np.ascontiguousarray(rows)
    return whole.view(np.uint8).reshape(len(whole), -1)
