"""From processed logits to one token a row: arg-max, or a draw by inverse CDF.

Probabilities are held as *weights*: `exp(logit / temperature)` relative to the row's likeliest
token, in fixed point of 40 bits. Sums of integers do not depend on their order, so that a row's
token is the same whatever batch it is in and however the device splits the sum; tokens less likely
than 2**-40 times the likeliest are never drawn.

What always holds: every function here has fixed shapes, no host synchronisation and no state, and
`draw_plain` can be captured in a CUDA graph. Ties of the arg-max go to the lowest token id. A row
whose logits are not finite, or all forbidden, gets token 0 and an outcome that says so.
"""

from enum import IntEnum

import torch
from torch import Tensor

from rostra.serving.sampling.noise import uniform

WEIGHT_BITS = 40
GREEDY_BELOW = 1e-5
"""Temperatures below this are greedy: their weights are all but one zero anyway."""


class Outcome(IntEnum):
    """How the draw of one row went."""

    OK = 0
    NOT_FINITE = 1
    NOTHING_ALLOWED = 2


def likeliest(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Each row's arg-max and its logit, [N] int64 and [N] float32; a NaN is above all."""
    tokens = logits.argmax(dim=-1)
    return tokens, logits.gather(1, tokens.unsqueeze(1)).squeeze(1)


def outcomes(best: Tensor) -> Tensor:
    """[N] int64 of `Outcome`, from each row's largest logit."""
    nothing = best == -torch.inf
    broken = ~torch.isfinite(best) & ~nothing
    return broken.to(torch.int64) + 2 * nothing.to(torch.int64)


def to_weights(logits: Tensor, best: Tensor, temperature: Tensor) -> Tensor:
    """Fixed-point weights.

    Args:
        logits: [N, vocab] float32; written over.
        best: [N] float32, largest logit of each row.
        temperature: [N] float32, at least `GREEDY_BELOW`.

    Returns:
        [N, vocab] int64, the largest of each row 2**40, all of them exact in float32 too; undefined
        in rows that are not finite.
    """
    # In place, because fresh pages cost a CPU more than the arithmetic.
    scaled = logits.sub_(best.unsqueeze(1)).div_(temperature.unsqueeze(1))
    return scaled.exp_().mul_(2.0**WEIGHT_BITS).to(torch.int64)


def draw(weights: Tensor, seeds: Tensor, positions: Tensor) -> Tensor:
    """Draws one token a row in proportion to its weight.

    Args:
        weights: [N, vocab] int64, not negative; written over.
        seeds: [N] int64, from `noise.signed`.
        positions: [N] int64.

    Returns:
        [N] int64 tokens; one of weight 0 only if the whole row is 0.
    """
    cumulative = weights.cumsum_(dim=-1)
    total = cumulative[:, -1]
    # Below 2**53 units the product is exact enough; beyond, float64 rounds to a few units of 2**58.
    target = (uniform(seeds, positions) * total).to(torch.int64)
    target = torch.minimum(target, total - 1).unsqueeze(1)
    tokens = torch.searchsorted(cumulative, target, right=True).squeeze(1)
    return tokens.clamp_(max=weights.shape[1] - 1)


def pack(tokens: Tensor, best: Tensor) -> Tensor:
    """[2, N] int64: tokens (0 where the row failed) over outcomes, to be copied in one piece."""
    outcome = outcomes(best)
    return torch.stack((tokens * (outcome == 0), outcome))


def draw_plain(logits: Tensor, temperature: Tensor, seeds: Tensor, positions: Tensor) -> Tensor:
    """Greedy rows and rows of plain temperature sampling in one go, for a CUDA graph.

    Args:
        logits: [N, vocab] float32; written over.
        temperature: [N] float32; below `GREEDY_BELOW` the row is greedy.
        seeds: [N] int64, from `noise.signed`.
        positions: [N] int64, index of the token that is drawn.

    Returns:
        [2, N] int64: tokens, outcomes.
    """
    tokens, best = likeliest(logits)
    weights = to_weights(logits, best, temperature.clamp(min=GREEDY_BELOW))
    drawn = draw(weights, seeds, positions)
    return pack(torch.where(temperature < GREEDY_BELOW, tokens, drawn), best)
