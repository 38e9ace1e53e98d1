"""A segment: postings of consecutive chunks in one file, mapped, never changed.

It has two directions. By term: rows and counts, in blocks with bounds from which the highest gain
can be told whatever the mean length is by then. By row: its terms, so that a chunk that is removed
can be taken out of every statistic, and so that a phrase can be looked for.

What always holds: terms are sorted by their UTF-8 bytes; a term's rows rise; nothing here depends
on other segments or on what was removed since.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from rostra.retrieval.lexical.frequent import FrequentTerms
from rostra.retrieval.lexical.inverting import inverted
from rostra.retrieval.lexical.runs import counted, gathered, spread
from rostra.retrieval.lexical.storage import (
    Array,
    DamagedIndex,
    Sections,
    check_digests,
    let_go,
    reading,
    writing,
)

if TYPE_CHECKING:
    import torch

    from rostra.retrieval.lexical.accelerated import DevicePostings

Ids = npt.NDArray[np.int64]

# Postings that share one bound; part of the format.
BLOCK = 128
# Rows below which a segment is read by plain Python and numpy, so that small collections never wait
# for kernels to be loaded or compiled.
SMALL = 4096
# Terms from which on all of a small segment's are put in a dictionary first.
_MANY = 256
# Checked whenever a segment is opened; the rest only where files are small, or on `verify`.
_ALWAYS = ("lengths", "term_starts", "starts", "blocks")
_QUICK = 1 << 26


class SegmentEntry(msgspec.Struct, frozen=True):
    """What a manifest says of a segment.

    Attributes:
        file: its name.
        first: the position of its first row.
        rows: how many it has, those that were dead when it was written included.
        ordered: whether its rows keep the order and the repeats of their terms.
        sections: the arrays in its file.
    """

    file: str
    first: int
    rows: int
    ordered: bool
    sections: Sections


@dataclass(frozen=True)
class Segment:
    """See this module.

    Attributes:
        entry: what the manifest says of it.
        lengths: int32 [rows], terms in each, repeats counted; 0 for rows that hold nothing.
        term_text: uint8, all terms in UTF-8, one after another.
        term_starts: int64 [terms + 1], where each starts.
        starts: int64 [terms + 1], where each term's postings start.
        docs: int32 [postings], rows.
        tfs: uint8 or int32 [postings], how often the term occurs in the row.
        blocks: int64 [terms + 1], where each term's blocks start.
        block_last, block_tf, block_length: int32 [blocks], last row, highest count, shortest row.
        row_starts: int64 [rows + 1], where each row's terms start.
        row_terms: int32, each row's terms; as they stand in the text, or each once.
    """

    entry: SegmentEntry
    path: Path
    lengths: Array
    term_text: Array
    term_starts: Array
    starts: Array
    docs: Array
    tfs: Array
    blocks: Array
    block_last: Array
    block_tf: Array
    block_length: Array
    row_starts: Array
    row_terms: Array

    @property
    def rows(self) -> int:
        return self.entry.rows

    @property
    def first(self) -> int:
        """The position of its first row."""
        return self.entry.first

    @property
    def terms(self) -> int:
        """How many distinct terms it has."""
        return len(self.starts) - 1

    @property
    def frequent(self) -> FrequentTerms:
        """Counts by row of its most frequent terms; the same ones, however many ask at once."""
        kept: FrequentTerms | None = self.__dict__.get("_frequent")
        if kept is None:
            # In one step, which a cached property is not from Python 3.12 on: a search that filled
            # the counts of one and read those of another would count nothing.
            made = FrequentTerms(self.starts, self.docs, self.tfs, self.rows)
            kept = self.__dict__.setdefault("_frequent", made)
        return kept

    def on_device(self, device: "torch.device") -> "DevicePostings":
        """Its postings on a device, as long as it is there itself.

        Raises:
            DamagedIndex, RuntimeError: see `DevicePostings.of`.
        """
        from rostra.retrieval.lexical.accelerated import DevicePostings

        kept: DevicePostings | None = self.__dict__.get(f"_on {device}")
        if kept is None:
            kept = self.__dict__.setdefault(f"_on {device}", DevicePostings.of(self, device))
        return kept

    def term(self, at: int) -> bytes:
        """A term in UTF-8."""
        return self.term_text[self.term_starts[at] : self.term_starts[at + 1]].tobytes()

    def find(self, terms: Sequence[bytes]) -> Ids:
        """Places of terms, which must be sorted; -1 where one is missing."""
        if self.rows < SMALL:
            if len(terms) < _MANY and "_places" not in self.__dict__:
                return np.array([self._find(term) for term in terms], np.int64)
            place = self._places.get
            return np.fromiter((place(term, -1) for term in terms), np.int64, len(terms))
        from rostra.retrieval.lexical import merge_kernels as kernels

        ends = np.cumsum([0, *map(len, terms)], dtype=np.int64)
        text = np.frombuffer(b"".join(terms), np.uint8)
        return np.asarray(
            kernels.find_terms(self.term_text, self.term_starts, text, _fixed(ends)), np.int64
        )

    @cached_property
    def _places(self) -> dict[bytes, int]:
        """Places of all terms; made when many rows are added at once, which ask for thousands."""
        text, ends = self.term_text.tobytes(), self.term_starts.tolist()
        return {text[start:end]: at for at, (start, end) in enumerate(pairwise(ends))}

    def starting(self, prefix: bytes) -> range:
        """Places of the terms that start with some bytes, which must not be empty."""
        low = bisect_left(range(self.terms), prefix, key=self.term)
        high = bisect_left(
            range(self.terms), True, lo=low, key=lambda at: self.term(at)[: len(prefix)] != prefix
        )
        return range(low, high)

    def postings(self, at: int) -> tuple[Array, Array]:
        """Rows of a term, rising, and how often it occurs in each."""
        entries = slice(int(self.starts[at]), int(self.starts[at + 1]))
        return self.docs[entries], self.tfs[entries]

    def counts_of(self, rows: Ids) -> tuple[Array, Array]:
        """Which terms occur in any of the rows, and in how many of them.

        Raises:
            DamagedIndex: the file says of a row that it has a term that there is not.
        """
        at, owner = gathered(self.row_starts, rows)
        terms = self.row_terms[at].astype(np.int64)
        if len(terms) and not 0 <= terms.min() <= terms.max() < self.terms:
            raise DamagedIndex(self.path, "row_terms is not what was written")
        if self.entry.ordered:
            terms = counted(terms << 32 | owner)[0] >> 32
        return counted(terms)

    def verify(self) -> None:
        """Compares all of the file with what was written.

        Raises:
            DamagedIndex: something differs.
        """
        for name in self.entry.sections:
            array = getattr(self, name)
            check_digests(self.path, {name: array}, self.entry.sections, [name])
            let_go(array)

    def _find(self, term: bytes) -> int:
        at = bisect_left(range(self.terms), term, key=self.term)
        return at if at < self.terms and self.term(at) == term else -1


def open_segment(folder: Path, entry: SegmentEntry) -> Segment:
    """A segment of a manifest.

    Small files are checked as a whole, of others the arrays that say where things are.

    Raises:
        DamagedIndex: its file is missing, too short or not what was written.
    """
    path = folder / entry.file
    sections = entry.sections
    size = sum(np.dtype(one.dtype).itemsize * one.count for one in sections.values())
    arrays = reading(path, sections, sections if size <= _QUICK else _ALWAYS)
    return Segment(entry, path, **arrays)


def write_segment(
    folder: Path,
    name: str,
    first: int,
    vocabulary: Sequence[str],
    row_starts: Ids,
    tokens: npt.NDArray[np.int32],
    ordered: bool,
) -> Segment:
    """Writes a segment of rows in memory and opens it.

    Args:
        folder: where.
        name: of the file.
        first: the position of its first row.
        vocabulary: terms; those that no row has are left out.
        row_starts: int64 [rows + 1], where each row's terms start.
        tokens: int32, places in `vocabulary`, in the order of the text.
        ordered: whether rows keep that order, for phrases.

    Raises:
        OSError: the disk is full or not writable; nothing is left.
    """
    rows = len(row_starts) - 1
    used = np.flatnonzero(np.bincount(tokens, minlength=len(vocabulary))).tolist()
    # Characters sort as their UTF-8 does.
    used.sort(key=vocabulary.__getitem__)
    spelled = [vocabulary[at].encode("utf-8", "surrogatepass") for at in used]
    rank = np.full(len(vocabulary), -1, np.int32)
    rank[used] = np.arange(len(used), dtype=np.int32)
    ranked = rank[tokens]
    lengths = np.diff(row_starts).astype(np.int32)
    starts, docs, tfs = inverted(ranked, row_starts, len(spelled))
    frequencies = np.diff(starts)
    term_starts = np.cumsum([0, *map(len, spelled)], dtype=np.int64)
    if ordered:
        forward_starts, forward = row_starts, ranked
    else:
        back = np.argsort(docs, kind="stable")
        forward = np.repeat(np.arange(len(spelled), dtype=np.int32), frequencies)[back]
        forward_starts = spread(np.bincount(docs, minlength=rows))
    blocks = block_starts(frequencies)
    plan: dict[str, tuple[npt.DTypeLike, int]] = {
        "lengths": (np.int32, rows),
        "term_text": (np.uint8, int(term_starts[-1])),
        "term_starts": (np.int64, len(spelled) + 1),
        "starts": (np.int64, len(spelled) + 1),
        "docs": (np.int32, len(docs)),
        "tfs": (np.uint8 if not len(tfs) or tfs.max() < 256 else np.int32, len(docs)),
        "blocks": (np.int64, len(spelled) + 1),
        "block_last": (np.int32, int(blocks[-1])),
        "block_tf": (np.int32, int(blocks[-1])),
        "block_length": (np.int32, int(blocks[-1])),
        "row_starts": (np.int64, rows + 1),
        "row_terms": (np.int32, len(forward)),
    }
    with writing(folder / name, plan) as (out, sections):
        out["lengths"][:] = lengths
        out["term_text"][:] = np.frombuffer(b"".join(spelled), np.uint8)
        out["term_starts"][:] = term_starts
        out["starts"][:] = starts
        out["docs"][:] = docs
        out["tfs"][:] = tfs
        out["blocks"][:] = blocks
        out["row_starts"][:] = forward_starts
        out["row_terms"][:] = forward
        if len(docs):
            inside = np.arange(int(blocks[-1])) - np.repeat(blocks[:-1], np.diff(blocks))
            block_of = np.repeat(np.arange(len(spelled)), np.diff(blocks))
            begins = starts[block_of] + inside * BLOCK
            out["block_last"][:] = docs[np.minimum(begins + BLOCK, starts[block_of + 1]) - 1]
            out["block_tf"][:] = np.maximum.reduceat(tfs, begins)
            out["block_length"][:] = np.minimum.reduceat(lengths[docs], begins)
    entry = SegmentEntry(name, first, rows, ordered, sections)
    return just_written(folder, entry)


def block_starts(frequencies: Array) -> Ids:
    """int64 [terms + 1], where each term's blocks start."""
    return spread(-(-frequencies // BLOCK))


def just_written(folder: Path, entry: SegmentEntry) -> Segment:
    """A segment whose file was written a moment ago and needs no check."""
    return Segment(entry, folder / entry.file, **reading(folder / entry.file, entry.sections, ()))


def _fixed(array: Array) -> Array:
    """The same, not writable: kernels are compiled for such arrays only."""
    array.flags.writeable = False
    return array
