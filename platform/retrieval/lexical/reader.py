"""Search over segments and a delta as they were at one time.

What always holds: a reader never changes, whatever the writer does meanwhile. `search` is exact: it
finds what sorting all scores would, ties by `tie`, however the rows are spread over segments.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rostra.retrieval.lexical.addresses import Addresses, addresses_of
from rostra.retrieval.lexical.delta import DeltaView
from rostra.retrieval.lexical.runs import counted, counted_sorted, gathered
from rostra.retrieval.lexical.scoring import (
    Bm25,
    Mask,
    Positions,
    Scores,
    Statistics,
    Ties,
    base_score,
    factor_table,
    gains,
    idf,
)
from rostra.retrieval.lexical.segment import SMALL, Segment
from rostra.retrieval.lexical.storage import Array
from rostra.retrieval.lexical.top import best_positions, ordered

if TYPE_CHECKING:
    from rostra.retrieval.lexical.accelerated import TorchScorer

Ids = npt.NDArray[np.int64]

# A filter that leaves fewer than one in so many rows is answered from its side.
_SELECTIVE = 512
# Queries whose terms are kept as they were looked up.
_MOST_PREPARED = 8
# Tokens that are looked through for a phrase at once.
_STRIDE = 1 << 22


def encoded(term: str) -> bytes:
    """A term as segments spell it."""
    return term.encode("utf-8", "surrogatepass")


def decoded(term: bytes) -> str:
    """A term as segments spell it, back."""
    return term.decode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class Part:
    """A segment and what died in it since it was written.

    Attributes:
        segment: the file's.
        dead: bool [rows], or None where nothing is.
        gone: int32 [terms], in how many dead rows each of its terms still stands; None as above.
    """

    segment: Segment
    dead: Mask | None = None
    gone: npt.NDArray[np.int32] | None = None

    def frequencies(self, found: Ids) -> Ids:
        """In how many live rows terms occur, by their places; 0 for a place of -1."""
        at = np.maximum(found, 0)
        if not self.segment.terms:
            return np.zeros(len(found), np.int64)
        counts = self.segment.starts[at + 1] - self.segment.starts[at]
        if self.gone is not None:
            counts = counts - self.gone[at]
        return np.where(found >= 0, counts, 0)


@dataclass(frozen=True)
class PreparedQuery:
    """The terms of a query that occur, in the order in which their gains are added.

    Attributes:
        terms: sorted, each once.
        weights: float64, idf times repeats.
        base: what every row gets.
        places: int64 [parts, terms], where each part has them, -1 for none.
        slots: int64 [parts, terms], where each part has their counts by row, -1 for nowhere.
        recent: rows and counts of each in the delta.
    """

    terms: list[str]
    weights: Scores
    base: float
    places: Ids
    slots: Ids
    recent: list[tuple[Ids, Ids]]


@dataclass(frozen=True)
class LexicalReader:
    """See this module; made by `LexicalWriter.snapshot`.

    Attributes:
        parts: segments, by position.
        delta: the rows behind them.
        statistics: of all live rows.
        model: the form of BM25.
    """

    parts: tuple[Part, ...]
    delta: DeltaView
    statistics: Statistics
    model: Bm25 = field(default_factory=Bm25)

    @cached_property
    def _factors(self) -> tuple[Scores, Scores]:
        return factor_table(self.model, self.statistics.mean_length)

    @cached_property
    def _addresses(self) -> Addresses:
        return addresses_of(self.parts)

    def __len__(self) -> int:
        """Positions, dead ones included."""
        return self.delta.first + self.delta.rows

    @property
    def live(self) -> Mask:
        """bool [positions], false where a row was removed."""
        masks = [
            np.ones(part.segment.rows, np.bool_) if part.dead is None else ~part.dead
            for part in self.parts
        ]
        return np.concatenate([*masks, ~self.delta.dead])

    def frequency(self, term: str) -> int:
        """In how many live rows a term occurs."""
        return int(self.frequencies([term])[0])

    def frequencies(self, terms: Sequence[str]) -> Ids:
        """int64 [terms], in how many live rows each occurs."""
        order = sorted(set(terms))
        total = np.array([len(rows) for rows, _ in self.delta.postings(order)], np.int64)
        self._look_up([encoded(term) for term in order], total)
        known = dict(zip(order, total.tolist(), strict=True))
        return np.array([known[term] for term in terms], np.int64)

    def search(
        self,
        terms: Sequence[str],
        k: int,
        mask: Mask | None = None,
        tie: Ties | None = None,
    ) -> tuple[Positions, Scores]:
        """The k best live rows that share a term with the query, best first, and their scores.

        Args:
            terms: of the query; repeats count.
            k: most rows.
            mask: bool [positions]; rows where it is false are never found.
            tie: uint64 [positions]; among equal scores the smaller goes first, then the position.

        Raises:
            ValueError: `mask` or `tie` is not of this reader's length.
        """
        for array in (mask, tie):
            if array is not None and len(array) != len(self):
                raise ValueError(f"{len(array)} values for {len(self)} positions")
        query = self.prepare(terms)
        if not query.terms or k < 1 or (mask is not None and not mask.any()):
            return np.zeros(0, np.int64), np.zeros(0, np.float64)
        if mask is not None and np.count_nonzero(mask) * _SELECTIVE < len(self):
            allowed = np.flatnonzero(mask)
            return self._top(self._scores_at(query, allowed), allowed, k, tie)
        # Bounds say nothing about weights that are not positive: in collections of a few rows.
        if len(self) < SMALL or (query.weights <= 0).any():
            scores = self._all_scores(query)
            best = best_positions(scores, k, mask, tie)
            return best, scores[best]
        return self._pruned(query, k, mask, tie)

    def on_device(self, device: str) -> "TorchScorer":
        """What scores all rows on a device of torch, kept with this reader.

        Raises:
            DamagedIndex, RuntimeError: see `TorchScorer`.
        """
        import torch

        from rostra.retrieval.lexical.accelerated import TorchScorer

        kept = self._scorers.get(device)
        if kept is None:
            # Half as wide as scores are; what is found is ranked by exact ones all the same.
            kept = self._scorers[device] = TorchScorer(self, device, torch.float32)
        return kept

    def scores(self, terms: Sequence[str], positions: Positions | None = None) -> Scores:
        """float64 [positions given, or all]; NaN where a row is dead or shares no term."""
        query = self.prepare(terms)
        if positions is None:
            return self._all_scores(query)
        return self._scores_at(query, positions)

    def phrase(self, terms: Sequence[str], mask: Mask | None = None) -> Positions:
        """Live rows in which terms follow one another, by position.

        Where the order of terms is not kept: rows that have all of them.

        Args:
            terms: at least one, else nothing is found.
            mask: bool [positions]; rows where it is false are left out.
        """
        wanted = sorted(set(terms))
        spelled = [encoded(term) for term in wanted]
        found = []
        for part in self.parts if wanted else ():
            segment = part.segment
            places = segment.find(spelled)
            if (places < 0).any():
                continue
            lists = sorted((segment.postings(int(at))[0] for at in places), key=len)
            rows = lists[0].astype(np.int64)
            for other in lists[1:]:
                rows = rows[_contains(other, rows)]
            if part.dead is not None:
                rows = rows[~part.dead[rows]]
            if mask is not None:
                rows = rows[mask[segment.first + rows]]
            if segment.entry.ordered and len(terms) > 1:
                numbers = places[[wanted.index(term) for term in terms]]
                rows = _in_order(segment.row_starts, segment.row_terms, rows, numbers)
            found.append(rows + segment.first)
        delta = self.delta
        numbers = np.array([delta.number(term) for term in terms], np.int64)
        if wanted and (numbers >= 0).all():
            rows = np.flatnonzero(~delta.dead)
            if mask is not None:
                rows = rows[mask[delta.first + rows]]
            found.append(_in_order(delta.row_starts, delta.tokens, rows, numbers) + delta.first)
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    def prefix(self, prefix: str, most: int = 64) -> list[str]:
        """The terms that start with a prefix, those of most live rows first, then by spelling.

        Args:
            prefix: not empty, else nothing is found.
            most: of how many.
        """
        counts: Counter[str] = Counter()
        if not prefix:
            return []
        for part in self.parts:
            found = np.array(part.segment.starting(encoded(prefix)), np.int64)
            frequencies = part.frequencies(found)
            for at, frequency in zip(found.tolist(), frequencies.tolist(), strict=True):
                if frequency:
                    counts[decoded(part.segment.term(at))] += frequency
        recent = [term for term in self.delta.spelled() if term.startswith(prefix)]
        for term, (rows, _) in zip(recent, self.delta.postings(recent), strict=True):
            if len(rows):
                counts[term] += len(rows)
        return sorted(counts, key=lambda term: (-counts[term], term))[:most]

    def prepare(self, terms: Sequence[str]) -> PreparedQuery:
        """Looks up a query's terms and what they weigh."""
        asked = tuple(terms)
        found = self._prepared.get(asked)
        if found is None:
            found = self._prepare(asked)
            if len(self._prepared) >= _MOST_PREPARED:
                self._prepared.clear()
            self._prepared[asked] = found
        return found

    @cached_property
    def _scorers(self) -> "dict[str, TorchScorer]":
        return {}

    @cached_property
    def _prepared(self) -> dict[tuple[str, ...], PreparedQuery]:
        """The last queries: a search is followed by a question for other rows' scores."""
        return {}

    def _prepare(self, terms: Sequence[str]) -> PreparedQuery:
        repeats = Counter(terms)
        order = sorted(repeats)
        recent = self.delta.postings(order)
        frequencies = np.array([len(rows) for rows, _ in recent], np.int64)
        places, slots = self._look_up([encoded(term) for term in order], frequencies)
        if not frequencies.all():
            kept = np.flatnonzero(frequencies)
            order, recent = [order[at] for at in kept], [recent[at] for at in kept]
            frequencies = frequencies[kept]
            places, slots = places.take(kept, axis=1), slots.take(kept, axis=1)
        counts = np.array([repeats[term] for term in order], np.float64)
        weights = idf(self.model, frequencies, self.statistics) * counts
        base = base_score(self.model, weights)
        return PreparedQuery(order, weights, base, places, slots, recent)

    def _look_up(self, spelled: list[bytes], frequencies: Ids) -> tuple[Ids, Ids]:
        """Places and slots of sorted terms in the parts; adds in how many live rows each occurs."""
        shape = len(self.parts), len(spelled)
        if len(self) < SMALL:
            places = np.full(shape, -1, np.int64)
            for part, row in zip(self.parts, places, strict=True):
                row[:] = part.segment.find(spelled)
                frequencies += part.frequencies(row)
            return places, np.full(shape, -1, np.int64)
        # Loads the kernels, which collections of a few thousand rows never need.
        from rostra.retrieval.lexical.lookup_kernels import look_up

        places, slots = np.empty(shape, np.int64), np.empty(shape, np.int64)
        text = np.frombuffer(b"".join(spelled), np.uint8)
        ends = np.zeros(shape[1] + 1, np.int64)
        np.cumsum([len(term) for term in spelled], out=ends[1:])
        if look_up(self._addresses.table, text, ends, places, slots, frequencies):
            for part, found in zip(self.parts, slots, strict=True):
                for slot in found[found >= 0].tolist():
                    part.segment.frequent.fill(slot)
        return places, slots

    def _all_scores(self, query: PreparedQuery) -> Scores:
        total = np.zeros(len(self), np.float64)
        touched = np.zeros(len(self), np.bool_)
        for at, weight in enumerate(query.weights.tolist()):
            for part, places in zip(self.parts, query.places, strict=True):
                if places[at] < 0:
                    continue
                rows, counts = part.segment.postings(int(places[at]))
                here = slice(part.segment.first, part.segment.first + part.segment.rows)
                total[here][rows] += self._gains(weight, counts, part.segment.lengths[rows])
                touched[here][rows] = True
            self._add_recent(query, at, weight, total[self.delta.first :])
            touched[self.delta.first + query.recent[at][0]] = True
        for part in self.parts:
            if part.dead is not None:
                here = slice(part.segment.first, part.segment.first + part.segment.rows)
                touched[here] &= ~part.dead
        return np.where(touched, total + query.base, np.nan)

    def _scores_at(self, query: PreparedQuery, positions: Positions) -> Scores:
        total = np.zeros(len(positions), np.float64)
        touched = np.zeros(len(positions), np.bool_)
        for part, places in zip(self.parts, query.places, strict=True):
            segment = part.segment
            mine = np.flatnonzero(
                (positions >= segment.first) & (positions < segment.first + segment.rows)
            )
            rows = positions[mine] - segment.first
            if part.dead is not None:
                alive = ~part.dead[rows]
                mine, rows = mine[alive], rows[alive]
            if not len(mine):
                continue
            for at, weight in enumerate(query.weights.tolist()):
                if places[at] < 0:
                    continue
                docs, counts = segment.postings(int(places[at]))
                near = np.minimum(np.searchsorted(docs, rows.astype(np.int32)), len(docs) - 1)
                has = docs[near] == rows
                total[mine[has]] += self._gains(
                    weight, counts[near[has]], segment.lengths[rows[has]]
                )
                touched[mine[has]] = True
        mine = np.flatnonzero(positions >= self.delta.first)
        if len(mine):
            recent = np.zeros(self.delta.rows, np.float64)
            has = np.zeros(self.delta.rows, np.bool_)
            for at, weight in enumerate(query.weights.tolist()):
                self._add_recent(query, at, weight, recent)
                has[query.recent[at][0]] = True
            rows = positions[mine] - self.delta.first
            total[mine], touched[mine] = recent[rows], has[rows]
        return np.where(touched, total + query.base, np.nan)

    def _add_recent(self, query: PreparedQuery, at: int, weight: float, total: Scores) -> None:
        rows, counts = query.recent[at]
        if len(rows):
            starts = self.delta.row_starts
            total[rows] += self._gains(weight, counts, starts[rows + 1] - starts[rows])

    def _gains(self, weight: float, counts: Array, lengths: Array) -> Scores:
        return gains(self.model, weight, counts, lengths, self.statistics.mean_length)

    def _top(
        self, scores: Scores, positions: Positions, k: int, tie: Ties | None
    ) -> tuple[Positions, Scores]:
        shared = np.flatnonzero(~np.isnan(scores))
        scores, positions = scores[shared], positions[shared]
        best = ordered(scores, positions, tie)[:k]
        return positions[best], scores[best]

    def _pruned(
        self, query: PreparedQuery, k: int, mask: Mask | None, tie: Ties | None
    ) -> tuple[Positions, Scores]:
        from rostra.retrieval.lexical.heap import Heap

        heap = Heap(min(k, len(self)), *self._factors, query.base)
        if self.delta.rows:
            recent, _ = counted(np.concatenate([rows for rows, _ in query.recent]))
            recent += self.delta.first
            if mask is not None:
                recent = recent[mask[recent]]
            heap.push(*self._top(self._scores_at(query, recent), recent, k, tie), tie)
        heap.search(self._addresses, query.places, query.slots, query.weights, mask, tie)
        return self._top(heap.scores, heap.positions, k, tie)


