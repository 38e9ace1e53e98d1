"""One folder as the whole file system: paths below it are walked name by name, never handed on.

What always holds: each name is opened relative to the open folder before it and no link is ever
followed by the kernel, so a name swapped for a link between two steps fails instead of leading out;
links are followed here, by their text, with the same rules; `..` goes back over the way that was
come and not past the root. Only regular files and folders are opened, never a pipe or a device.
A hard link is the file itself and cannot be told from it.
"""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from rostra.core import ConfigError, Conflict, InvalidRequest, NotFound

MAX_PATH = 1_000
_MAX_PARTS = 64
_MAX_LINKS = 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without waiting: opening a pipe would hang until somebody writes into it.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Kind = Literal["file", "folder", "link", "other"]


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands in a folder under a name.

    Attributes:
        size: bytes of a file, else None.
        modified: seconds since 1970.
    """

    name: str
    kind: Kind
    size: int | None
    modified: float


class Root:
    """An open folder that nothing here leaves. A context manager.

    Raises:
        ConfigError: there is no such folder.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise ConfigError(f"root: {folder}: {error.strerror}") from None

    def __enter__(self) -> "Root":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    @contextmanager
    def folder(self, path: str) -> Iterator[int]:
        """An open folder, as a file descriptor.

        Raises:
            NotFound: there is none at this path.
            InvalidRequest: the path leads out of the root.
        """
        with _Walk(self._fd, path) as walk:
            walk.go(_parts(path))
            yield walk.here

    @contextmanager
    def read(self, path: str) -> Iterator[BinaryIO]:
        """A regular file, open for reading.

        Raises:
            NotFound: there is none at this path.
            InvalidRequest: the path leads out of the root, or to something else.
        """
        with _Walk(self._fd, path) as walk:
            name = walk.parent_of(_parts(path))
            with _named(path):
                file = _regular(os.open(name, _READ, dir_fd=walk.here))
        if file is None:
            raise InvalidRequest(f"{_shown(path)} is no file", hint="Use list_files for it.")
        with file:
            yield file

    def write(self, path: str, data: bytes, *, overwrite: bool) -> bool:
        """Puts a whole file there, or leaves what was there; makes missing folders.

        Returns:
            whether the file is new.

        Raises:
            Conflict: there is a file and it is not to be overwritten, or a folder.
            NotFound: something on the way is no folder.
            InvalidRequest: the path leads out of the root, or nothing can be written there.
        """
        with _Walk(self._fd, path, makes=True) as walk:
            name = walk.parent_of(_parts(path))
            with _named(path):
                mode = _mode_at(name, walk.here)
                if mode is not None and not stat.S_ISREG(mode):
                    raise Conflict(f"{_shown(path)} is no file", hint="Choose another name.")
                if mode is not None and not overwrite:
                    raise FileExistsError
                _replace(name, data, walk.here, mode, overwrite=overwrite)
        return mode is None


def entries(folder: int) -> Iterator[Entry]:
    """What stands in an open folder, in no order; names that are no text are left out."""
    with os.scandir(folder) as found:
        for item in found:
            try:
                item.name.encode()
                state = item.stat(follow_symlinks=False)
            except (UnicodeEncodeError, OSError):  # the latter: gone since
                continue
            kind = _kind(state.st_mode)
            size = state.st_size if kind == "file" else None
            yield Entry(item.name, kind, size, state.st_mtime)


def open_folder(name: str, folder: int) -> int | None:
    """Opens a folder inside of an open one; None if it is none any more."""
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except OSError:
        return None


def open_file(name: str, folder: int) -> BinaryIO | None:
    """Opens a regular file inside of an open folder for reading; None if it cannot be."""
    try:
        fd = os.open(name, _READ, dir_fd=folder)
    except OSError:
        return None
    return _regular(fd)


def _regular(fd: int) -> BinaryIO | None:
    """The open file, if it is one."""
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return os.fdopen(fd, "rb")
    os.close(fd)
    return None


