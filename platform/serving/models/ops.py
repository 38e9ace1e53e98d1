"""The decoder's row-wise operations: norms, rotations, gates.

What always holds: each row of a result depends on that row of the inputs alone, so batching changes
nothing; inner sums and angles are float32, whatever the dtype around them, float64 included. That
is how the reference implementation computes, and what makes results comparable to the last digits.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from rostra.serving.kernels import cpu
from rostra.serving.models.config import Activation


def rms_norm(x: Tensor, weight: Tensor, eps: float, offset: float = 0.0) -> Tensor:
    """Root mean square normalisation (arXiv:1910.07467) over the last dimension.

    Args:
        x: [..., width].
        weight: [width].
        eps: added to the mean square.
        offset: added to the weight; with one, rounding to x's dtype comes last (Gemma), without,
            before the product with the weight (Llama).

    Returns:
        Like `x`.
    """
    if cpu.takes(x, x.shape[-1]):
        return cpu.add_rms_norm(x, None, weight, eps, offset)[0]
    wide = x.float()
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    if offset:
        return (normed * (offset + weight.float())).to(x.dtype)
    return weight * normed.to(x.dtype)


def add_rms_norm(
    x: Tensor, residual: Tensor, weight: Tensor, eps: float, offset: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Adds to the residual stream and normalises the sum.

    Returns:
        The normalised sum, and the sum.
    """
    if cpu.takes(x, x.shape[-1]) and residual.is_contiguous():
        return cpu.add_rms_norm(x, residual, weight, eps, offset)
    residual = residual + x
    return rms_norm(residual, weight, eps, offset), residual


def rotary(q: Tensor, k: Tensor, cos_sin: Tensor) -> tuple[Tensor, Tensor]:
    """Rotates pairs of dimensions (i, i + rotary_dim / 2) by their positions' angles.

    Args:
        q: [T, heads, head_dim].
        k: [T, kv_heads, head_dim].
        cos_sin: [T, rotary_dim] float32, cosines then sines; dimensions from `rotary_dim` on are
            left alone.

    Returns:
        Like `q` and `k`.
    """
    if cpu.takes(q, q.shape[-1], cos_sin.shape[-1] // 2) and cpu.rows_are_whole(q, k):
        return cpu.rotary(q, k, cos_sin)
    wide = torch.promote_types(q.dtype, torch.float32)
    cos, sin = cos_sin.to(wide).unsqueeze(1).chunk(2, dim=-1)
    return _rotate(q, cos, sin), _rotate(k, cos, sin)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = cos.shape[-1]
    first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    turned = (first * cos - second * sin, second * cos + first * sin)
    return torch.cat([*(part.to(x.dtype) for part in turned), rest], dim=-1)


def gated(gate_up: Tensor, activation: Activation) -> Tensor:
    """`activation(gate) * up` (arXiv:2002.05202).

    Args:
        gate_up: [..., 2 * width], the gate first.
        activation: the gate's.

    Returns:
        [..., width].
    """
    if cpu.takes(gate_up, gate_up.shape[-1] // 2) and activation != "gelu":
        return cpu.gated(gate_up.contiguous(), gelu=activation != "silu")
    gate, up = gate_up.chunk(2, dim=-1)
    if not gate.is_cpu:
        if activation == "silu":
            return functional.silu(gate) * up
        return functional.gelu(gate, approximate="none" if activation == "gelu" else "tanh") * up
    # On a CPU torch's own activations take other instructions where a thread's share ends, so that
    # a row's last bits would depend on how many rows there are. These operations do not.
    wide = gate.to(torch.promote_types(gate.dtype, torch.float32))
    if activation == "silu":
        opened = wide / (1 + torch.exp(-wide))
    elif activation == "gelu":
        opened = 0.5 * wide * (1 + torch.erf(wide * math.sqrt(0.5)))
    else:
        bent = math.sqrt(2 / math.pi) * (wide + 0.044715 * wide * wide * wide)
        opened = 0.5 * wide * (1 + torch.tanh(bent))
    return opened.to(gate.dtype) * up


def softcap(x: Tensor, cap: float | None) -> Tensor:
    """Bends values smoothly into (-cap, cap) (arXiv:2408.00118); None leaves them."""
    return x if cap is None else torch.tanh(x / cap) * cap
