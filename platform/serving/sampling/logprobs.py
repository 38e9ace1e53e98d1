"""Log probabilities of tokens under the model's own distribution, before any processing.

What always holds: values are natural logarithms, finite (at least `LEAST`, so that JSON can hold
them); the likeliest tokens come likeliest first, equal ones by id.
"""

from collections.abc import Callable

from torch import Tensor

from rostra.serving.request import TokenLogprobs

LEAST = -9999.0


class Snapshot:
    """What is needed of some rows' raw logits to report log probabilities later.

    Args:
        logits: [R, vocab] float32; not kept by reference beyond what `of` reads.
        top: how many of the likeliest tokens to keep.
    """

    def __init__(self, logits: Tensor, top: int) -> None:
        self._logits = logits
        self._norm = logits.logsumexp(dim=-1, keepdim=True)
        self._top = logits.topk(min(top, logits.shape[1]), dim=-1) if top else None

    def of(self, tokens: Tensor) -> "RowLogprobs":
        """Log probabilities of `tokens` ([R] int64), still on the device; lets the logits go."""
        taken = self._logits.gather(1, tokens.unsqueeze(1)) - self._norm
        if self._top is None:
            return RowLogprobs(tokens, taken.squeeze(1), None, None)
        return RowLogprobs(
            tokens, taken.squeeze(1), self._top.indices, self._top.values - self._norm
        )


class RowLogprobs:
    """Log probabilities on the device, read when asked for.

    Args:
        tokens: [R] int64.
        taken: [R] float32, of these tokens.
        top_tokens: [R, K] int64 or None.
        top: [R, K] float32, of those.
    """

    def __init__(
        self, tokens: Tensor, taken: Tensor, top_tokens: Tensor | None, top: Tensor | None
    ) -> None:
        self._tokens = tokens
        self._taken = taken
        self._top_tokens = top_tokens
        self._top = top

    def read(self) -> list[TokenLogprobs]:
        """The rows as values; waits for the device."""
        tokens: list[int] = self._tokens.tolist()
        taken: list[float] = self._taken.tolist()
        if self._top is None or self._top_tokens is None:
            return [
                TokenLogprobs(token, finite(value), [])
                for token, value in zip(tokens, taken, strict=True)
            ]
        pairs = zip(self._top_tokens.tolist(), self._top.tolist(), strict=True)
        return [
            TokenLogprobs(token, finite(value), ranked(ids, values))
            for token, value, (ids, values) in zip(tokens, taken, pairs, strict=True)
        ]


def ranked(tokens: list[int], values: list[float]) -> list[tuple[int, float]]:
    pairs = zip(tokens, map(finite, values), strict=True)
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def finite(value: float) -> float:
    return value if value > LEAST else LEAST  # NaN too


def prompt_logprobs(
    hidden: Tensor,
    targets: Tensor,
    logits_fn: Callable[[Tensor], Tensor],
    top: int,
    *,
    chunk_rows: int = 64,
) -> list[TokenLogprobs]:
    """Log probabilities of a prompt's tokens, a few rows of logits at a time.

    A prompt of 8,192 tokens and a vocabulary of 152,000 would be 5 GB of logits in one piece.

    Args:
        hidden: [T, hidden], final hidden states of the positions before each target.
        targets: [T] int64, the token that follows each position.
        logits_fn: [R, hidden] -> [R, vocab] float32, the LM head.
        top: how many of the likeliest tokens to report.
        chunk_rows: rows of logits in memory at once.

    Returns:
        One value a target, in order.
    """
    parts = []
    for start in range(0, hidden.shape[0], chunk_rows):
        rows = slice(start, start + chunk_rows)
        parts.append(Snapshot(logits_fn(hidden[rows]), top).of(targets[rows]))
    return [value for part in parts for value in part.read()]
