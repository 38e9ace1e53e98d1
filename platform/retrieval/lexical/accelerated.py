"""Scores of every row for many queries at once, with torch, on a GPU where there is one.

What always holds: in float64 scores equal `LexicalReader.scores` to 1e-9; what `search` returns is
ranked by the reader's own scores, so that it equals `LexicalReader.search`, ties included.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rostra.retrieval.lexical.reader import LexicalReader
from rostra.retrieval.lexical.runs import counted
from rostra.retrieval.lexical.scoring import Mask, Positions, Scores, Ties, Variant
from rostra.retrieval.lexical.top import best_positions

# Sums of one batch: queries times rows.
_MOST_SUMS = 1 << 27
# More than sums in another order may differ by, as a share.
_SLACK = {torch.float64: 1e-9, torch.float32: 1e-4}


class TorchScorer:
    """A reader's postings on a device.

    Args:
        reader: to score; later changes are another reader's.
        device: of torch.
        dtype: of sums, float64 or float32; the smaller halves memory, and `scores` are right to
            about 1e-5 of a score; `search` is exact with both.
    """

    def __init__(
        self,
        reader: LexicalReader,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self._reader = reader
        self._device = torch.device(device)
        self._dtype = dtype
        # Postings of all parts and of the delta, one after another; a term has a run in each.
        rows, counts = [], []
        self._offsets = [0]
        for part in reader.parts:
            rows.append(part.segment.docs.astype(np.int64) + part.segment.first)
            counts.append(part.segment.tfs.astype(np.int32))
            self._offsets.append(self._offsets[-1] + len(rows[-1]))
        delta = reader.delta
        owner = np.repeat(np.arange(delta.rows, dtype=np.int64), delta.lengths)
        pairs, repeats = counted(delta.tokens.astype(np.int64) << 32 | owner)
        rows.append((pairs & 0xFFFFFFFF) + delta.first)
        counts.append(repeats.astype(np.int32))
        self._recent_starts = np.searchsorted(pairs >> 32, np.arange(delta.known + 1))
        self._rows = self._moved(np.concatenate(rows))
        self._counts = self._moved(np.concatenate(counts))
        lengths = [part.segment.lengths for part in reader.parts]
        self._lengths = self._moved(np.concatenate([*lengths, reader.delta.lengths]))
        self._live = self._moved(reader.live)

    def scores(self, queries: Sequence[Sequence[str]]) -> Tensor:
        """[queries, positions] on the device; NaN where a row is dead or shares no term."""
        reader, size = self._reader, len(self._reader)
        runs: list[tuple[int, int, float, int]] = []
        bases = []
        for at, query in enumerate(queries):
            prepared = reader.prepare(query)
            bases.append(prepared.base)
            for number, (term, weight) in enumerate(
                zip(prepared.terms, prepared.weights.tolist(), strict=True)
            ):
                places = [int(found[number]) for found in prepared.places]
                runs += [(*run, weight, at) for run in self._runs(term, places)]
        total = torch.tensor(bases, dtype=self._dtype, device=self._device)
        total = total.repeat_interleave(size)
        touched = torch.zeros(len(queries) * size, dtype=torch.bool, device=self._device)
        if runs:
            begins = self._moved(np.array([run[0] for run in runs], np.int64))
            sizes = self._moved(np.array([run[1] - run[0] for run in runs], np.int64))
            weights = self._moved(np.array([run[2] for run in runs])).to(self._dtype)
            first = self._moved(np.array([run[3] * size for run in runs], np.int64))
            run_of = torch.arange(len(runs), device=self._device).repeat_interleave(sizes)
            ends = sizes.cumsum(0)
            entries = torch.arange(len(run_of), device=self._device)
            entries += (begins - (ends - sizes))[run_of]
            rows = self._rows[entries]
            gain = self._gain(self._counts[entries], self._lengths[rows]) * weights[run_of]
            rows += first[run_of]
            total.index_add_(0, rows, gain)
            touched[rows] = True
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
        allowed = None if mask is None else self._moved(mask)
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

    def _gain(self, counts: Tensor, lengths: Tensor) -> Tensor:
        """As `scoring.gains`, for a weight of 1."""
        model, mean = self._reader.model, self._reader.statistics.mean_length
        tf = counts.to(self._dtype)
        shape = (1.0 - model.b) + (model.b / mean) * lengths.to(self._dtype)
        if model.variant is Variant.L:
            spread = tf / shape + model.lift
            return tf * (model.k1 + 1.0) * spread / (model.k1 + spread)
        return tf * (model.k1 + 1.0) / (tf + model.k1 * shape)

    def _runs(self, term: str, places: Sequence[int]) -> list[tuple[int, int]]:
        """Where the postings of a term are."""
        runs = []
        for part, place, offset in zip(self._reader.parts, places, self._offsets, strict=False):
            if place >= 0:
                starts = part.segment.starts
                runs.append((offset + int(starts[place]), offset + int(starts[place + 1])))
        number = self._reader.delta.number(term)
        if number >= 0:
            starts = self._recent_starts + self._offsets[-1]
            runs.append((int(starts[number]), int(starts[number + 1])))
        return runs

    def _moved(self, array: npt.NDArray[Any]) -> Tensor:
        return torch.tensor(array, device=self._device)
