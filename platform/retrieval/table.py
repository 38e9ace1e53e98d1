"""Which chunk each position is, of which document, and who goes first among equals.

What always holds: positions and places only grow; a document that is written again has a new place
and new positions behind all others. A document's chunks are consecutive, in the order of its text.
A table that was handed out stays as it was. Whether a chunk is still there is not said here: the
postings know. On disk rows are counted by a manifest that is replaced in one step, with checksums
that are compared whenever a table is opened.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import numpy.typing as npt

from rostra.retrieval.dense.rows import RowFile, Rows, RowsView, as_octets
from rostra.retrieval.lexical import DamagedIndex, Mask, Positions, Ties
from rostra.retrieval.lexical.runs import spread
from rostra.retrieval.lexical.storage import MANIFEST, read_manifest, remove_others, write_manifest

Ids = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Array = npt.NDArray[Any]

_FORMAT = 1
_CHUNK = np.dtype([("id", "u1", 16), ("tie", "<u8"), ("document", "<i4")])
_DOCUMENT = np.dtype([("id", "u1", 16), ("generation", "<i8"), ("first", "<i8")])
# A tie's lower bits are the place in the document.
_ORDINAL_BITS = 20
# The share of an array that is kept free behind it.
_ROOM = 8
# Documents that are looked for one by one among those that are not sorted yet.
_FEW = 16
# So many, and this share of those sorted, may stand behind them.
_UNSORTED = 1024, 8


class TableManifest(msgspec.Struct, frozen=True):
    """What a folder holds: files of chunks, and of documents."""

    format: int
    chunks: list[RowFile]
    documents: list[RowFile]


@dataclass(frozen=True, slots=True)
class NewPlace:
    """A document that is added.

    Attributes:
        id: of the document.
        uri: its address.
        generation: that wrote it.
        chunks: its chunks' ids, in order; at least one.
        ordinals: their places in the document.
    """

    id: UUID
    uri: str
    generation: int
    chunks: Sequence[UUID]
    ordinals: Sequence[int]


@dataclass(frozen=True, slots=True)
class NewPlaces:
    """Many of them, by columns.

    Attributes:
        ids: uint8 [documents, 16].
        uris: their addresses.
        generations: int64 [documents].
        sizes: int64 [documents], how many chunks each has; at least one.
        chunks: uint8 [chunks, 16], ids, one document after another.
        ordinals: int64 [chunks].
    """

    ids: Ids
    uris: Sequence[str]
    generations: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    chunks: Ids
    ordinals: npt.NDArray[np.int64]

    @classmethod
    def of(cls, documents: Sequence[NewPlace]) -> "NewPlaces":
        """The same of single ones."""
        return cls(
            _packed([one.id for one in documents]),
            [one.uri for one in documents],
            np.array([one.generation for one in documents], np.int64),
            np.array([len(one.chunks) for one in documents], np.int64),
            _packed([chunk for one in documents for chunk in one.chunks]),
            np.array([at for one in documents for at in one.ordinals], np.int64),
        )


@dataclass(frozen=True)
class SortedIds:
    """Ids of documents by their second half, which is random.

    Attributes:
        keys: uint64, rising.
        places: int64, whose they are.
    """

    keys: Words
    places: Positions

    @classmethod
    def of(cls, words: Words, first: int = 0) -> "SortedIds":
        """Those of places from `first` on."""
        order = np.argsort(words[first:, 1])
        return cls(words[first:, 1][order], order + first)

    def find(self, words: Words, wanted: Words) -> Positions:
        """Places whose id is among those wanted.

        Args:
            words: uint64 [places, 2], all ids.
            wanted: uint64 [ids, 2].
        """
        wanted = wanted[np.argsort(wanted[:, 1])]
        starts = np.searchsorted(self.keys, wanted[:, 1], "left")
        ends = np.searchsorted(self.keys, wanted[:, 1], "right")
        sizes = ends - starts
        begins = spread(sizes)
        at = np.repeat(starts - begins[:-1], sizes) + np.arange(begins[-1])
        found = self.places[at]
        same: Positions = found[words[found, 0] == np.repeat(wanted[:, 0], sizes)]
        return same


@dataclass(frozen=True)
class ChunkTable:
    """The chunks that were there at one time, those that are gone by then included.

    Attributes:
        ids: uint8 [positions, 16], of chunks.
        tie: uint64 [positions], by address and place in the document: equal rows have equal ones,
            whatever happened before.
        document: int32 [positions], places of documents.
        documents: uint8 [places, 16], their ids.
        generations: int64 [places], that wrote them.
        firsts: int64 [places], the position of their first chunk.
        known: most of the ids, sorted.
    """

    ids: Ids
    tie: Ties
    document: npt.NDArray[np.int32]
    documents: Ids
    generations: npt.NDArray[np.int64]
    firsts: Positions
    known: SortedIds

    def __len__(self) -> int:
        return len(self.document)

    def chunk_id(self, position: int) -> UUID:
        """The id of the chunk at a position."""
        return UUID(bytes=self.ids[position].tobytes())

    def places_of(self, documents: Ids) -> Positions:
        """All places of documents, older ones included, rising.

        Args:
            documents: uint8 [documents, 16]; those that are unknown have none.
        """
        words, wanted = _words(self.documents), _words(documents)
        behind = len(self.known.places)
        found = [self.known.find(words, wanted)]
        if behind < len(words):
            if len(wanted) <= _FEW:
                rest = words[behind:]
                found += [np.flatnonzero((rest == one).all(axis=1)) + behind for one in wanted]
            else:
                found.append(SortedIds.of(words, behind).find(words, wanted))
        return np.unique(np.concatenate(found))

    def positions_of(self, documents: Ids) -> Positions:
        """The positions of all chunks that these documents have or had, rising."""
        places = self.places_of(documents)
        starts = self.firsts[places]
        last = len(self.firsts) - 1
        ends = np.where(places < last, self.firsts[np.minimum(places + 1, last)], len(self))
        begins = spread(ends - starts)
        return np.repeat(starts - begins[:-1], ends - starts) + np.arange(begins[-1])

    def mask_of(self, documents: Ids) -> Mask:
        """bool [positions], true for the chunks of these documents."""
        wanted = np.zeros(len(self.documents), np.bool_)
        wanted[self.places_of(documents)] = True
        return wanted[self.document]


class TableWriter:
    """Keeps a table in a folder. One thread writes; tables may be read by any.

    Args:
        folder: of its files; made if it is missing. One writer at a time.
        keep: forget the positions from here on: what else was flushed does not know them.

    Raises:
        DamagedIndex: a file is missing or damaged, or there are fewer positions.
        OSError: the folder cannot be made or read.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        manifest = _open_manifest(folder)
        self._chunk_rows = Rows(folder, "chunks", _CHUNK.itemsize, manifest.chunks)
        self._document_rows = Rows(folder, "documents", _DOCUMENT.itemsize, manifest.documents)
        self.verify()
        self._known = SortedIds.of(np.zeros((0, 2), np.uint64))
        chunks = _typed(self._chunk_rows.view(), _CHUNK)
        documents = _typed(self._document_rows.view(), _DOCUMENT)
        if keep > len(chunks) or (len(chunks) and chunks["document"].max() >= len(documents)):
            raise DamagedIndex(folder / MANIFEST, "counts fewer rows than others")
        if keep < len(chunks):
            places = int(chunks["document"][keep - 1]) + 1 if keep else 0
            self._chunk_rows.cut(keep)
            self._document_rows.cut(places)
            chunks, documents = chunks[:keep], documents[:places]
            # Before any of these rows is written again.
            self.flush()
        self._ids = _Growing(chunks["id"])
        self._ties = _Growing(chunks["tie"])
        self._places = _Growing(chunks["document"])
        self._documents = _Growing(documents["id"])
        self._generations = _Growing(documents["generation"])
        self._firsts = _Growing(documents["first"])
        remove_others(folder, {one.file for one in (*manifest.chunks, *manifest.documents)})

    def __len__(self) -> int:
        return len(self._chunk_rows)

    def table(self) -> ChunkTable:
        """All positions as they are now."""
        documents = self._documents.now
        sorted_ = len(self._known.places)
        if len(documents) - sorted_ > _UNSORTED[0] + sorted_ // _UNSORTED[1]:
            self._known = SortedIds.of(_words(documents))
        return ChunkTable(
            self._ids.now,
            self._ties.now,
            self._places.now,
            documents,
            self._generations.now,
            self._firsts.now,
            self._known,
        )

    def verify(self) -> None:
        """Compares all rows with what was written.

        Raises:
            DamagedIndex: a file is missing or differs.
        """
        self._chunk_rows.verify()
        self._document_rows.verify()

    def add(self, documents: "NewPlaces | Sequence[NewPlace]") -> None:
        """Appends documents. Durable after `flush`.

        Raises:
            OSError: the disk is full or not writable; nothing was added.
        """
        new = documents if isinstance(documents, NewPlaces) else NewPlaces.of(documents)
        begins = spread(new.sizes)
        places = np.zeros(len(new.ids), _DOCUMENT)
        places["id"], places["generation"] = new.ids, new.generations
        places["first"] = len(self) + begins[:-1]
        chunks = np.zeros(int(begins[-1]), _CHUNK)
        chunks["id"] = new.chunks
        bases = np.array([_base(uri) for uri in new.uris], np.uint64)
        last = np.uint64((1 << _ORDINAL_BITS) - 1)
        chunks["tie"] = np.repeat(bases, new.sizes) | np.minimum(
            new.ordinals.astype(np.uint64), last
        )
        first = len(self._document_rows)
        chunks["document"] = np.repeat(np.arange(first, first + len(new.ids)), new.sizes)
        self.append(chunks, places)

    def flush(self) -> None:
        """Makes all rows durable.

        Raises:
            OSError: the disk is full or not writable; what was flushed before stands.
        """
        self._chunk_rows.sync()
        self._document_rows.sync()
        manifest = TableManifest(_FORMAT, self._chunk_rows.files, self._document_rows.files)
        write_manifest(self._folder, msgspec.json.encode(manifest))

    def append(self, chunks: Array, places: Array) -> None:
        """The same of rows as they are on disk.

        Raises:
            OSError: the disk is full or not writable; nothing was added.
        """
        if not len(chunks):
            return
        before = len(self._document_rows)
        self._document_rows.append(as_octets(places))
        try:
            self._chunk_rows.append(as_octets(chunks))
        except OSError:
            self._document_rows.cut(before)
            raise
        self._ids.add(chunks["id"])
        self._ties.add(chunks["tie"])
        self._places.add(chunks["document"])
        self._documents.add(places["id"])
        self._generations.add(places["generation"])
        self._firsts.add(places["first"])


