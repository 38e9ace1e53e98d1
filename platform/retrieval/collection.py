"""Keeps one collection's index in a folder: its table of chunks, their vectors and their terms.

What always holds:
- position i names the same chunk in all three; positions only grow, and a document that is written
  again has new ones;
- what was flushed survives a crash at any point. The postings are flushed last and their state
  decides: what the others have beyond it is cut off, and rows since its generation bring the index
  up to date again. Taking in a change twice does no harm;
- snapshots never change.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import msgspec
import numpy as np
import numpy.typing as npt

from rostra.core import FloatMatrix, get_logger
from rostra.retrieval.analysis import Analyzer, BatchAnalysis
from rostra.retrieval.dense import DenseOptions, DenseWriter
from rostra.retrieval.index import CollectionIndex, searchable_text
from rostra.retrieval.lexical import Bm25, DamagedIndex, LexicalWriter, Mask
from rostra.retrieval.table import Ids, NewPlaces, TableWriter, write_table
from rostra.store import DocumentStamp, IndexRow, IndexRows, packed_ids

log = get_logger(__name__)

# Fewer positions are never worth writing anew.
_WORTH_COMPACTING = 1024


@dataclass(frozen=True, slots=True)
class Identity:
    """What an index is of; of anything else it is of no use.

    Attributes:
        collection_id: the collection's.
        space: fingerprint of the vectors' embedding space.
        dimensions: of the vectors.
    """

    collection_id: UUID
    space: str
    dimensions: int


@dataclass(frozen=True, slots=True)
class Changes:
    """Some of what the rows say beyond an index.

    Attributes:
        removed: uint8 [documents, 16], documents that are gone.
        stamps: documents that are new or written again.
        rows: the chunks of `stamps`, in any order.
        more: more are to be taken in before anybody searches.
    """

    removed: Ids
    stamps: Sequence[DocumentStamp]
    rows: IndexRows | Sequence[IndexRow]
    more: bool = False


class _State(msgspec.Struct, frozen=True):
    """The owner's note with the postings: the generation up to which all rows are in."""

    generation: int


class CollectionWriter:
    """See this module.

    Args:
        folder: of its files; made if it is missing. One writer at a time.
        identity: what it is of; that the folder is of the same is for the caller to know.
        analyzer: text to terms.
        options: how vectors are searched.
        model: the form of BM25; Okapi by default.

    Raises:
        DamagedIndex: a file is missing, damaged, or of another make. Empty the folder and take in
            all rows anew.
        OSError: the folder cannot be made or read.
    """

    def __init__(
        self,
        folder: Path,
        identity: Identity,
        analyzer: Analyzer,
        options: DenseOptions,
        model: Bm25 | None = None,
    ) -> None:
        self.folder = folder
        self.identity = identity
        self._analysis = BatchAnalysis(analyzer)
        self._options = options
        # A reader of the writer's own model is shared, one of another is made for each snapshot.
        self._model = None if model == Bm25() else model
        self._lock = threading.RLock()
        self._lexical = LexicalWriter(folder / "lexical", analyzer.name, background=True)
        count = len(self._lexical)
        self.generation = _generation(folder, self._lexical.state)
        self._table = TableWriter(folder / "table", count)
        self._dense = DenseWriter(folder / "dense", identity.dimensions, options, keep=count)
        if len(self._dense) != count:
            raise DamagedIndex(folder / "dense", "has fewer rows than the postings")
        # Chunks that came or went since the last flush.
        self.unflushed = 0

    # --- Reading --------------------------------------------------------------------------------
    def __len__(self) -> int:
        """Positions, those of chunks that are gone included."""
        return len(self._lexical)

    @property
    def due(self) -> bool:
        """Whether `improve` has something to do."""
        return self._dense.due == "train"

    @property
    def is_sparse(self) -> bool:
        """Whether so much is gone that `compact` would pay."""
        return len(self) >= _WORTH_COMPACTING and self._dense.due == "compact"

    @property
    def is_scattered(self) -> bool:
        """Whether `gather` would pay."""
        return self._lexical.is_scattered

    def snapshot(self) -> CollectionIndex:
        """What there is now; see `generation` for what that is."""
        with self._lock:
            return CollectionIndex(
                collection_id=self.identity.collection_id,
                space=self.identity.space,
                generation=self.generation,
                table=self._table.table(),
                dense=self._dense.snapshot(),
                lexical=self._lexical.snapshot(self._model),
            )

    def known(self) -> tuple[Ids, npt.NDArray[np.int64]]:
        """Ids of the documents that have a chunk here, and the generations that wrote them."""
        with self._lock:
            table, live = self._table.table(), self._lexical.snapshot().live
        here = live[table.firsts]
        return table.documents[here], table.generations[here]

    def verify(self) -> None:
        """Reads every file and compares it with what was written.

        Raises:
            DamagedIndex: one is damaged.
        """
        self._lexical.verify()
        self._dense.verify()

    # --- Writing --------------------------------------------------------------------------------
    def take_in(self, changes: Changes) -> None:
        """Follows some changes. Durable after `flush`.

        Raises:
            OSError: the disk is full or not writable. Close this writer and open another.
        """
        documents, vectors, texts = _prepared(changes, self.identity.dimensions)
        terms = self._analysis.rows(texts)
        old = np.concatenate([changes.removed, packed_ids([one.id for one in changes.stamps])])
        with self._lock:
            known = len(old) and len(self._table)
            gone = self._table.table().positions_of(old) if known else np.zeros(0, np.int64)
            if len(gone):
                self._dense.remove(gone)
                self.unflushed += self._lexical.remove(gone)
            if len(vectors):
                self._dense.add(vectors)
                self._lexical.add(terms, more=changes.more)
                self._table.add(documents)
                self.unflushed += len(terms)

    def reached(self, generation: int) -> None:
        """Says that all rows up to this generation have been taken in."""
        with self._lock:
            if generation != self.generation:
                self.generation = generation
                self.unflushed += 1

    def flush(self) -> None:
        """Makes everything so far durable.

        Raises:
            OSError: the disk is full or not writable; what was flushed before stands, and this can
                be tried again.
        """
        with self._lock:
            if not self.unflushed:
                return
            self._table.flush()
            state = _note(self.generation)
            self._dense.flush(state)
            self._lexical.flush(state)
            self.unflushed = 0

    def improve(self) -> None:
        """Trains what finds vectors quickly. Reading and writing go on meanwhile.

        Raises:
            OSError: the disk is full or not writable; everything stays as it is.
            FinderFailed: the GPU or the server does not do its part; likewise.
        """
        self._dense.train()
        with self._lock:
            self.unflushed += 1
            self.flush()

    def gather(self) -> None:
        """Writes postings that are spread over many files into one. Reading and writing go on.

        Raises:
            OSError: the disk is full or not writable; everything stays as it is.
        """
        self._lexical.gather()

    def compact(self, folder: Path) -> None:
        """Writes what is still there into a folder of its own; this one stays as it is.

        Reading and writing go on meanwhile; a writer of the new folder takes in what they missed.

        Args:
            folder: new or empty.

        Raises:
            OSError: the disk is full or not writable; the new folder is worth nothing.
            FinderFailed: the GPU or the server does not do its part; likewise.
        """
        # Taken first: more may be in than it says, never less.
        state = _note(self.generation)
        kept = self._lexical.compact(folder / "lexical", state)
        with self._lock:  # behind whoever added the last of these
            table = self._table.table()
        write_table(folder / "table", table, kept)
        self._dense.compact(folder / "dense", state, kept)

    def close(self) -> None:
        """Waits for a merge of postings; nothing is flushed."""
        self._lexical.close()


