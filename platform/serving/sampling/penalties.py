"""What moves single logits: biases, forbidden tokens, penalties for repetition.

What always holds: only the logits of tokens that are named or occur are read and written, so that
a row without any costs nothing and one with costs its length, not the vocabulary.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rostra.serving.request import SamplingParams
from rostra.serving.sampling.filters import upload


@dataclass(frozen=True, slots=True)
class Spots:
    """Distinct places in a batch of logits: rows [M] and tokens [M], int64, on its device."""

    rows: Tensor
    tokens: Tensor


def spots(places: Sequence[tuple[int, int]], device: torch.device) -> Spots:
    """Places given as (row, token)."""
    return Spots(
        upload([row for row, _ in places], torch.int64, device),
        upload([token for _, token in places], torch.int64, device),
    )


def add_bias(logits: Tensor, where: Spots, bias: Tensor) -> None:
    """Adds `bias` ([M] float32) at the places, in place."""
    logits[where.rows, where.tokens] += bias


def forbid(logits: Tensor, places: Sequence[tuple[int, int]]) -> None:
    """Makes the (row, token) places impossible, in place."""
    if places:
        where = spots(places, logits.device)
        logits[where.rows, where.tokens] = -torch.inf


def needs_counts(params: SamplingParams) -> bool:
    """Whether the row's tokens decide about its logits."""
    return (
        params.repetition_penalty != 1.0
        or params.presence_penalty != 0.0
        or params.frequency_penalty != 0.0
    )


@dataclass(slots=True)
class TokenCounts:
    """The distinct tokens of one sequence and how often each occurs in its output.

    Args:
        prompt: its tokens count as occurring, 0 times in the output; empty when only the output
            matters.
    """

    prompt: Sequence[int]
    _seen: list[int] = field(init=False, default_factory=list)
    _slots: dict[int, int] = field(init=False, default_factory=dict)
    _tokens: NDArray[np.int64] = field(init=False)
    _counts: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        self._tokens = np.zeros(64, np.int64)
        self._counts = np.zeros(64, np.float32)
        for token in dict.fromkeys(self.prompt):
            self._slot(token)

    def follows(self, output: Sequence[int]) -> bool:
        """Whether `output` continues what was counted, so that `extend` may be called with it."""
        return len(output) >= len(self._seen) and list(output[: len(self._seen)]) == self._seen

    def extend(self, output: Sequence[int]) -> None:
        """Counts what is new in `output`, the whole output so far."""
        for token in output[len(self._seen) :]:
            slot = self._slot(token)  # may replace the arrays
            self._counts[slot] += 1
            self._seen.append(token)

    @property
    def tokens(self) -> NDArray[np.int64]:
        return self._tokens[: len(self._slots)]

    @property
    def counts(self) -> NDArray[np.float32]:
        return self._counts[: len(self._slots)]

    def _slot(self, token: int) -> int:
        slot = self._slots.setdefault(token, len(self._slots))
        if slot == self._tokens.size:
            self._tokens = np.concatenate((self._tokens, np.zeros_like(self._tokens)))
            self._counts = np.concatenate((self._counts, np.zeros_like(self._counts)))
        self._tokens[slot] = token
        return slot


def penalize(logits: Tensor, rows: Iterable[tuple[int, SamplingParams, TokenCounts]]) -> None:
    """Applies repetition, then frequency and presence penalties, in place.

    Args:
        logits: [N, vocab] float32.
        rows: row number, its parameters, its tokens.
    """
    entries = list(rows)
    lengths = [counts.tokens.size for _, _, counts in entries]
    if not sum(lengths):
        return
    device = logits.device
    where = Spots(
        upload_array(np.repeat([row for row, _, _ in entries], lengths), device),
        upload_array(np.concatenate([counts.tokens for _, _, counts in entries]), device),
    )
    count = np.concatenate([counts.counts for _, _, counts in entries])
    asked = np.array(
        [
            (params.repetition_penalty, params.frequency_penalty, params.presence_penalty)
            for _, params, _ in entries
        ],
        np.float32,
    )
    repetition, frequency, presence = np.repeat(asked, lengths, axis=0).T
    divisor = upload_array(repetition, device)
    less = upload_array(frequency * count + presence * (count > 0), device)
    old = logits[where.rows, where.tokens]
    new = torch.where(old > 0, old / divisor, old * divisor) - less
    logits[where.rows, where.tokens] = new


def upload_array(values: NDArray[np.generic], device: torch.device) -> Tensor:
    host = torch.from_numpy(np.ascontiguousarray(values))
    if device.type != "cuda":
        return host
    return host.pin_memory().to(device, non_blocking=True)
