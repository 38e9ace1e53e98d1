"""What paths on disk hold: files, folders and zip archives as one list of light items.

What always holds: listing opens no file but archives, one bad entry is an item with its reason and
stops nothing, order depends on names only, every uri is listed once, and no loop of links is
followed. Only a path given by the user that is not there raises.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rostra.core import PathNotFound, Settings, UnreadableFile
from rostra.ingest import media
from rostra.ingest.archive import Archive
from rostra.ingest.errors import DirectoryLoop, NotRegular, os_reason
from rostra.ingest.files import display_name, read_regular
from rostra.ingest.items import FailedSource, Source
from rostra.ingest.limits import ParseLimits


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file on disk.

    Attributes:
        uri: its address.
        name: the name by which it was found; a link's own.
        size: bytes when it was listed.
        path: where it is, links resolved.
        max_bytes: most bytes read.
    """

    uri: str
    name: str
    size: int
    path: Path
    max_bytes: int

    def read(self) -> bytes:
        """Reads the file.

        Raises:
            UnreadableFile: of the class that says why it cannot be read.
        """
        return read_regular(self.path, self.max_bytes)


@dataclass(slots=True)
class Listing:
    """What was found.

    Attributes:
        items: sources and what cannot be read, in the order of their names.
        skipped: files of types that are not read, hidden files and generated ones.
    """

    items: list[Source | FailedSource] = field(default_factory=list)
    skipped: int = 0

    @property
    def sources(self) -> list[Source]:
        """The items that can be read."""
        return [item for item in self.items if not isinstance(item, FailedSource)]

    @property
    def failed(self) -> list[FailedSource]:
        """The items that cannot."""
        return [item for item in self.items if isinstance(item, FailedSource)]


def file_uri(path: Path) -> str:
    """The address of a file: absolute, links resolved, percent-encoded."""
    return path.absolute().resolve().as_uri()


def list_sources(paths: Sequence[Path | str], settings: Settings) -> Listing:
    """Lists files, the files of folders, and the members of zip archives.

    Args:
        paths: what the user named; a file named here is tried whatever its type.
        settings: limits for files and archives.

    Raises:
        PathNotFound: if one of the paths is not there; nothing is listed then.
    """
    roots = [Path(path) for path in paths]
    for root in roots:
        if not os.path.lexists(root):
            raise PathNotFound(f"there is no {root}", hint="Check the path.", path=str(root))
    lister = _Lister(settings)
    for root in roots:
        lister.add_root(root)
    return lister.listing


class _Lister:
    """One listing under way."""

    def __init__(self, settings: Settings) -> None:
        self.listing = Listing()
        self._limits = ParseLimits.for_archives(settings)
        self._max_bytes = settings.max_file_bytes
        self._uris: set[str] = set()
        # Folders seen, by device and inode.
        self._folders: set[tuple[int, int]] = set()

    def add_root(self, root: Path) -> None:
        """Lists what the user named."""
        try:
            path = root.absolute().resolve(strict=True)
            facts = path.stat()
        except RuntimeError:
            self._refuse(_loose_uri(root), DirectoryLoop(f"{root} is a link that leads to itself"))
            return
        except OSError as error:
            self._refuse(_loose_uri(root), os_reason(error, display_name(root)))
            return
        if stat.S_ISDIR(facts.st_mode):
            self._walk(path, facts)
        else:
            self._add_file(path, facts, display_name(root))

    def _walk(self, root: Path, facts: os.stat_result) -> None:
        """Lists a folder and those below it, without recursion."""
        top = (facts.st_dev, facts.st_ino)
        if top in self._folders:
            return
        self._folders.add(top)
        above = [top]
        stack = [self._entries(root)]
        while stack:
            entry = next(stack[-1], None)
            if entry is None:
                stack.pop()
                above.pop()
                continue
            folder, name = entry
            path = folder / name
            try:
                found = path.stat()
                target = path.resolve(strict=True) if path.is_symlink() else path
            except (OSError, RuntimeError) as error:
                self._add_broken(path, error)
                continue
            if not stat.S_ISDIR(found.st_mode):
                self._add_listed(target, name, found)
                continue
            identity = (found.st_dev, found.st_ino)
            if identity in above:
                text = f"{display_name(path)} leads back to a folder above it"
                self._refuse(_loose_uri(path), DirectoryLoop(text))
            elif identity not in self._folders:
                self._folders.add(identity)
                above.append(identity)
                stack.append(self._entries(target))

    def _entries(self, folder: Path) -> Iterator[tuple[Path, str]]:
        """The names in a folder that are looked at, in order."""
        try:
            names = sorted(entry.name for entry in folder.iterdir())
        except OSError as error:
            self._refuse(file_uri(folder), os_reason(error, display_name(folder)))
            return
        skipped = media.SKIPPED_FOLDERS
        if media.SPHINX_MARK in names:
            skipped = skipped | media.SPHINX_FOLDERS
        for name in names:
            if not name.startswith(".") and name not in skipped:
                yield folder, name

    def _add_listed(self, path: Path, name: str, facts: os.stat_result) -> None:
        """Adds a file found in a folder, if it is of a type that is read."""
        if media.is_listed(name):
            self._add_file(path, facts, display_name(Path(name)))
        else:
            self.listing.skipped += 1

    def _add_broken(self, path: Path, error: OSError | RuntimeError) -> None:
        """Adds an entry that cannot be looked at, if its name says it would be read."""
        if isinstance(error, RuntimeError):
            error = OSError(errno.ELOOP, "too many levels of links")
        reason = os_reason(error, display_name(path))
        if isinstance(reason, DirectoryLoop) or media.is_listed(path.name):
            self._refuse(_loose_uri(path), reason)
        else:
            self.listing.skipped += 1

    def _add_file(self, path: Path, facts: os.stat_result, name: str) -> None:
        """Adds a file under its own address and the name by which it was found."""
        uri = path.as_uri()
        if uri in self._uris:
            return
        if not stat.S_ISREG(facts.st_mode):
            self._refuse(uri, NotRegular(f"{name} is not a regular file"))
            return
        self._uris.add(uri)
        if media.media_type_of(name) == media.ZIP:
            self._add_archive(path, uri)
        else:
            self.listing.items.append(FileSource(uri, name, facts.st_size, path, self._max_bytes))

    def _add_archive(self, path: Path, uri: str) -> None:
        try:
            for member in Archive(path, uri, self._limits, self._max_bytes).members():
                if member is None:
                    self.listing.skipped += 1
                else:
                    self.listing.items.append(member)
        except UnreadableFile as error:
            self.listing.items.append(FailedSource(uri, error))

    def _refuse(self, uri: str, error: UnreadableFile) -> None:
        if uri not in self._uris:
            self._uris.add(uri)
            self.listing.items.append(FailedSource(uri, error))


def _loose_uri(path: Path) -> str:
    """The address of an entry that cannot be resolved."""
    return path.absolute().as_uri()
