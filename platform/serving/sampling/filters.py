"""top_k, top_p and min_p on fixed-point weights (see `draw`): what they drop gets weight 0.

What always holds: order as in transformers, top_k first, then top_p of what is left, then min_p.
Tokens as likely as the k-th are kept with it. top_p keeps the smallest set of likeliest tokens that
reaches the probability (Holtzman et al., arXiv:1904.09751), at least one, and of equally likely
ones those of lowest id. min_p (arXiv:2407.01082) is relative to the likeliest, which all keep.

Weights come from float32 and go back to it without loss: a radix sort needs half the passes then.
On a CPU each row is handled by itself and only what may be in its nucleus is sorted. On CUDA whole
batches are, because reading back how much to sort would stop the pipeline.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rostra.serving.sampling.draw import WEIGHT_BITS


def keep_top_k(weights: Tensor, rows: Sequence[int], k: Sequence[int]) -> None:
    """Keeps the k likeliest of each of `rows`, in place.

    Args:
        weights: [N, vocab] int64.
        rows: distinct rows.
        k: for each of them, at least 1.
    """
    if weights.is_cuda:
        keep_top_k_batch(weights, rows, k)
        return
    for row, most in zip(rows, k, strict=True):
        if most < weights.shape[1]:
            top_k_of(weights[row], most)


def keep_top_p(weights: Tensor, rows: Sequence[int], p: Sequence[float]) -> None:
    """Keeps the nucleus of each of `rows`, in place; shapes as in `keep_top_k`, `p` in (0, 1)."""
    if weights.is_cuda:
        keep_top_p_batch(weights, rows, p)
        return
    for row, mass in zip(rows, p, strict=True):
        top_p_of(weights[row], mass)


def keep_min_p(weights: Tensor, min_p: Tensor) -> None:
    """Drops what is less likely than `min_p` ([N] float64) times the likeliest, in place."""
    # ceil, because for integers w < x and w < ceil(x) are the same.
    least = (min_p * 2.0**WEIGHT_BITS).ceil().to(torch.int64)
    weights.masked_fill_(weights < least.unsqueeze(1), 0)


def top_k_of(row: Tensor, k: int) -> None:
    values = row.numpy()
    drop_below(row, int(np.partition(values, values.size - k)[values.size - k]))


def top_p_of(row: Tensor, p: float) -> None:
    """Keeps one row's nucleus.

    All tokens below `(1 - p) * total / vocab` have less than `1 - p` together, so the nucleus lies
    in the others, which are few when the model is sure.
    """
    values = row.numpy()
    total = int(values.sum())
    candidates = np.compress(values >= int((1 - p) * total / values.size), values)
    if total <= 0 or not candidates.size:
        return  # not finite; the outcome says so
    candidates.sort()
    mass = np.cumsum(candidates[::-1])
    kept = min(int(np.searchsorted(mass, p * total)) + 1, candidates.size)
    threshold = int(candidates[-kept])
    drop_below(row, threshold)
    if kept < candidates.size and candidates[-kept - 1] == threshold:
        above = candidates.size - int(np.searchsorted(candidates, threshold, side="right"))
        values[np.flatnonzero(values == threshold)[kept - above :]] = 0


def drop_below(row: Tensor, threshold: int) -> None:
    if threshold > 0:  # else there is nothing below, or the row is not finite
        torch.threshold_(row, threshold - 1, 0)


def keep_top_k_batch(weights: Tensor, rows: Sequence[int], k: Sequence[int]) -> None:
    """`keep_top_k` without host synchronisation."""
    index, part = select(weights, rows)
    limits = upload([min(most, weights.shape[1]) - 1 for most in k], torch.int64, weights.device)
    largest = part.float().topk(min(max(k), weights.shape[1]), dim=-1).values
    threshold = largest.gather(1, limits.unsqueeze(1)).to(torch.int64)
    put_back(weights, index, part.masked_fill(part < threshold, 0))


def keep_top_p_batch(weights: Tensor, rows: Sequence[int], p: Sequence[float]) -> None:
    """`keep_top_p` without host synchronisation."""
    index, part = select(weights, rows)
    values, order = part.float().sort(dim=-1, descending=True, stable=True)
    ordered = values.to(torch.int64)
    cumulative = ordered.cumsum(dim=-1)
    target = upload(p, torch.float64, weights.device) * cumulative[:, -1]
    # What is before a token decides: the first is always kept, the one that reaches the mass too.
    ordered.masked_fill_(cumulative - ordered >= target.unsqueeze(1), 0)
    put_back(weights, index, torch.empty_like(part).scatter_(1, order, ordered))


def select(weights: Tensor, rows: Sequence[int]) -> tuple[Tensor | None, Tensor]:
    if len(rows) == weights.shape[0]:
        return None, weights
    index = upload(rows, torch.int64, weights.device)
    return index, weights.index_select(0, index)


def put_back(weights: Tensor, index: Tensor | None, part: Tensor) -> None:
    if index is None:
        weights.copy_(part)
    else:
        weights.index_copy_(0, index, part)


def upload(values: Sequence[float], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A host sequence as a tensor of the device, without waiting for it."""
    host = torch.tensor(values, dtype=dtype)
    if device.type != "cuda":
        return host
    return host.pin_memory().to(device, non_blocking=True)
