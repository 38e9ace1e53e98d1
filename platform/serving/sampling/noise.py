"""The randomness of a draw: one number in [0, 1) for each (seed, position), and nothing else.

What always holds: the number is a pure function of seed and position, the same on every device
and in every batch; it is computed with tensor operations of fixed shape, so that it can be part of
a CUDA graph.

SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): the seed is mixed into the start of a stream, the
position says how far along it.
"""

import torch
from torch import Tensor

GOLDEN = 0x9E3779B97F4A7C15
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB


def signed(value: int) -> int:
    """The low 64 bits of any integer as a signed one, which is what tensors hold."""
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value


def mix(state: Tensor) -> Tensor:
    """SplitMix64's finaliser; int64 products wrap around as the unsigned ones of the paper do."""
    state = (state ^ shift_right(state, 30)) * signed(MIX_1)
    state = (state ^ shift_right(state, 27)) * signed(MIX_2)
    return state ^ shift_right(state, 31)


def shift_right(value: Tensor, bits: int) -> Tensor:
    """Logical shift; `>>` of a signed tensor would copy the sign."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def uniform(seeds: Tensor, positions: Tensor) -> Tensor:
    """One uniform number for each row.

    Args:
        seeds: [N] int64, from `signed`.
        positions: [N] int64, index of the token that is drawn.

    Returns:
        [N] float64 in [0, 1), of 53 random bits.
    """
    bits = mix(mix(seeds + signed(GOLDEN)) + (positions + 1) * signed(GOLDEN))
    return shift_right(bits, 11).to(torch.float64) * 2.0**-53


def sequence_seed(seed: int, index: int) -> int:
    """The seed of a request's sequence `index`: the request's own for the first, far from those of
    neighbouring seeds for the others.
    """
    if index == 0:
        return seed
    state = torch.tensor([signed(seed) ^ signed(index * MIX_1)], dtype=torch.int64)
    return int(mix(state).item())
