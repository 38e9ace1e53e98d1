"""Weight-only quantization: int8 with a scale per output, int4 with a scale per 32 inputs.

Symmetric round-to-nearest, no calibration data. What always holds: the scale is rounded to the
dtype it is kept in before the weights are divided by it, so that codes are the nearest there are.
"""

import torch
from torch import Tensor

GROUP = 32
# Shrinking a group's scale clips its largest weight and resolves the others better.
_SHRINKS = (1.0, 0.95, 0.9, 0.85, 0.8)
_ROWS_AT_ONCE = 2048


def quantize_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Rounds each row to 255 levels.

    Args:
        weight: [N, K] of a floating dtype.

    Returns:
        Codes [N, K] int8 from -127 to 127 and scales [N] float32; the weight is about
        `scale * code`. A row of zeros has scale 1.
    """
    codes, scales = [], []
    for rows in torch.split(weight, _ROWS_AT_ONCE):
        scale = rows.abs().amax(dim=1).float() / 127
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        codes.append((rows.float() / scale[:, None]).round().clamp(-127, 127).to(torch.int8))
        scales.append(scale)
    return torch.cat(codes), torch.cat(scales)


def quantize_int4(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Rounds each 32 weights of a row to 16 levels, with the scale of least squared error.

    Args:
        weight: [N, K] of a floating dtype.

    Returns:
        Codes [N, K] int8 from -8 to 7 and scales [N, ceil(K / 32)] bfloat16, of either sign: the
        weight of largest magnitude gets code -8, the level without a counterpart.
    """
    inputs = weight.shape[1]
    codes, scales = [], []
    for rows in torch.split(weight, _ROWS_AT_ONCE):
        filled = torch.nn.functional.pad(rows.float(), (0, -inputs % GROUP))
        groups = filled.view(rows.shape[0], -1, GROUP)
        largest = groups.gather(2, groups.abs().argmax(dim=2, keepdim=True)) / -8
        largest = torch.where(largest != 0, largest, torch.ones_like(largest))
        best, code, least = _rounded(groups, largest * _SHRINKS[0])
        for shrink in _SHRINKS[1:]:
            scale, other, loss = _rounded(groups, largest * shrink)
            better = loss < least
            best = torch.where(better, scale, best)
            code = torch.where(better, other, code)
            least = torch.where(better, loss, least)
        codes.append(code.view(rows.shape[0], -1)[:, :inputs].to(torch.int8))
        scales.append(best.squeeze(2))
    return torch.cat(codes), torch.cat(scales)


def _rounded(groups: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scale, codes and squared error of groups [N, G, 32] at a scale [N, G, 1]."""
    kept = wanted.bfloat16()
    scale = kept.float()
    codes = (groups / scale).round_().clamp_(-8, 7)
    loss = (codes * scale).sub_(groups).square_().sum(dim=2, keepdim=True)
    return kept, codes, loss


def dequantize_int8(codes: Tensor, scales: Tensor) -> Tensor:
    """The weights [N, K] float32 that the codes stand for."""
    return codes.float() * scales[:, None]


def dequantize_int4(codes: Tensor, scales: Tensor) -> Tensor:
    """The weights [N, K] float32 that the codes stand for."""
    return codes.float() * scales.float().repeat_interleave(GROUP, dim=1)[:, : codes.shape[1]]