class _Walk:
    """The folders that were come through, open; the last is where the walk stands."""

    def __init__(self, root: int, path: str, *, makes: bool = False) -> None:
        self._path = path
        self._makes = makes
        self._links = 0
        self._way = [os.dup(root)]

    def __enter__(self) -> "_Walk":
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self._way:
            os.close(fd)

    @property
    def here(self) -> int:
        return self._way[-1]

    def parent_of(self, parts: list[str]) -> str:
        """Goes to the folder that the last part is in, through links; returns its name there."""
        while True:
            if not parts or parts[-1] == "..":
                raise InvalidRequest(f"{_shown(self._path)} is a folder", hint="Name a file.")
            self.go(parts[:-1])
            target = self._link(parts[-1])
            if target is None:
                return parts[-1]
            parts = target

    def go(self, parts: list[str]) -> None:
        rest = parts[::-1]
        while rest:
            part = rest.pop()
            if part == "..":
                self._back()
            elif (target := self._link(part)) is not None:
                rest += target[::-1]
            else:
                self._enter(part)

    def _back(self) -> None:
        if len(self._way) == 1:
            raise _outside(self._path)
        os.close(self._way.pop())

    def _enter(self, name: str) -> None:
        if len(self._way) > _MAX_PARTS:
            raise InvalidRequest(f"{_shown(self._path)} is nested too deeply")
        with _named(self._path):
            if self._makes:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=self.here)
            self._way.append(os.open(name, _FOLDER, dir_fd=self.here))

    def _link(self, name: str) -> list[str] | None:
        """The parts that a link's text consists of; None if it is no link."""
        try:
            target = os.readlink(name, dir_fd=self.here)
        except OSError:
            return None
        self._links += 1
        if self._links > _MAX_LINKS:
            raise InvalidRequest(f"{_shown(self._path)} goes through too many links")
        if target.startswith("/"):
            raise _outside(self._path)
        return _parts(target)


def _parts(path: str) -> list[str]:
    if "\0" in path or len(path) > MAX_PATH:
        raise InvalidRequest(f"{_shown(path)} is no path")
    try:
        path.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"{_shown(path)} is no path") from None
    if path.startswith("/"):
        raise InvalidRequest(
            f"{_shown(path)} is not relative to the folder served",
            hint="Write docs/a.txt, not /docs/a.txt; . is the folder itself.",
        )
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if len(parts) > _MAX_PARTS:
        raise InvalidRequest(f"{_shown(path)} is nested too deeply")
    return parts


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Operating system errors as ours, with the path that was asked for."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound(
            f"there is no {_shown(path)}", hint="list_files says what is there."
        ) from None
    except NotADirectoryError:
        raise NotFound(f"{_shown(path)} leads through something that is no folder") from None
    except FileExistsError:
        raise Conflict(
            f"{_shown(path)} exists", hint="Say overwrite, or choose another name."
        ) from None
    except IsADirectoryError:
        raise InvalidRequest(f"{_shown(path)} is a folder", hint="Use list_files for it.") from None
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link came between looking and opening
            raise NotFound(f"there is no {_shown(path)} any more") from None
        raise InvalidRequest(f"{_shown(path)}: {error.strerror}") from None


def _replace(name: str, data: bytes, folder: int, mode: int | None, *, overwrite: bool) -> None:
    temporary = f".{secrets.token_hex(8)}.part"
    try:
        with os.fdopen(os.open(temporary, _CREATE, 0o666, dir_fd=folder), "wb") as file:
            file.write(data)
            file.flush()
            if mode is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(mode) & 0o777)
            os.fsync(file.fileno())
        if overwrite:
            # Renaming replaces a link that came in between, it does not follow it.
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        else:
            # Unlike renaming, linking fails if somebody else was quicker.
            os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)


def _mode_at(name: str, folder: int) -> int | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "other"


def _outside(path: str) -> InvalidRequest:
    return InvalidRequest(
        f"{_shown(path)} leads out of the folder served",
        hint="Paths are relative to that folder, and links out of it are not followed.",
    )


def _shown(path: str) -> str:
    return repr(path if len(path) <= 200 else path[:200] + "...")
