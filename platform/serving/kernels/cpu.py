"""The decoder's row-wise operations on a CPU, one pass over memory each.

They round where `models.ops` rounds: sums in float32, one rounding to the tensors' dtype after each
step that the reference implementation rounds after.

What always holds: a row's result depends, bit for bit, on that row alone.
"""

import math
import struct
from functools import cache

import numba
import torch
from torch import Tensor

from rostra.serving.kernels.cpu_pool import kernel, launch
from rostra.serving.kernels.cpu_vector import (
    BFLOAT16,
    FLOAT32,
    LANES,
    Kind,
    add,
    compiled,
    divide,
    exponential,
    fetch_add,
    fill,
    lane_sum,
    load,
    multiply,
    multiply_add,
    read_float,
    read_int,
    rounded,
    size_of,
    store,
    subtract,
    tanh,
)

_DTYPES = (torch.float32, torch.bfloat16)
# Fewer elements than this are not worth waking the other threads.
_WORTH_SHARING = 65_536
# Elements that a thread takes at once.
_SHARE = 16_384


def takes(x: Tensor, *widths: int) -> bool:
    """Whether the kernels here work on such tensors: on a CPU, in whole vectors."""
    if not x.is_cpu or x.dtype not in _DTYPES:
        return False
    return not any(width % LANES for width in widths)


def rows_are_whole(*parts: Tensor) -> bool:
    """Whether [T, heads, head_dim] has each token's heads in one piece."""
    return all(part.stride(2) == 1 and part.stride(1) == part.shape[2] for part in parts)


