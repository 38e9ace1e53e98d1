"""Where indexes are on disk, and who may write there: a cache of what the rows say.

What always holds: one process at a time keeps a collection's index, by a lock; another has a copy
of its own, which ends with it. A folder is named by a pointer that says what it is of; one of
another embedding space, analyzer or format, or a damaged one, is not used and built anew. Losing
everything here loses nothing.

Copying is quick: files that are never written again are shared by hard links.
"""

import contextlib
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import msgspec

from rostra.core import StoreUnavailable, get_logger, new_id
from rostra.retrieval.analysis import Analyzer
from rostra.retrieval.cloning import clone
from rostra.retrieval.collection import CollectionWriter, Identity
from rostra.retrieval.dense import DenseOptions
from rostra.retrieval.lexical import Bm25, DamagedIndex
from rostra.retrieval.lexical.storage import MANIFEST, read_manifest, write_manifest
from rostra.store import DirectoryInUse, DirectoryLock

log = get_logger(__name__)

_FORMAT = 2
_LOCK = "index"
_GUEST = "guest-"
# The owner may replace files while they are copied.
_TRIES = 3


class _Pointer(msgspec.Struct, frozen=True):
    """Which folder counts, and what it is of."""

    format: int
    folder: str
    space: str
    dimensions: int
    analyzer: str


@dataclass
class OpenIndex:
    """A collection's index, open for writing.

    Attributes:
        writer: of it.
        lock: held while it is open.
        is_kept: whether it stays on disk; else it is this process's own copy.
        root: what is removed in the end where it is not kept.
    """

    writer: CollectionWriter
    lock: DirectoryLock
    is_kept: bool
    root: Path

    def close(self) -> None:
        """Lets go of it; nothing is flushed."""
        self.writer.close()
        if not self.is_kept:
            shutil.rmtree(self.root, ignore_errors=True)
        self.lock.release()


