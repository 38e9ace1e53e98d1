"""The newest chunks, in memory: added at the end, read from the side while that goes on.

What always holds: what a `DeltaView` holds never changes. Arrays grow by doubling and views are of
their filled part; which rows are dead is copied when it changes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rostra.retrieval.analysis import TermRows, Vocabulary
from rostra.retrieval.lexical.inverting import row_counts
from rostra.retrieval.lexical.runs import counted, counted_sorted, gathered, spread
from rostra.retrieval.lexical.scoring import Mask
from rostra.retrieval.lexical.storage import Array

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DeltaView:
    """The rows of a delta at one time.

    Attributes:
        first: the position of its first row.
        vocabulary: terms to numbers; it may know terms that came later.
        known: how many terms there were.
        row_starts: int64 [rows + 1].
        tokens: int32, the rows' terms in the order of their texts.
        dead: bool [rows].
    """

    first: int
    vocabulary: Vocabulary
    known: int
    row_starts: Array
    tokens: Array
    dead: Mask

    @property
    def rows(self) -> int:
        return len(self.row_starts) - 1

    @property
    def lengths(self) -> Array:
        """int64 [rows], terms in each."""
        return np.diff(self.row_starts)

    def number(self, term: str) -> int:
        """A term's number, -1 where it is in none of these rows."""
        number = self.vocabulary.get(term, -1)
        return number if number < self.known else -1

    def spelled(self) -> list[str]:
        """The terms of these rows; some may stand in dead rows only."""
        return self.vocabulary.spelled[: self.known]

    def postings(self, terms: Sequence[str]) -> list[tuple[Ids, Ids]]:
        """For each term the live rows that have it, rising, and how often it occurs in each."""
        nothing = np.zeros(0, np.int64)
        if not self.rows:
            return [(nothing, nothing)] * len(terms)
        numbers = [self.number(term) for term in terms]
        if max(numbers, default=-1) < 0:
            return [(nothing, nothing)] * len(terms)
        # One pass finds the tokens of all terms.
        wanted = np.zeros(self.known, np.bool_)
        wanted[[number for number in numbers if number >= 0]] = True
        at = np.flatnonzero(wanted[self.tokens])
        rows = np.searchsorted(self.row_starts, at, side="right") - 1
        tokens = self.tokens[at]
        alive = ~self.dead[rows]
        rows, tokens = rows[alive], tokens[alive]
        by_term = np.argsort(tokens, kind="stable")
        rows, tokens = rows[by_term], tokens[by_term]
        begins = np.searchsorted(tokens, numbers)
        ends = np.searchsorted(tokens, numbers, side="right")
        found = []
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            mine = rows[begin:end]
            found.append(counted_sorted(mine))
        return found


class Delta:
    """See this module.

    Args:
        first: the position of its first row.
    """

    def __init__(self, first: int) -> None:
        self.first = first
        self.rows = 0
        self._vocabulary = Vocabulary()
        self._row_starts = np.zeros(64, np.int64)
        self._tokens = np.zeros(4096, np.int32)
        self._dead = np.zeros(0, np.bool_)
        # int64 by term, in how many live rows.
        self._frequencies = np.zeros(64, np.int64)
        # int64 by term, in how many live rows of segments; -1 where nobody has asked.
        self._elsewhere = np.zeros(0, np.int64)

    @property
    def tokens(self) -> int:
        """Terms in its rows, repeats counted."""
        return int(self._row_starts[self.rows])

    def add(self, rows: TermRows) -> tuple[Ids, Ids, Ids]:
        """Appends rows.

        Returns:
            The numbers of the terms of these rows, in how many older live rows of this delta each
            occurs, and in how many of these rows.
        """
        terms = rows.terms
        numbers = np.fromiter(map(self._vocabulary.__getitem__, terms), np.int64, len(terms))
        self._append(numbers.astype(np.int32)[rows.tokens], np.diff(rows.starts))
        counts = row_counts(rows.tokens, rows.starts, len(terms))
        known = len(self._vocabulary.spelled)
        self._frequencies = _room(self._frequencies, known)
        before = self._frequencies[numbers]
        self._frequencies[numbers] += counts
        return numbers, before, counts

    def elsewhere(self, numbers: Ids, ask: Callable[[list[str]], Ids]) -> Ids:
        """In how many live rows of segments terms of this delta occur; asked once for each.

        Args:
            numbers: the terms'.
            ask: of terms, in how many.
        """
        room = _room(self._elsewhere, len(self._vocabulary.spelled))
        room[len(self._elsewhere) :] = -1
        self._elsewhere = room
        new = numbers[room[numbers] < 0]
        if len(new):
            room[new] = ask([self._vocabulary.spelled[at] for at in new.tolist()])
        return room[numbers]

    def forget_elsewhere(self) -> None:
        """Rows of segments are gone: asks anew."""
        self._elsewhere = np.zeros(0, np.int64)

    def remove(self, rows: Ids) -> tuple[list[str], Ids, int]:
        """Marks live rows dead.

        Returns:
            The distinct terms of these rows, in how many of them each occurs, and how many terms
            these rows have, repeats counted.
        """
        dead = self._dead.copy()
        dead[rows] = True
        self._dead = dead
        at, owner = gathered(self._row_starts, rows)
        pairs, _ = counted(self._tokens[at].astype(np.int64) << 32 | owner)
        numbers, counts = counted_sorted(pairs >> 32)
        self._frequencies[numbers] -= counts
        total = len(at)
        return [self._vocabulary.spelled[at] for at in numbers.tolist()], counts, total

    def is_dead(self, rows: Ids) -> Mask:
        """bool, which of these rows are."""
        return self._dead[rows]

    def frequencies(self, terms: Sequence[str]) -> Ids:
        """In how many live rows each term occurs."""
        get = self._vocabulary.get
        numbers = np.fromiter((get(term, -1) for term in terms), np.int64, len(terms))
        return np.where(numbers >= 0, self._frequencies[np.maximum(numbers, 0)], 0)

    def view(self) -> DeltaView:
        """The rows as they are now."""
        return DeltaView(
            self.first,
            self._vocabulary,
            len(self._vocabulary.spelled),
            self._row_starts[: self.rows + 1],
            self._tokens[: self.tokens],
            self._dead,
        )

    def live(self) -> tuple[list[str], Ids, npt.NDArray[np.int32]]:
        """Vocabulary, row starts and tokens for a segment; dead rows are empty."""
        view = self.view()
        if not self._dead.any():
            return self._vocabulary.spelled, view.row_starts, view.tokens
        lengths = np.where(self._dead, 0, view.lengths)
        kept = np.repeat(~self._dead, view.lengths)
        starts = spread(lengths)
        return self._vocabulary.spelled, starts, view.tokens[kept]

    def _append(self, tokens: npt.NDArray[np.int32], sizes: Ids) -> None:
        start = self.tokens
        self._tokens = _room(self._tokens, start + len(tokens))
        self._tokens[start : start + len(tokens)] = tokens
        self._row_starts = _room(self._row_starts, self.rows + len(sizes) + 1)
        ends = start + np.cumsum(sizes)
        self._row_starts[self.rows + 1 : self.rows + 1 + len(sizes)] = ends
        self._dead = np.concatenate([self._dead, np.zeros(len(sizes), np.bool_)])
        self.rows += len(sizes)


def _room(array: Array, size: int) -> Array:
    """The array, or a copy twice as large or more with zeros behind, so that `size` fits."""
    if size <= len(array):
        return array
    larger = np.zeros(max(size, 2 * len(array)), array.dtype)
    larger[: len(array)] = array
    return larger