def _run_length(rows: int, width: int) -> int:
    return max(1, min(rows, _SHARE // width))


# --- Norms --------------------------------------------------------------------------------------
_TAKEN = 0
_X, _X_STRIDE, _X_INNER_STRIDE, _INNER, _ROWS, _WIDTH = (8 * i for i in range(2, 8))
_RESIDUAL, _SUM, _WEIGHT, _EPS, _OFFSET, _OUT, _RUN = (8 * i for i in range(8, 15))


@compiled
def _normalise(args: int, kind: Kind) -> None:
    size, rows, width = size_of(kind), read_int(args + _ROWS), read_int(args + _WIDTH)
    inner, run = read_int(args + _INNER), read_int(args + _RUN)
    residual, weight = read_int(args + _RESIDUAL), read_int(args + _WEIGHT)
    eps, offset = read_float(args + _EPS), read_float(args + _OFFSET)
    while True:
        first = fetch_add(args + _TAKEN, run)
        if first >= rows:
            break
        for row in range(first, min(first + run, rows)):
            x = read_int(args + _X) + row // inner * read_int(args + _X_STRIDE)
            x += row % inner * read_int(args + _X_INNER_STRIDE)
            out = read_int(args + _OUT) + row * width * size
            squares = fill(numba.float32(0))
            if residual:
                before = residual + row * width * size
                after = read_int(args + _SUM) + row * width * size
                for at in range(0, width * size, 16 * size):
                    value = rounded(kind, add(load(kind, before + at), load(kind, x + at)))
                    store(kind, after + at, value)
                    squares = multiply_add(value, value, squares)
                x = after
            else:
                for at in range(0, width * size, 16 * size):
                    value = load(kind, x + at)
                    squares = multiply_add(value, value, squares)
            mean = lane_sum(squares) / numba.float32(width)
            factor = fill(numba.float32(1) / numba.float32(math.sqrt(mean + eps)))
            for at in range(0, width * size, 16 * size):
                value = multiply(load(kind, x + at), factor)
                scale = load(kind, weight + at)
                if offset != 0:
                    value = multiply(value, add(scale, fill(offset)))
                else:
                    value = multiply(rounded(kind, value), scale)
                store(kind, out + at, value)


@kernel
def _normalise_bf16(args: int) -> None:
    _normalise(args, BFLOAT16)


@kernel
def _normalise_f32(args: int) -> None:
    _normalise(args, FLOAT32)


@cache
def _float_bits(value: float) -> int:
    """A float32 as the lower half of an int64."""
    return int(struct.unpack("<i", struct.pack("<f", value))[0])


def add_rms_norm(
    x: Tensor, residual: Tensor | None, weight: Tensor, eps: float, offset: float
) -> tuple[Tensor, Tensor]:
    """As `models.ops.add_rms_norm`; without a residual the second result is `x`.

    Args:
        x: [T, width], or [T, inner, width] of any strides but the last; `takes` it.
        residual: like x, contiguous.
        weight: [width] of x's dtype.
    """
    width = x.shape[-1]
    if x.stride(-1) != 1 or x.dim() > 3:
        x = x.contiguous().view(-1, width) if residual is None else x.contiguous()
    rows = x.numel() // width if width else 0
    inner = x.shape[1] if x.dim() == 3 else 1
    size = x.element_size()
    out = torch.empty(x.shape, dtype=x.dtype)
    total = x if residual is None else torch.empty(x.shape, dtype=x.dtype)
    parallel = rows * width >= _WORTH_SHARING
    launch(
        _normalise_bf16 if x.dtype == torch.bfloat16 else _normalise_f32,
        x.data_ptr(),
        x.stride(0) * size,
        x.stride(1) * size,
        inner,
        rows,
        width,
        0 if residual is None else residual.data_ptr(),
        total.data_ptr(),
        weight.data_ptr(),
        _float_bits(eps),
        _float_bits(offset),
        out.data_ptr(),
        _run_length(rows, width) if parallel else rows,
        parallel=parallel,
    )
    return out, total


# --- Rotary -------------------------------------------------------------------------------------
_Q, _Q_STRIDE, _K, _K_STRIDE, _TOKENS, _HEADS, _KV_HEADS, _DIM, _ROTARY = (
    8 * i for i in range(2, 11)
)
_ANGLES, _TURNED, _TOKEN_RUN = (8 * i for i in range(11, 14))


@compiled
def _rotate(args: int, kind: Kind) -> None:
    size, tokens, run = size_of(kind), read_int(args + _TOKENS), read_int(args + _TOKEN_RUN)
    heads, kv_heads = read_int(args + _HEADS), read_int(args + _KV_HEADS)
    dim, rotary = read_int(args + _DIM), read_int(args + _ROTARY)
    half = rotary // 2
    while True:
        first = fetch_add(args + _TAKEN, run)
        if first >= tokens:
            break
        for token in range(first, min(first + run, tokens)):
            q = read_int(args + _Q) + token * read_int(args + _Q_STRIDE)
            k = read_int(args + _K) + token * read_int(args + _K_STRIDE)
            angles = read_int(args + _ANGLES) + token * rotary * 4
            out = read_int(args + _TURNED) + token * (heads + kv_heads) * dim * size
            for head in range(heads + kv_heads):
                x = q + head * dim * size
                if head >= heads:
                    x = k + (head - heads) * dim * size
                y = out + head * dim * size
                for at in range(0, half, 16):
                    cos = load(FLOAT32, angles + 4 * at)
                    sin = load(FLOAT32, angles + 4 * (half + at))
                    one, two = load(kind, x + at * size), load(kind, x + (half + at) * size)
                    turned = subtract(multiply(one, cos), multiply(two, sin))
                    store(kind, y + at * size, turned)
                    turned = add(multiply(two, cos), multiply(one, sin))
                    store(kind, y + (half + at) * size, turned)
                for at in range(rotary, dim, 16):
                    store(kind, y + at * size, load(kind, x + at * size))


@kernel
def _rotate_bf16(args: int) -> None:
    _rotate(args, BFLOAT16)


@kernel
def _rotate_f32(args: int) -> None:
    _rotate(args, FLOAT32)


def rotary(q: Tensor, k: Tensor, cos_sin: Tensor) -> tuple[Tensor, Tensor]:
    """As `models.ops.rotary`; heads must be contiguous in themselves and to each other."""
    tokens, heads, dim = q.shape
    kv_heads, size = k.shape[1], q.element_size()
    turned = torch.empty((tokens, heads + kv_heads, dim), dtype=q.dtype)
    parallel = turned.numel() >= _WORTH_SHARING
    launch(
        _rotate_bf16 if q.dtype == torch.bfloat16 else _rotate_f32,
        q.data_ptr(),
        q.stride(0) * size,
        k.data_ptr(),
        k.stride(0) * size,
        tokens,
        heads,
        kv_heads,
        dim,
        cos_sin.shape[1],
        cos_sin.data_ptr(),
        turned.data_ptr(),
        _run_length(tokens, (heads + kv_heads) * dim) if parallel else tokens,
        parallel=parallel,
    )
    return turned.narrow(1, 0, heads), turned.narrow(1, heads, kv_heads)


# --- Gates --------------------------------------------------------------------------------------
_GATE_UP, _GATE_ROWS, _GATE_WIDTH, _GATED, _GATE_RUN = (8 * i for i in range(2, 7))
_BEND = math.sqrt(2 / math.pi)


@compiled
def _gate(args: int, kind: Kind, gelu: bool) -> None:
    size, rows, width = size_of(kind), read_int(args + _GATE_ROWS), read_int(args + _GATE_WIDTH)
    run, one = read_int(args + _GATE_RUN), fill(numba.float32(1))
    while True:
        first = fetch_add(args + _TAKEN, run)
        if first >= rows:
            break
        for row in range(first, min(first + run, rows)):
            gate = read_int(args + _GATE_UP) + row * 2 * width * size
            out = read_int(args + _GATED) + row * width * size
            for at in range(0, width * size, 16 * size):
                x, up = load(kind, gate + at), load(kind, gate + width * size + at)
                if gelu:
                    cube = multiply(multiply(multiply(x, x), x), fill(numba.float32(0.044715)))
                    bent = tanh(multiply(add(x, cube), fill(numba.float32(_BEND))))
                    opened = multiply(multiply(x, fill(numba.float32(0.5))), add(one, bent))
                else:
                    shrunk = exponential(subtract(fill(numba.float32(0)), x))
                    opened = divide(x, add(one, shrunk))
                store(kind, out + at, multiply(rounded(kind, opened), up))


@kernel
def _silu_bf16(args: int) -> None:
    _gate(args, BFLOAT16, False)


@kernel
def _silu_f32(args: int) -> None:
    _gate(args, FLOAT32, False)


@kernel
def _gelu_bf16(args: int) -> None:
    _gate(args, BFLOAT16, True)


@kernel
def _gelu_f32(args: int) -> None:
    _gate(args, FLOAT32, True)


def gated(gate_up: Tensor, *, gelu: bool) -> Tensor:
    """As `models.ops.gated`, with SiLU or the tanh form of GELU; `gate_up` is contiguous."""
    width = gate_up.shape[-1] // 2
    rows = gate_up.numel() // (2 * width) if width else 0
    out = torch.empty((*gate_up.shape[:-1], width), dtype=gate_up.dtype)
    parallel = rows * width >= _WORTH_SHARING
    if gate_up.dtype == torch.bfloat16:
        code = _gelu_bf16 if gelu else _silu_bf16
    else:
        code = _gelu_f32 if gelu else _silu_f32
    launch(
        code,
        gate_up.data_ptr(),
        rows,
        width,
        out.data_ptr(),
        _run_length(rows, width) if parallel else rows,
        parallel=parallel,
    )
    return out