def write_table(folder: Path, table: ChunkTable, positions: Positions) -> None:
    """Writes some positions of a table, renumbered, into a folder of their own.

    Args:
        folder: new or empty.
        table: theirs.
        positions: rising, of whole documents.

    Raises:
        OSError: the disk is full or not writable; the new folder is worth nothing.
    """
    document = table.document[positions]
    heads = np.flatnonzero(np.diff(document, prepend=-1))
    kept = document[heads]
    places = np.zeros(len(kept), _DOCUMENT)
    places["id"], places["generation"] = table.documents[kept], table.generations[kept]
    places["first"] = heads
    chunks = np.zeros(len(positions), _CHUNK)
    chunks["id"], chunks["tie"] = table.ids[positions], table.tie[positions]
    chunks["document"] = np.repeat(np.arange(len(kept)), np.diff(heads, append=len(positions)))
    fresh = TableWriter(folder, 0)
    fresh.append(chunks, places)
    fresh.flush()


class _Growing:
    """An array that is only added to; what was handed out stays as it was.

    It begins with some room, so that the first document is not added by copying all others.
    """

    def __init__(self, rows: Array) -> None:
        self._count = len(rows)
        room = self._count + self._count // _ROOM + 256
        self._rows = np.zeros((room, *rows.shape[1:]), rows.dtype)
        self._rows[: self._count] = rows

    @property
    def now(self) -> Array:
        return self._rows[: self._count]

    def add(self, rows: Array) -> None:
        need = self._count + len(rows)
        if need > len(self._rows):
            shape = (max(need, 2 * len(self._rows)), *self._rows.shape[1:])
            grown = np.zeros(shape, self._rows.dtype)
            grown[: self._count] = self.now
            self._rows = grown
        self._rows[self._count : need] = rows
        self._count = need


def _open_manifest(folder: Path) -> TableManifest:
    body = read_manifest(folder)
    if body is None:
        return TableManifest(_FORMAT, [], [])
    try:
        manifest = msgspec.json.decode(body, type=TableManifest)
    except msgspec.MsgspecError as error:
        raise DamagedIndex(folder / MANIFEST, "is of another format") from error
    if manifest.format != _FORMAT:
        raise DamagedIndex(folder / MANIFEST, "is of another format")
    return manifest


def _typed(view: RowsView, dtype: np.dtype[Any]) -> Array:
    """Copies of rows."""
    rows = view.take(np.arange(len(view))) if len(view) else np.zeros((0, dtype.itemsize), np.uint8)
    return np.ascontiguousarray(rows).view(dtype)[:, 0]


def _words(ids: Ids) -> Words:
    return np.ascontiguousarray(ids).view(np.uint64).reshape(-1, 2)


def _packed(ids: Sequence[UUID]) -> Ids:
    return np.frombuffer(b"".join(one.bytes for one in ids), np.uint8).reshape(-1, 16)


def _base(uri: str) -> int:
    """A tie's upper bits."""
    digest = hashlib.blake2b(uri.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> _ORDINAL_BITS << _ORDINAL_BITS
