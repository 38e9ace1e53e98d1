"""Scores of every row for many queries at once, with torch, on a GPU where there is one.

What always holds: in float64 scores equal `LexicalReader.scores` to 1e-9; what `search` returns is
ranked by the reader's own scores, so that it equals `LexicalReader.search`, ties included. A
segment's postings are moved to a device once, for all readers that have it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rostra.retrieval.lexical.scoring import Mask, Positions, Scores, Ties, Variant
from rostra.retrieval.lexical.storage import DamagedIndex
from rostra.retrieval.lexical.top import best_positions

if TYPE_CHECKING:
    from rostra.retrieval.lexical.reader import LexicalReader, PreparedQuery
    from rostra.retrieval.lexical.segment import Segment

# Sums of one batch: queries times rows.
_MOST_SUMS = 1 << 27
# More than sums in another order may differ by, as a share.
_SLACK = {torch.float64: 1e-9, torch.float32: 1e-4}


@dataclass(frozen=True)
class DevicePostings:
    """A segment's postings on a device.

    Attributes:
        docs: int32 [postings], rows, all within the segment.
        tfs: uint8 or int32 [postings].
        lengths: int32 [rows].
    """

    docs: Tensor
    tfs: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, segment: "Segment", device: torch.device) -> "DevicePostings":
        """Moves them there.

        Raises:
            DamagedIndex: they name rows that there are not, which a GPU would not survive.
            RuntimeError: there is no such device, or no room on it.
        """
        docs = _moved(segment.docs, device)
        if len(docs) and not 0 <= int(docs.min()) <= int(docs.max()) < segment.rows:
            raise DamagedIndex(segment.path, "has postings of rows that there are not")
        return cls(docs, _moved(segment.tfs, device), _moved(segment.lengths, device))


class TorchScorer:
    """A reader on a device.

    Args:
        reader: to score; later changes are another reader's.
        device: of torch.
        dtype: of sums, float64 or float32; the smaller halves memory, and `scores` are right to
            about 1e-5 of a score; `search` is exact with both.

    Raises:
        DamagedIndex, RuntimeError: see `DevicePostings.of`.
    """

    def __init__(
        self,
        reader: "LexicalReader",
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self._reader = reader
        self._device = torch.device(device)
        self._dtype = dtype
        self._parts = [part.segment.on_device(self._device) for part in reader.parts]
        self._live = _moved(reader.live, self._device)

    def scores(self, queries: Sequence[Sequence[str]]) -> Tensor:
        """[queries, positions] on the device; NaN where a row is dead or shares no term."""
        reader, size = self._reader, len(self._reader)
        prepared = [reader.prepare(query) for query in queries]
        bases = [one.base for one in prepared]
        total = torch.tensor(bases, dtype=self._dtype, device=self._device)
        total = total.repeat_interleave(size)
        touched = torch.zeros(len(queries) * size, dtype=torch.bool, device=self._device)
        for number in range(len(self._parts)):
            self._add_part(number, prepared, total, touched)
        self._add_recent(prepared, total, touched)
        found = total.view(len(queries), size)
        kept = touched.view(len(queries), size) & self._live
        return found.masked_fill_(~kept, float("nan"))

    def search(
        self,
        queries: Sequence[Sequence[str]],
        k: int,
        mask: Mask | None = None,
        tie: Ties | None = None,
    ) -> list[tuple[Positions, Scores]]:
        """For each query what `LexicalReader.search` finds; see there."""
        step = max(1, _MOST_SUMS // max(1, len(self._reader)))
        allowed = None if mask is None else _moved(mask, self._device)
        results: list[tuple[Positions, Scores]] = []
        for begin in range(0, len(queries), step):
            batch = queries[begin : begin + step]
            scores = self.scores(batch)
            if allowed is not None:
                scores.masked_fill_(~allowed, float("nan"))
            ranked = scores.nan_to_num(nan=-float("inf"))
            most = min(k, len(self._reader))
            edges = ranked.topk(most, dim=1).values[:, -1:] if most else ranked[:, :1]
            edges -= _SLACK[self._dtype] * edges.abs().clamp(min=1)
            near = (ranked >= edges) & ~scores.isnan()
            for query, row in zip(batch, near, strict=True):
                # Every row that could be among the k, ties included, ranked by exact scores.
                at = row.nonzero().flatten().cpu().numpy()
                exact = self._reader.scores(query, at)
                order = best_positions(exact, k, None, None if tie is None else tie[at])
                results.append((at[order], exact[order]))
        return results

    # --- Within ---------------------------------------------------------------------------------
    def _add_part(
        self, number: int, queries: "Sequence[PreparedQuery]", total: Tensor, touched: Tensor
    ) -> None:
        """Adds the gains of a segment's rows."""
        segment, held = self._reader.parts[number].segment, self._parts[number]
        runs: list[tuple[int, int, float, int]] = []
        for at, query in enumerate(queries):
            offset = at * len(self._reader) + segment.first
            for place, weight in zip(
                query.places[number].tolist(), query.weights.tolist(), strict=True
            ):
                if place >= 0:
                    # What a damaged file says must not lead beyond what is there.
                    start = min(max(int(segment.starts[place]), 0), len(held.docs))
                    stop = min(max(int(segment.starts[place + 1]), start), len(held.docs))
                    runs.append((start, stop - start, weight, offset))
        if not runs:
            return
        columns = zip(*runs, strict=True)
        kinds = (torch.int64, torch.int64, self._dtype, torch.int64)
        begins, sizes, weights, offsets = (
            torch.tensor(column, dtype=kind, device=self._device)
            for column, kind in zip(columns, kinds, strict=True)
        )
        run_of = torch.arange(len(runs), device=self._device).repeat_interleave(sizes)
        entries = torch.arange(len(run_of), device=self._device)
        entries += (begins - (sizes.cumsum(0) - sizes))[run_of]
        rows = held.docs[entries].long()
        gain = self._gain(held.tfs[entries], held.lengths[rows]) * weights[run_of]
        rows += offsets[run_of]
        total.index_add_(0, rows, gain)
        touched[rows] = True

    def _add_recent(
        self, queries: "Sequence[PreparedQuery]", total: Tensor, touched: Tensor
    ) -> None:
        """Adds the gains of the rows behind all segments, which are few."""
        delta = self._reader.delta
        for at, query in enumerate(queries):
            for (found, counts), weight in zip(query.recent, query.weights.tolist(), strict=True):
                if not len(found):
                    continue
                lengths = _moved(delta.lengths[found], self._device)
                rows = _moved(found, self._device) + (at * len(self._reader) + delta.first)
                total.index_add_(
                    0, rows, self._gain(_moved(counts, self._device), lengths) * weight
                )
                touched[rows] = True

    def _gain(self, counts: Tensor, lengths: Tensor) -> Tensor:
        """As `scoring.gains`, for a weight of 1."""
        model, mean = self._reader.model, self._reader.statistics.mean_length
        tf = counts.to(self._dtype)
        shape = (1.0 - model.b) + (model.b / mean) * lengths.to(self._dtype)
        if model.variant is Variant.L:
            spread = tf / shape + model.lift
            return tf * (model.k1 + 1.0) * spread / (model.k1 + spread)
        return tf * (model.k1 + 1.0) / (tf + model.k1 * shape)


def _moved(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    return torch.tensor(np.asarray(array), device=device)
