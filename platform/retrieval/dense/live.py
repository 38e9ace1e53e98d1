"""Follows a collection's vectors: adds, removes, keeps them on disk, finds what is near.

What always holds:
- positions only grow; a removed row keeps its own and is never found again;
- what a search returns was there when its reader was made, is live, and passes the mask; masks and
  tombstones are honoured inside the search;
- scores are inner products at full width, and equal scores stand by `tie`; a finder only says which
  rows are worth scoring. Without one, and where filters leave few rows, the search is exact;
- what `flush` returned from survives a crash at any point; what came after the last one is lost,
  and `state` says where to go on;
- a snapshot never changes.

One writer owns a folder. Its methods may be called from any thread; they take turns.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from rostra.core import FloatMatrix, FloatVector, get_logger
from rostra.retrieval.dense.exact import GATHER, exact_search, ranked
from rostra.retrieval.dense.finder import Allowed, DenseOptions, Finder, FinderFailed
from rostra.retrieval.dense.finders import fits, load_finder, remind, train_finder
from rostra.retrieval.dense.ivf import sample_size
from rostra.retrieval.dense.rows import FILE_BYTES, Octets, pieces
from rostra.retrieval.dense.store import BLOCK, VectorStore, VectorView
from rostra.retrieval.lexical import DamagedIndex, Mask, Positions, Scores, Ties

log = get_logger(__name__)

# Most positions that one search gives.
MOST_FOUND = 10_000
# The share of dead rows from which on a folder should be written anew.
_DEAD = 0.2
# Candidates that are rescored for each hit that is asked for.
_OVERSAMPLE = 4


@dataclass(frozen=True)
class DenseReader:
    """The vectors that were there at one time; made by `DenseWriter.snapshot`.

    Attributes:
        view: them all, dead ones included.
        dead: bool [positions]; None where none is.
        finder: None while all are looked at.
        options: how to search.
    """

    view: VectorView
    dead: Mask | None
    finder: Finder | None
    options: DenseOptions

    def __len__(self) -> int:
        """Positions, dead ones included."""
        return len(self.view)

    @property
    def live(self) -> Mask:
        """bool [positions], false where a row was removed."""
        return np.ones(len(self), np.bool_) if self.dead is None else ~self.dead

    def search(
        self, query: FloatVector, k: int, mask: Mask | None = None, tie: Ties | None = None
    ) -> tuple[Positions, Scores]:
        """The k nearest live rows, best first, and their inner products with the query.

        Args:
            query: float32 [dimensions], unit length.
            k: most rows; at most `MOST_FOUND` are given.
            mask: bool [positions]; rows where it is false are never found.
            tie: uint64 [positions]; among equal scores the smaller goes first, then the position.

        Raises:
            ValueError: the query, `mask` or `tie` is not of this reader's width or length.
        """
        if query.shape != (self.view.dimensions,):
            raise ValueError(f"a query of {query.shape} for {self.view.dimensions} dimensions")
        for array in (mask, tie):
            if array is not None and len(array) != len(self):
                raise ValueError(f"{len(array)} values for {len(self)} positions")
        live = None if self.dead is None else ~self.dead
        allowed = Allowed.of(len(self), live, mask)
        wanted = min(k, allowed.count, MOST_FOUND)
        if wanted < 1:
            return np.zeros(0, np.int64), np.zeros(0, np.float64)
        if self.finder is not None and (self.finder.exact or allowed.count > GATHER):
            width = wanted
            if not self.finder.exact:
                width = min(allowed.count, max(self.options.shortlist, _OVERSAMPLE * wanted))
            try:
                found = self.finder.find(query, width, allowed)
            except FinderFailed as error:
                log.warning("looking at every vector instead", reason=str(error))
            else:
                if len(found) >= wanted:
                    return ranked(self.view, query, wanted, found, tie)
        return exact_search(self.view, query, wanted, allowed, tie)

    def scores(self, query: FloatVector, positions: Positions) -> Scores:
        """Inner products with the rows at these positions, float64 [positions], dead or not."""
        return self.view.scores(query, positions)

    def vectors(self, positions: Positions) -> FloatMatrix:
        """The rows at these positions, float32 [positions, dimensions], dead or not."""
        return self.view.take(positions)


class DenseWriter:
    """See this module.

    Args:
        folder: of its files; made if it is missing. One writer at a time.
        dimensions: of the vectors.
        options: how they are searched; may differ from those the folder was made with, except for
            `half`.
        keep: forget the positions from here on, and `state`: for an owner whose other parts were
            flushed later than this one and who goes on from there.
        file_bytes: most bytes of a new folder's files.

    Raises:
        DamagedIndex: a file is missing, damaged, or of other vectors. Empty the folder and add the
            rows anew.
        OSError: the folder cannot be made or read.
    """

    def __init__(
        self,
        folder: Path,
        dimensions: int,
        options: DenseOptions | None = None,
        *,
        keep: int | None = None,
        file_bytes: int = FILE_BYTES,
    ) -> None:
        self.options = options or DenseOptions()
        self._lock = threading.RLock()
        self._training = threading.Lock()
        self._store = VectorStore(
            folder,
            dimensions,
            half=self.options.half,
            recipe=self.options.recipe,
            lean=self.options.kind != "flat",
            keep=keep,
            file_bytes=file_bytes,
        )
        self._finder: Finder | None = None
        # Rows that the finder knew when it was last written.
        self._saved = 0
        self._open_finder()
        self._publish()

    # --- Reading --------------------------------------------------------------------------------
    def __len__(self) -> int:
        """Positions, dead ones included."""
        return len(self._store)

    @property
    def state(self) -> str:
        """What the last `flush` was given; empty before the first."""
        return self._store.state

    @property
    def flushed(self) -> int:
        """Positions that survive a crash."""
        return self._store.flushed

    @property
    def due(self) -> Literal["", "train", "compact"]:
        """What would make searching better: `train`, or `compact` into a new folder."""
        with self._lock:
            count = len(self._store)
            dead = int(np.count_nonzero(self._store.dead))
            if dead and dead >= _DEAD * count:
                return "compact"
            if self.options.kind == "flat" or count - dead < self.options.train_at:
                return ""
            finder = self._finder
            if finder is None or finder.outgrown(count):
                return "train"
            return "" if fits(self.options, finder, count - dead) else "train"

    def snapshot(self) -> DenseReader:
        """What there is now, as it will stay for whoever holds it. Never waits."""
        return self._reader

    def verify(self) -> None:
        """Reads every file and compares it with what was written.

        Raises:
            DamagedIndex: one is damaged.
        """
        for check in self._store.checks():
            # One file at a time, so that writing goes on between them.
            with self._lock:
                check()

    # --- Writing --------------------------------------------------------------------------------
    def add(self, rows: FloatMatrix) -> Positions:
        """Appends vectors; their positions. Found at once, durable after `flush`.

        Args:
            rows: [rows, dimensions], unit length.

        Raises:
            ValueError: they are of another width.
            UnusableVector: one is of zeros or not finite; none was added.
            OSError: the disk is full or not writable; none was added.
        """
        with self._lock:
            first = len(self._store)
            checked = self._store.checked(rows)
            if len(checked):
                codes = self._finder.encode(checked) if self._finder is not None else None
                self._store.append(checked, codes)
                if self._finder is not None and codes is not None:
                    try:
                        self._finder.add(checked, codes)
                    except FinderFailed as error:
                        self._give_up(error)
                self._publish()
            return np.arange(first, first + len(checked), dtype=np.int64)

    def remove(self, positions: Positions) -> int:
        """Takes rows out for good; those that are out already are left alone. How many went.

        Raises:
            IndexError: there is no such position.
        """
        with self._lock:
            wanted = np.unique(np.asarray(positions, np.int64))
            if len(wanted) and not 0 <= wanted[0] <= wanted[-1] < len(self._store):
                raise IndexError(f"positions are 0 to {len(self._store) - 1}")
            gone = wanted[~self._store.dead[wanted]]
            if len(gone):
                self._store.bury(gone)
                if self._finder is not None:
                    try:
                        self._finder.forget(gone)
                    except FinderFailed as error:
                        self._give_up(error)
                self._publish()
            return len(gone)

    def flush(self, state: str = "") -> None:
        """Makes everything so far durable, together with the owner's note of what that is.

        Raises:
            OSError: the disk is full or not writable; what was flushed before stands, and this can
                be tried again.
        """
        with self._lock:
            if self._finder is not None and self._finder.worth_saving(self._saved):
                self._save(self._finder, [])
            self._store.flush(state)

    def train(self) -> None:
        """Makes a finder of what is there, or a new one. Reading and writing go on meanwhile.

        Durable after `flush`. Nothing happens for `flat`, and where there is no live row.

        Raises:
            OSError: the disk is full or not writable; the older finder, if any, stays.
            FinderFailed: the GPU or the server does not do its part; likewise.
        """
        if self.options.kind == "flat":
            return
        with self._training:
            view, live = self._store_now()
            if not live.any():
                return
            finder = train_finder(self.options, _sample(view, live), len(view))
            kept = list(_feed(finder, view, 0, len(view)))
            finder.forget(np.flatnonzero(~live))
            with self._lock:
                now = self._store.view()
                kept.extend(_feed(finder, now, finder.count, len(now)))
                finder.forget(np.flatnonzero(self._store.dead[: len(live)] & live))
                self._save(finder, kept)
                self._finder = finder
                self._publish()

    def compact(
        self, folder: Path, state: str = "", positions: Positions | None = None
    ) -> Positions:
        """Writes the live rows, renumbered, into a folder of their own; this one stays as it is.

        Reading and writing go on meanwhile; what they change is not in it. Open the new folder with
        a writer of its own.

        Args:
            folder: new or empty.
            state: what the new folder's `state` is.
            positions: write these, whether live or not, instead of all that are live.

        Returns:
            int64, the old positions of the new ones.

        Raises:
            OSError: the disk is full or not writable; the new folder is worth nothing.
            FinderFailed: the GPU or the server does not do its part; likewise.
        """
        view, live = self._store_now()
        kept = np.flatnonzero(live) if positions is None else positions
        fresh = DenseWriter(folder, self._store.dimensions, self.options)
        for piece in pieces(len(kept), BLOCK):
            fresh.add(view.take(kept[piece]))
        if fresh.due == "train":
            fresh.train()
        fresh.flush(state)
        return kept

    # --- Within ---------------------------------------------------------------------------------
    def _store_now(self) -> tuple[VectorView, Mask]:
        with self._lock:
            return self._store.view(), ~self._store.dead

    def _open_finder(self) -> None:
        trained = self._store.trained()
        if trained is None:
            return
        codes = self._store.codes()
        count = len(self._store)
        try:
            finder = load_finder(self.options, trained)
            self._saved = finder.count
            if codes is not None:
                if codes.width != finder.code_width:
                    raise ValueError("codes are of another width")
                # At once, so that it knows how much room it needs.
                finder.add(None, codes.whole())
                codes.let_go()
                remind(finder, self._store.view())
            elif finder.count > count:
                raise ValueError("more rows are known than there are")
            else:
                for _ in _feed(finder, self._store.view(), finder.count, count):
                    pass
            if codes is None:
                finder.forget(np.flatnonzero(self._store.dead))
        except FinderFailed as error:
            self._give_up(error)
        except (ValueError, KeyError, RuntimeError) as error:
            raise DamagedIndex(self._store.folder / "trained", str(error)) from error
        else:
            self._finder = finder

    def _save(self, finder: Finder, codes: list[Octets]) -> None:
        self._store.retrain(finder.save(), finder.code_width, codes)
        self._saved = finder.count

    def _give_up(self, error: FinderFailed) -> None:
        """Every vector is looked at until `train` makes another finder."""
        log.warning("the index of vectors is given up", reason=str(error))
        self._finder = None
        self._store.untrain()

    def _publish(self) -> None:
        dead = self._store.dead
        self._reader = DenseReader(
            self._store.view(), dead if dead.any() else None, self._finder, self.options
        )


def _sample(view: VectorView, live: Mask) -> FloatMatrix:
    """Live rows spread over all, float32."""
    positions = np.flatnonzero(live)
    wanted = min(len(positions), sample_size(len(positions)))
    return view.take(positions[np.linspace(0, len(positions) - 1, wanted).astype(np.int64)])


def _feed(finder: Finder, view: VectorView, start: int, stop: int) -> Iterator[Octets]:
    """Gives a finder rows that it lacks; yields their codes where it wants codes kept."""
    for piece in pieces(stop - start, BLOCK):
        rows = view.block(start + piece.start, start + piece.stop)
        codes = finder.encode(rows)
        finder.add(rows, codes)
        view.scanned(len(rows))
        if finder.code_width:
            yield codes
