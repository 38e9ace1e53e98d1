"""Shipped models are used only while their files are what was sealed.

What always holds: a folder is handed out only after each of its files was found to have the size
and the sha256 of the manifest. Each is read once in a process for that; again only when its size or
its time of change is another, so a file that is restored under a running server is taken.
"""

import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rostra.core import ModelUnavailable, file_digest
from rostra.shipped.errors import ShippedModelBroken
from rostra.shipped.manifest import (
    ROOM,
    SealedFile,
    ShippedName,
    model_folder,
    read_manifest,
)

# Threads that ask for the first time together read the files once.
_TURN = threading.Lock()


@dataclass(frozen=True, slots=True)
class ShippedModel:
    """A model that ships, as found.

    Attributes:
        bytes: of its files, as sealed.
        broken: what is the matter with it; None when it is whole.
    """

    name: ShippedName
    bytes: int
    broken: ShippedModelBroken | None


def is_shipped(name: ShippedName, room: Path = ROOM) -> bool:
    """Whether a model comes with this package; its files may be broken.

    Raises:
        ShippedModelBroken: the manifest is, so that nobody can tell.
    """
    return name in read_manifest(room).models


def shipped_folder(name: ShippedName, room: Path = ROOM) -> Path:
    """The folder of a model that ships, its files checked.

    Raises:
        ShippedModelBroken: a file is missing, truncated or altered, or the manifest is damaged.
        ModelUnavailable: the model does not ship.
    """
    files = read_manifest(room).models.get(name)
    folder = model_folder(name, room)
    if files is None:
        raise ModelUnavailable(f"this version ships no {name} model")
    for inside, sealed in files.items():
        path = folder / inside
        if (what := _fault(path, sealed)) is not None:
            raise ShippedModelBroken.at(path, what)
    return folder


def check_shipped(room: Path = ROOM) -> list[ShippedModel]:
    """Every model that ships, by name, and whether it is whole.

    Raises:
        ShippedModelBroken: the manifest is damaged.
    """
    found = []
    for name, files in sorted(read_manifest(room).models.items()):
        broken = None
        try:
            shipped_folder(name, room)
        except ShippedModelBroken as error:
            broken = error
        found.append(ShippedModel(name, sum(file.bytes for file in files.values()), broken))
    return found


def _fault(path: Path, sealed: SealedFile) -> str | None:
    """What is the matter with a file; None when it is as sealed."""
    try:
        status = path.stat()
        if status.st_size < sealed.bytes:
            return f"is truncated: {status.st_size:,} of {sealed.bytes:,} bytes"
        if status.st_size > sealed.bytes:
            return f"is altered: {status.st_size:,} bytes, not {sealed.bytes:,}"
        with _TURN:
            digest = _digest(path, status.st_size, status.st_mtime_ns, status.st_ino)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None if digest == sealed.sha256 else "is altered: its sha256 is another"


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, changed: int, inode: int) -> str:
    return file_digest(path)