def _contains(rows: Array, wanted: Ids) -> Mask:
    """Which of the wanted rows are among rows, which rise."""
    near = np.minimum(np.searchsorted(rows, wanted.astype(rows.dtype)), len(rows) - 1)
    return np.asarray(rows[near] == wanted, np.bool_)


def _in_order(row_starts: Array, tokens: Array, rows: Ids, numbers: Ids) -> Ids:
    """Those of the rows in which the numbers follow one another."""
    found = []
    sizes = row_starts[rows + 1] - row_starts[rows]
    for piece in _pieces(rows, sizes):
        at, owner = gathered(row_starts, piece)
        text = tokens[at]
        width = len(at) - len(numbers) + 1
        if width < 1:
            continue
        # A run that begins in one row and ends in another is none.
        match = owner[:width] == owner[len(numbers) - 1 :]
        for offset, number in enumerate(numbers.tolist()):
            match &= text[offset : offset + width] == number
        found.append(piece[counted_sorted(owner[:width][match])[0]])
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _pieces(rows: Ids, sizes: Array) -> list[Ids]:
    """Rows in runs of at most about `_STRIDE` tokens."""
    groups = np.cumsum(sizes) // _STRIDE
    return np.split(rows, np.flatnonzero(np.diff(groups)) + 1)