def _note(generation: int) -> str:
    return msgspec.json.encode(_State(generation)).decode()


def _generation(folder: Path, state: str) -> int:
    if not state:
        return 0
    try:
        return msgspec.json.decode(state, type=_State).generation
    except msgspec.MsgspecError as error:
        raise DamagedIndex(folder / "lexical", "is somebody else's") from error


def _prepared(changes: Changes, dimensions: int) -> tuple[NewPlaces, FloatMatrix, list[str]]:
    """Documents with their chunks in order, and the chunks' vectors and texts."""
    rows = changes.rows if isinstance(changes.rows, IndexRows) else IndexRows.of(changes.rows)
    stamps = changes.stamps
    place = {stamp.id.bytes: at for at, stamp in enumerate(stamps)}
    octets = rows.documents.tobytes()
    owner = np.array(
        [place.get(octets[at : at + 16], -1) for at in range(0, len(octets), 16)], np.int64
    )
    kept = np.flatnonzero((owner >= 0) & _usable(rows))
    # By document as they are given, then by their place in it.
    kept = kept[np.lexsort((rows.ordinals[kept], owner[kept]))]
    if not len(kept):
        return NewPlaces.of([]), np.zeros((0, dimensions), np.float32), []
    owner = owner[kept]
    here, sizes = np.unique(owner, return_counts=True)
    written = [stamps[at] for at in here.tolist()]
    places = NewPlaces(
        packed_ids([stamp.id for stamp in written]),
        [stamp.uri for stamp in written],
        np.array([stamp.generation for stamp in written], np.int64),
        sizes,
        rows.chunks[kept],
        rows.ordinals[kept],
    )
    in_order = len(kept) == len(rows) and bool((np.diff(kept) == 1).all())
    texts = [searchable_text(rows.contexts[at], rows.texts[at]) for at in kept.tolist()]
    return places, rows.vectors if in_order else rows.vectors[kept], texts


def _usable(rows: IndexRows) -> Mask:
    """bool [chunks], whose vectors can be searched; older versions stored what cannot."""
    vectors = rows.vectors
    usable: Mask = np.asarray(np.isfinite(vectors).all(axis=1) & vectors.any(axis=1), np.bool_)
    if not usable.all():
        bad = np.flatnonzero(~usable)
        some = [str(UUID(bytes=rows.chunks[at].tobytes())) for at in bad[:10].tolist()]
        log.warning("vectors that are of no use are left out", chunks=some, count=len(bad))
    return usable
