"""Rows of a sampling batch, for tests."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rostra.serving.request import SamplingParams
from rostra.serving.sampling.sampler import SamplingRow


def row(
    *,
    seed: int = 0,
    position: int = 0,
    prompt: Sequence[int] = (),
    output: Sequence[int] = (),
    eos: Sequence[int] = (),
    mask: bool = False,
    **params: Any,
) -> SamplingRow:
    return SamplingRow(SamplingParams(**params), seed, position, prompt, output, eos, mask)


def random_logits(rows: int, vocab_size: int, seed: int = 0, scale: float = 3.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, vocab_size, generator=generator) * scale


def bits(allowed: Sequence[Sequence[int]], vocab_size: int) -> Tensor:
    """A grammar bitmask in xgrammar's layout, written out bit by bit."""
    mask = torch.zeros(len(allowed), (vocab_size + 31) // 32, dtype=torch.int64)
    for index, tokens in enumerate(allowed):
        for token in tokens:
            mask[index, token // 32] |= 1 << (token % 32)
    return torch.where(mask >= 2**31, mask - 2**32, mask).to(torch.int32)
