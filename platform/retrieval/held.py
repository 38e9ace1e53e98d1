"""An index that this process has open: what searches see, and what is done beside them.

What always holds: maintenance is done by one thread at a time and never while the index is let go
of; it changes what is found in no way but how quickly.
"""

import threading

from rostra.core import get_logger
from rostra.retrieval.collection import CollectionWriter
from rostra.retrieval.dense import FinderFailed
from rostra.retrieval.folders import IndexFolders, OpenIndex
from rostra.retrieval.index import CollectionIndex
from rostra.retrieval.lexical import DamagedIndex
from rostra.store import Collection

log = get_logger(__name__)

# Chunks that may be lost to a crash, which then have to be read again.
_UNFLUSHED = 1024
# Seconds that the end of a process waits for what is done beside it.
_PATIENCE = 5.0


class HeldIndex:
    """See this module.

    Args:
        folders: where it is from.
        opened: it.

    Attributes:
        reopen: it is to be let go of and opened again before the next search.
    """

    def __init__(self, folders: IndexFolders, opened: OpenIndex) -> None:
        self._folders = folders
        self._opened = opened
        self._index: CollectionIndex | None = None
        self._maintaining = threading.Lock()
        self._asking = threading.Lock()
        # Nothing was due when somebody last looked, and nothing has changed since.
        self._settled = False
        self._thread: threading.Thread | None = None
        self._improved = False
        self._gave_up = False
        self._verified = not opened.is_kept
        self._ended = False
        self.reopen = False

    @property
    def writer(self) -> CollectionWriter:
        return self._opened.writer

    @property
    def is_kept(self) -> bool:
        """Whether it stays on disk; else it is this process's own copy."""
        return self._opened.is_kept

    def index_for(self, collection: Collection) -> CollectionIndex | None:
        """What searches of a collection as it is now see; None where it has to follow first.

        From any thread.
        """
        index = self._index
        if index is None or self.reopen or self._improved:
            return None
        if index.generation < collection.generation or index.space != collection.space.fingerprint:
            return None
        # Not before the second search: a process that asks once is not to train for it. And once
        # only: to ask what is due takes the locks of those who write.
        if not (self._settled and self._verified) and self._asking.acquire(blocking=False):
            try:
                self._maintain_beside()
            finally:
                self._asking.release()
        return index

    def publish(self) -> CollectionIndex:
        """Makes what the writer has now what searches see."""
        self._improved = False
        self._settled = False
        self._index = self.writer.snapshot()
        return self._index

    def maintain(self) -> None:
        """Flushes, trains, and writes anew what is sparse or scattered, as far as it is due."""
        with self._maintaining:
            self._maintain()

    def end(self, *, flush: bool = True, patience: float = _PATIENCE, forget: bool = False) -> bool:
        """Lets go of it; whether that was done.

        Args:
            flush: write down first what is new.
            patience: seconds to wait for maintenance, -1 without end; if it takes longer, the index
                is let go of with the process.
            forget: what is on disk is damaged.
        """
        if not self._maintaining.acquire(timeout=patience):
            return False
        try:
            if self._ended:
                return True
            self._ended = True
            if flush and self.is_kept:
                try:
                    self.writer.flush()
                except OSError as error:
                    # The index is a cache: the next start is slower, nothing else.
                    log.warning("index not saved", reason=str(error))
            if forget:
                self._folders.forget(self._opened)
            self._opened.close()
            return True
        finally:
            self._maintaining.release()

    def rebuild(self, error: DamagedIndex) -> None:
        """Has it built anew from the rows before the next search: a file is damaged."""
        log.error("index is damaged", folder=str(self.writer.folder), reason=str(error))
        self._folders.forget(self._opened)
        self.reopen = True

    # --- Within ---------------------------------------------------------------------------------
    @property
    def _is_untidy(self) -> bool:
        return self.writer.is_sparse or self.writer.is_scattered

    def _maintain_beside(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return  # nor asked: what is being done may hold the writer's lock for a moment
        writer = self.writer
        self._settled = True  # before asking: what changes from here on is asked about again
        due = (
            not self._verified
            or (self.is_kept and writer.unflushed >= _UNFLUSHED)
            or (not self._gave_up and (writer.due or (self.is_kept and self._is_untidy)))
        )
        if not due:
            return
        self._settled = False
        self._thread = threading.Thread(
            target=self._beside, name=f"keep {writer.folder.name}", daemon=True
        )
        self._thread.start()

    def _beside(self) -> None:
        with self._maintaining:
            if self._ended:
                return
            self._maintain()
            if not self._verified:
                self._verify()

    def _maintain(self) -> None:
        writer = self.writer
        if self._ended:
            return
        try:
            if self.is_kept:
                writer.flush()
            if not self._gave_up and writer.due:
                writer.improve()
                self._improved = True
            if not self._gave_up and self.is_kept and writer.is_sparse:
                self._folders.compact(self._opened)
                self.reopen = True
            elif not self._gave_up and self.is_kept and writer.is_scattered:
                writer.gather()
                self._improved = True
        except (OSError, FinderFailed) as error:
            # Searches are slower without it, or the next start is.
            self._gave_up = True
            log.warning("index not maintained", folder=str(writer.folder), reason=str(error))
        except DamagedIndex as error:
            self.rebuild(error)

    def _verify(self) -> None:
        self._verified = True
        try:
            self.writer.verify()
        except DamagedIndex as error:
            self.rebuild(error)
