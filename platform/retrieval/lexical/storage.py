"""Files that never change once they are named, and the one manifest that names them.

What always holds: a file is written, synced and complete before a manifest names it; a manifest is
replaced in one step (written aside, synced, renamed, folder synced), so that a crash leaves the old
one or the new one; room for a file is reserved before it is mapped, so that a full disk is an
`OSError` here and never a fault later. What no manifest names is nobody's and can be deleted.
"""

import contextlib
import hashlib
import mmap
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

MANIFEST = "manifest.json"
_ALIGNMENT = 64
# What is hashed at once.
_STRIDE = 1 << 24


class DamagedIndex(RuntimeError):
    """A file of an index is missing, not what was written, or of another make: build it anew.

    Not for users: whoever opens an index answers by building it again from the rows.

    Args:
        file: the one at fault.
        reason: what is wrong with it.
    """

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"{file.name}: {reason}")
        self.file = file
        self.reason = reason


class Section(msgspec.Struct, frozen=True):
    """One array in a file.

    Attributes:
        dtype: numpy's name of it, with its byte order.
        offset: where it starts, in bytes.
        count: elements.
        digest: BLAKE2b of its bytes, 16 bytes in hex.
    """

    dtype: str
    offset: int
    count: int
    digest: str


Sections = dict[str, Section]


@contextlib.contextmanager
def writing(
    path: Path, plan: Mapping[str, tuple[npt.DTypeLike, int]]
) -> Iterator[tuple[dict[str, Array], Sections]]:
    """A new file of arrays, to be filled in the block; then it is synced and its sections are told.

    An error in the block removes the file.

    Args:
        path: of the new file.
        plan: dtype and number of elements of each array, by name.

    Raises:
        OSError: the disk is full or not writable.
    """
    offsets: dict[str, int] = {}
    size = 0
    for name, (dtype, count) in plan.items():
        offsets[name] = size
        size += -(-np.dtype(dtype).itemsize * count // _ALIGNMENT) * _ALIGNMENT
    size = max(size, _ALIGNMENT)
    sections: Sections = {}
    done = False
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        os.posix_fallocate(descriptor, 0, size)
        memory = mmap.mmap(descriptor, size)
        arrays = _arrays(
            memory, {name: (*plan[name], offset) for name, offset in offsets.items()}, path
        )
        yield arrays, sections
        memory.flush()
        os.fsync(descriptor)
        for name, array in arrays.items():
            sections[name] = Section(array.dtype.str, offsets[name], len(array), digest(array))
        done = True
    finally:
        os.close(descriptor)
        if not done:
            path.unlink(missing_ok=True)


def reading(path: Path, sections: Sections, check: Collection[str]) -> dict[str, Array]:
    """The arrays of a file, mapped and not writable.

    Args:
        path: of the file.
        sections: its arrays.
        check: names of those whose digest is compared now.

    Raises:
        DamagedIndex: it is missing, too short, or an array that is checked is not what was written.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            memory = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b""
    except OSError as error:
        raise DamagedIndex(path, error.strerror or "cannot be read") from error
    try:
        plan = {name: (one.dtype, one.count, one.offset) for name, one in sections.items()}
        arrays = _arrays(memory, plan, path)
    except (TypeError, ValueError) as error:
        raise DamagedIndex(path, "is shorter than it was written") from error
    check_digests(path, arrays, sections, check)
    for name in check:
        let_go(arrays[name])
    return arrays


def let_go(array: Array) -> None:
    """Says of a mapped array, read as a whole, that it is not needed in memory.

    What is read of it again comes from the system's cache of the file, or from the file.
    """
    memory: Any = array
    while isinstance(memory, np.ndarray):
        memory = memory.base
    memory = memory.obj if isinstance(memory, memoryview) else memory
    if not isinstance(memory, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    begin = _address(array) - _address(np.frombuffer(memory, np.uint8, 1))
    end = begin + array.nbytes
    # Pages that lie wholly within.
    begin = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE
    end = end // mmap.PAGESIZE * mmap.PAGESIZE
    if end > begin:
        memory.madvise(mmap.MADV_DONTNEED, begin, end - begin)


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def check_digests(
    path: Path, arrays: Mapping[str, Array], sections: Sections, check: Collection[str]
) -> None:
    """Compares arrays of a file with what was written.

    Raises:
        DamagedIndex: one differs.
    """
    for name in check:
        if digest(arrays[name]) != sections[name].digest:
            raise DamagedIndex(path, f"{name} is not what was written")


def _arrays(
    memory: mmap.mmap | bytes,
    plan: Mapping[str, tuple[npt.DTypeLike, int, int]],
    path: Path,
) -> dict[str, Array]:
    arrays = {}
    for name, (dtype, count, offset) in plan.items():
        if count < 0 or offset < 0:
            raise DamagedIndex(path, f"{name} is nowhere")
        arrays[name] = np.frombuffer(memory, dtype, count, offset) if count else np.zeros(0, dtype)
    return arrays


def digest(array: Array) -> str:
    """BLAKE2b of an array's bytes, 16 bytes in hex."""
    hashed = hashlib.blake2b(digest_size=16)
    octets = array.view(np.uint8)
    for start in range(0, len(octets), _STRIDE):
        hashed.update(octets[start : start + _STRIDE].data)
    return hashed.hexdigest()


def write_manifest(folder: Path, body: bytes) -> None:
    """Makes `body` the folder's manifest, in one step.

    Raises:
        OSError: the disk is full or not writable; the older manifest stands.
    """
    aside = folder / f".{MANIFEST}"
    try:
        with aside.open("wb") as file:
            file.write(hashlib.blake2b(body, digest_size=16).hexdigest().encode() + b"\n" + body)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(folder / MANIFEST)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(folder)


def read_manifest(folder: Path) -> bytes | None:
    """What `write_manifest` wrote last; None where it never did.

    Raises:
        DamagedIndex: it is not what was written.
    """
    path = folder / MANIFEST
    try:
        line, _, body = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamagedIndex(path, error.strerror or "cannot be read") from error
    if hashlib.blake2b(body, digest_size=16).hexdigest().encode() != line:
        raise DamagedIndex(path, "is not what was written")
    return body


def remove_others(folder: Path, keep: Collection[str]) -> None:
    """Removes every file of a folder but the manifest and those named."""
    for path in folder.iterdir():
        if path.name != MANIFEST and path.name not in keep and path.is_file():
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable, as far as its file system allows."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some file systems refuse
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