class IndexFolders:
    """Indexes under one folder.

    Args:
        folder: of all of them.
        analyzer: text to terms.
        options: how vectors are searched.
        model: the form of BM25; Okapi by default.
    """

    def __init__(
        self,
        folder: Path,
        analyzer: Analyzer,
        options: DenseOptions,
        model: Bm25 | None = None,
    ) -> None:
        self._model = model
        self._folder = folder
        self._analyzer = analyzer
        self._options = options

    def open(self, identity: Identity) -> OpenIndex:
        """A collection's index, as it was flushed last; the rows may have moved on since.

        Raises:
            OSError: there is no room for it.
        """
        root = self._folder / str(identity.collection_id)
        lock = DirectoryLock(root, _LOCK, "keeps the index of a collection")
        try:
            lock.acquire()
        except DirectoryInUse:
            return self._open_copy(identity, root)
        except (StoreUnavailable, OSError) as error:
            log.warning("indexes are not kept", folder=str(root), reason=str(error))
            return self._open_copy(identity, root)
        try:
            return OpenIndex(self._open_kept(identity, root), lock, True, root)
        except BaseException:
            lock.release()
            raise

    def may_keep(self, collection_id: UUID) -> bool:
        """Whether no process keeps this collection's index now."""
        lock = DirectoryLock(self._folder / str(collection_id), _LOCK, "looks at an index")
        try:
            with lock:
                return True
        except (DirectoryInUse, StoreUnavailable, OSError):
            return False

    def compact(self, opened: OpenIndex) -> None:
        """Writes a kept index anew, without what is gone; it counts from the next opening on.

        Raises:
            OSError, FinderFailed: see `CollectionWriter.compact`; the older one stays.
        """
        name = new_id().hex
        folder = opened.root / name
        done = False
        try:
            opened.writer.compact(folder)
            self._point(opened.root, name, opened.writer.identity)
            done = True
        finally:
            if not done:
                shutil.rmtree(folder, ignore_errors=True)

    def forget(self, opened: OpenIndex) -> None:
        """Makes the next opening begin with nothing: this one is damaged."""
        with contextlib.suppress(OSError):
            (opened.root / MANIFEST).unlink(missing_ok=True)

    def drop(self, collection_id: UUID) -> None:
        """Removes everything kept of a collection."""
        shutil.rmtree(self._folder / str(collection_id), ignore_errors=True)

    # --- Within ---------------------------------------------------------------------------------
    def _open_kept(self, identity: Identity, root: Path) -> CollectionWriter:
        name = self._named(root, identity)
        writer = None
        if name:
            try:
                writer = self._writer(root / name, identity)
            except DamagedIndex as error:
                log.warning("saved index not used", folder=str(root / name), reason=str(error))
        if writer is None:
            name = new_id().hex
            writer = self._writer(root / name, identity)
            self._point(root, name, identity)
        for path in root.iterdir():
            if path.name not in (name, MANIFEST, f"{_LOCK}.lock"):
                _remove_unused(path)
        return writer

    def _open_copy(self, identity: Identity, root: Path) -> OpenIndex:
        guest = root / f"{_GUEST}{new_id().hex}"
        lock = DirectoryLock(guest, _LOCK, "searches a copy of an index")
        try:
            lock.acquire()
        except (StoreUnavailable, OSError):
            guest = Path(tempfile.mkdtemp(prefix="rostra-index-"))
            lock = DirectoryLock(guest, _LOCK, "searches a copy of an index")
            lock.acquire()
        try:
            return OpenIndex(self._copied(identity, root, guest), lock, False, guest)
        except BaseException:
            shutil.rmtree(guest, ignore_errors=True)
            lock.release()
            raise

    def _copied(self, identity: Identity, root: Path, guest: Path) -> CollectionWriter:
        for attempt in range(_TRIES):
            name = self._named(root, identity)
            folder = guest / str(attempt)
            if not name:
                break
            try:
                clone(root / name, folder)
                return self._writer(folder, identity, own=False)
            except DamagedIndex as error:
                log.info("copied while it changed", folder=str(root / name), reason=str(error))
                shutil.rmtree(folder, ignore_errors=True)
        return self._writer(guest / "new", identity, own=False)

    def _writer(self, folder: Path, identity: Identity, own: bool = True) -> CollectionWriter:
        options = self._options
        if options.kind == "milvus":
            # A server's collections are the owner's alone.
            if own:
                prefix = f"rostra_{identity.collection_id.hex}"
                options = replace(options, milvus_collection=prefix)
            else:
                options = replace(options, kind="two_stage")
        return CollectionWriter(folder, identity, self._analyzer, options, self._model)

    def _named(self, root: Path, identity: Identity) -> str:
        """The folder that counts; empty where there is none of this identity."""
        try:
            body = read_manifest(root)
            pointer = msgspec.json.decode(body, type=_Pointer) if body is not None else None
        except (DamagedIndex, msgspec.MsgspecError) as error:
            log.warning("saved index not used", folder=str(root), reason=str(error))
            return ""
        if pointer is None or pointer != self._pointer(pointer.folder, identity):
            return ""
        return Path(pointer.folder).name

    def _point(self, root: Path, name: str, identity: Identity) -> None:
        write_manifest(root, msgspec.json.encode(self._pointer(name, identity)))

    def _pointer(self, name: str, identity: Identity) -> _Pointer:
        return _Pointer(_FORMAT, name, identity.space, identity.dimensions, self._analyzer.name)


def _remove_unused(path: Path) -> None:
    """Removes what another version or a process that was killed left; not a copy in use."""
    if not path.name.startswith(_GUEST):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        return
    lock = DirectoryLock(path, _LOCK, "removes a copy that was left")
    with contextlib.suppress(DirectoryInUse, StoreUnavailable, OSError), lock:
        shutil.rmtree(path, ignore_errors=True)
