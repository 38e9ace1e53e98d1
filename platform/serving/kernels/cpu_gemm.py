"""Products of a few rows with packed weights, as fast as memory delivers the weights.

`y[m, n] = scale[n] * sum_k x[m, k] w[n, k] + bias[n]` for weights in bfloat16, float32, int8 or
int4. A weight is packed once into panels of 32 outputs; a tile of 1, 4 or 8 rows is multiplied with
a panel in registers, while the panel after it is fetched. At few rows the time is that of reading
the weights, at many rows that of the arithmetic.

Two kinds of arithmetic: pairs of bfloat16 with float32 sums where the CPU has them (AVX512-BF16),
else float32 throughout.

What always holds: an output is summed over k in one order, in one lane, whatever tile its row
stands in; so it depends, bit for bit, on its own row and weights alone. Rows and outputs that fill
up a tile or panel are zeros and are not written.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from rostra.serving.kernels.cpu_pool import Kernel, kernel, launch
from rostra.serving.kernels.cpu_vector import (
    BF16X32,
    BFLOAT16,
    F32,
    F32X16,
    FLOAT32,
    I8,
    I16,
    I32,
    I32X16,
    I64,
    LANES,
    add,
    bf16_dot,
    bfloat16_bits,
    call,
    copy_word,
    even_odd,
    every,
    fetch_add,
    fused,
    has_bf16_dot,
    inlined,
    lane,
    load,
    load_one,
    multiply,
    pause,
    prefetch,
    read,
    read_bf16,
    read_int,
    read_shared,
    splat,
    stack,
    store,
    store_one,
    write,
)

PANEL = 2 * LANES
GROUP = 32
_PAIRS_PER_GROUP = GROUP // 2
# Bytes of a group of 32 x 32 weights: the numbers, then a bfloat16 scale for each output.
_GROUP_BYTES = GROUP * PANEL // 2 + 2 * PANEL
_MAX_TILE = 8
# Rows that one thread multiplies with a run of panels before it takes other work.
_BLOCK_TILES = 16
# Up to so many tiles, reading the weights takes longer than the arithmetic.
_FEW_TILES = 8
# A run of panels stays in the second-level cache while those rows pass.
_CACHED_BYTES = 128 * 1024
_AHEAD_BYTES = 4096
# Products of fewer numbers than this are not worth waking the other threads.
_WORTH_SHARING = 2**18


# --- Packing ------------------------------------------------------------------------------------
def _padded(weight: Tensor, multiple: int) -> Tensor:
    """[N, K] with zeros up to whole panels and a multiple of K."""
    outputs, inputs = weight.shape
    room = weight.new_zeros(-(-outputs // PANEL) * PANEL, -(-inputs // multiple) * multiple)
    room[:outputs, :inputs] = weight
    return room


def pack_pairs(weight: Tensor) -> Tensor:
    """Lays out a bfloat16 or int8 weight [N, K] as [N / 32, K / 2, 32, 2]."""
    room = _padded(weight, 4)
    outputs, inputs = room.shape
    return room.view(outputs // PANEL, PANEL, inputs // 2, 2).transpose(1, 2).contiguous()


def pack_floats(weight: Tensor) -> Tensor:
    """Lays out a float32 weight [N, K] as [N / 32, K, 32]."""
    room = _padded(weight, 4)
    return room.view(room.shape[0] // PANEL, PANEL, room.shape[1]).transpose(1, 2).contiguous()


def pack_groups(codes: Tensor, scales: Tensor) -> Tensor:
    """Lays out an int4 weight as [N / 32, K / 32, bytes of a group] uint8.

    Args:
        codes: [N, K] of an integer dtype, from -8 to 7; the weight is `scale * code`.
        scales: [N, ceil(K / 32)] bfloat16.
    """
    room = _padded(codes.to(torch.int16), GROUP) + 8
    panels, groups = room.shape[0] // PANEL, room.shape[1] // GROUP
    # A 16-bit word holds one output's numbers of 4 pairs in turn, at one place in the pair.
    parts = room.view(panels, 2, LANES, groups, 4, 4, 2).permute(0, 3, 1, 4, 2, 6, 5)
    words = parts[..., 0] | parts[..., 1] << 4 | parts[..., 2] << 8 | parts[..., 3] << 12
    numbers = words.contiguous().view(panels, groups, -1).view(torch.uint8)
    rows = scales.new_zeros(panels * PANEL, groups)
    rows[: scales.shape[0]] = scales
    tail = rows.view(panels, PANEL, groups).transpose(1, 2).contiguous().view(torch.uint8)
    return torch.cat((numbers, tail), dim=2).contiguous()


# --- A tile in registers ------------------------------------------------------------------------
# Weights of one pair: bfloat16 pairs, or the even and the odd ones in float32.
_Pair = Any


@dataclass(frozen=True, slots=True)
class _Format:
    """How packed weights are read.

    Attributes:
        pairs: k-pairs of one step.
        step_bytes: of a panel's step.
        read: (builder, address, block, dot) -> the step's pairs of 16 outputs.
        scale: (builder, address, block) -> the step's scales of 16 outputs; None: there are none.
    """

    pairs: int
    step_bytes: int
    read: Callable[[ir.IRBuilder, ir.Value, int, bool], list[_Pair]]
    scale: Callable[[ir.IRBuilder, ir.Value, int], ir.Value] | None = None


def _at(builder: ir.IRBuilder, address: ir.Value, offset: int) -> ir.Value:
    return builder.add(address, I64(offset))


def _read_bf16(builder: ir.IRBuilder, address: ir.Value, block: int, dot: bool) -> list[_Pair]:
    pairs = []
    for pair in range(2):
        place = _at(builder, address, 128 * pair + 64 * block)
        words = read(builder, I32X16, place, 64)
        weights = builder.bitcast(words, BF16X32)
        pairs.append(weights if dot else even_odd(builder, weights))
    return pairs


def _read_f32(builder: ir.IRBuilder, address: ir.Value, block: int, dot: bool) -> list[_Pair]:
    rows = [
        read(builder, F32X16, _at(builder, address, 128 * k + 64 * block), 64) for k in range(4)
    ]
    return [(rows[0], rows[1]), (rows[2], rows[3])]


def _numbers(builder: ir.IRBuilder, numbers: ir.Value, dot: bool) -> _Pair:
    """32 integers as a pair."""
    floats = builder.sitofp(numbers, ir.VectorType(F32, PANEL))
    if dot:
        return builder.fptrunc(floats, BF16X32)
    even, odd = (
        builder.shuffle_vector(
            floats, floats, ir.Constant(I32X16, [2 * i + part for i in range(LANES)])
        )
        for part in range(2)
    )
    return even, odd


def _read_int8(builder: ir.IRBuilder, address: ir.Value, block: int, dot: bool) -> list[_Pair]:
    kind = ir.VectorType(I8, PANEL)
    return [
        _numbers(
            builder, read(builder, kind, _at(builder, address, 64 * pair + 32 * block), 32), dot
        )
        for pair in range(2)
    ]


def _read_int4(builder: ir.IRBuilder, address: ir.Value, block: int, dot: bool) -> list[_Pair]:
    kind = ir.VectorType(I16, PANEL)
    pairs = []
    # A table look-up takes the place of a conversion; it reads the lower 5 bits of an index.
    values = [float((i & 15) - 8) for i in range(PANEL)]
    table = ir.Constant(kind, [bfloat16_bits(value) for value in values])
    for quarter in range(4):
        words = read(builder, kind, _at(builder, address, 256 * block + 64 * quarter), 32)
        for turn in range(4):
            index = builder.lshr(words, every(kind, 4 * turn)) if turn else words
            if dot:
                found = call(builder, "llvm.x86.avx512.permvar.hi.512", kind, [table, index])
                pairs.append(builder.bitcast(found, BF16X32))
            else:
                digit = builder.and_(index, every(kind, 15))
                pairs.append(_numbers(builder, builder.sub(digit, every(kind, 8)), dot))
    return pairs


def _scale_int4(builder: ir.IRBuilder, address: ir.Value, block: int) -> ir.Value:
    return read_bf16(builder, _at(builder, address, GROUP * PANEL // 2 + 2 * LANES * block))


BF16, FLOATS, INT8, INT4 = 0, 1, 2, 3
_FORMATS = {
    BF16: _Format(2, 2 * 2 * PANEL * 2, _read_bf16),
    FLOATS: _Format(2, 2 * 2 * PANEL * 4, _read_f32),
    INT8: _Format(2, 2 * 2 * PANEL, _read_int8),
    INT4: _Format(_PAIRS_PER_GROUP, _GROUP_BYTES, _read_int4, _scale_int4),
}


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _tile(
    _context: Any,
    weights: Any,
    dot: Any,
    rows: Any,
    shared: Any,
    _x: Any,
    _w: Any,
    _steps: Any,
    _out: Any,
    _ahead: Any,
) -> Any:
    """Multiplies packed rows with a panel: out [rows, 32] float32.

    Constants: `weights` a format, `dot` 1 for bfloat16 arithmetic, `rows`, `shared` 1 if two tiles
    pass over a panel, so that each fetches half of the next one. Addresses: `_x` of [pairs, rows,
    2], `_w` of the panel, `_out`, `_ahead` of what is to be fetched.
    """
    constants = (weights, dot, rows, shared)
    if not all(isinstance(constant, types.IntegerLiteral) for constant in constants):
        return None
    form = _FORMATS[weights.literal_value]
    as_dot, height = bool(dot.literal_value), rows.literal_value
    fetched = form.step_bytes // 2 if shared.literal_value else form.step_bytes
    element = 2 if as_dot else 4

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        x, w, steps, out, ahead = values[4:]
        totals = [[cgutils.alloca_once(builder, F32X16) for _ in range(2)] for _ in range(height)]
        parts = totals
        if form.scale:
            parts = [[cgutils.alloca_once(builder, F32X16) for _ in range(2)] for _ in totals]
        zero = every(F32X16, 0.0)
        for total in [total for row in totals for total in row]:
            builder.store(zero, total)
        with cgutils.for_range(builder, steps, intp=I64) as loop:
            here = builder.add(w, builder.mul(loop.index, I64(form.step_bytes)))
            row_bytes = I64(form.pairs * height * 2 * element)
            inputs = builder.add(x, builder.mul(loop.index, row_bytes))
            soon = builder.add(ahead, builder.mul(loop.index, I64(fetched)))
            for line in range(-(-fetched // 64)):
                prefetch(builder, _at(builder, soon, 64 * line))
            if form.scale:
                for part in [part for row in parts for part in row]:
                    builder.store(zero, part)
            pairs = [form.read(builder, here, block, as_dot) for block in range(2)]
            for pair in range(form.pairs):
                for row in range(height):
                    place = _at(builder, inputs, (pair * height + row) * 2 * element)
                    factors = _broadcast(builder, place, as_dot)
                    for block in range(2):
                        slot = parts[row][block]
                        total = builder.load(slot, typ=F32X16)
                        weight = pairs[block][pair]
                        builder.store(_joined(builder, total, weight, factors, as_dot), slot)
            if form.scale:
                for block in range(2):
                    scale = form.scale(builder, here, block)
                    for row in range(height):
                        part = builder.load(parts[row][block], typ=F32X16)
                        total = builder.load(totals[row][block], typ=F32X16)
                        builder.store(fused(builder, part, scale, total), totals[row][block])
        for row in range(height):
            for block in range(2):
                total = builder.load(totals[row][block], typ=F32X16)
                write(builder, total, _at(builder, out, 128 * row + 64 * block), 64)
        return context.get_dummy_value()

    return types.void(*constants, *[types.int64] * 5), generate


def _broadcast(builder: ir.IRBuilder, place: ir.Value, dot: bool) -> _Pair:
    """A row's pair in every lane."""
    if dot:
        return builder.bitcast(splat(builder, read(builder, I32, place, 4), I32X16), BF16X32)
    return tuple(
        splat(builder, read(builder, F32, _at(builder, place, 4 * part), 4), F32X16)
        for part in range(2)
    )


def _joined(
    builder: ir.IRBuilder, total: ir.Value, weight: _Pair, factors: _Pair, dot: bool
) -> ir.Value:
    if dot:
        return bf16_dot(builder, total, weight, factors)
    total = fused(builder, weight[0], factors[0], total)
    return fused(builder, weight[1], factors[1], total)


# --- All tiles ----------------------------------------------------------------------------------
# Kinds of x and of the result.
SINGLE, HALF = 0, 1
# What a kernel finds at its address, as places in an array of int64.
_TAKEN, _PACKED = 0, 8  # counters: units of work taken, tiles of x packed
_X, _X_STRIDE, _ROWS, _SPACE, _OUT, _KIND, _RUN = (8 * i for i in range(2, 9))
_INPUTS, _PAIRS, _W, _PANEL_BYTES, _STEPS, _PANELS, _OUTPUTS, _SCALE, _BIAS = (
    8 * i for i in range(9, 18)
)


@inlined
def _pack_tile(args: int, tile: int, height: int, dot: int) -> None:
    """Copies the rows of a tile to [pairs, height, 2], with zeros around them."""
    x, stride, kind = read_int(args + _X), read_int(args + _X_STRIDE), read_int(args + _KIND)
    inputs, pairs = read_int(args + _INPUTS), read_int(args + _PAIRS)
    size = 2 if dot else 4
    space = read_int(args + _SPACE) + tile * height * pairs * 2 * size
    rows = read_int(args + _ROWS) - tile * height
    for row in range(height):
        target, source = space + row * 2 * size, x + (tile * height + row) * stride
        valid = inputs if row < rows else 0
        if dot:
            for pair in range(valid // 2):
                copy_word(target + 4 * height * pair, source + 4 * pair)
            start = valid // 2 * 2
        else:
            start = 0
        for k in range(start, 2 * pairs):
            value = numba.float32(0)
            if k < valid:
                if kind == HALF:
                    value = load_one(BFLOAT16, source + 2 * k)
                else:
                    value = load_one(FLOAT32, source + 4 * k)
            place = target + (k // 2 * height * 2 + k % 2) * size
            if dot:
                store_one(BFLOAT16, place, value)
            else:
                store_one(FLOAT32, place, value)


@inlined
def _finish_tile(args: int, tile: int, height: int, panel: int, totals: int) -> None:
    """Scales, adds the bias and writes what is not filling."""
    out, kind, outputs = read_int(args + _OUT), read_int(args + _KIND), read_int(args + _OUTPUTS)
    scale, bias = read_int(args + _SCALE), read_int(args + _BIAS)
    for block in range(2):
        column = panel * 32 + block * 16
        for row in range(min(height, read_int(args + _ROWS) - tile * height)):
            value = load(FLOAT32, totals + 128 * row + 64 * block)
            if scale:
                value = multiply(value, load(FLOAT32, scale + 4 * column))
            if bias:
                value = add(value, load(FLOAT32, bias + 4 * column))
            place = (tile * height + row) * outputs + column
            if column + 16 <= outputs:
                if kind == HALF:
                    store(BFLOAT16, out + 2 * place, value)
                else:
                    store(FLOAT32, out + 4 * place, value)
            else:
                for rest in range(outputs - column):
                    if kind == HALF:
                        store_one(BFLOAT16, out + 2 * (place + rest), lane(value, rest))
                    else:
                        store_one(FLOAT32, out + 4 * (place + rest), lane(value, rest))


@inlined
def _multiply(args: int, weights: int, dot: int) -> None:
    """Takes work until none is left: first tiles of x to pack, then blocks of the product."""
    rows, pairs = read_int(args + _ROWS), read_int(args + _PAIRS)
    height = 1 if rows == 1 else 4 if rows <= 4 else _MAX_TILE
    tiles = (rows + height - 1) // height
    space, w = read_int(args + _SPACE), read_int(args + _W)
    packs = 0 if space == read_int(args + _X) else tiles
    tile_bytes = height * pairs * (4 if dot else 8)
    panel_bytes, steps = read_int(args + _PANEL_BYTES), read_int(args + _STEPS)
    panels, run = read_int(args + _PANELS), read_int(args + _RUN)
    blocks = (tiles + _BLOCK_TILES - 1) // _BLOCK_TILES
    runs = (panels + run - 1) // run
    totals = stack(1024)
    while True:
        work = fetch_add(args + _TAKEN, 1)
        if work < packs:
            _pack_tile(args, work, height, dot)
            fetch_add(args + _PACKED, 1)
            continue
        work -= packs
        if work >= runs * blocks:
            break
        while read_shared(args + _PACKED) < packs:
            pause()
        first_panel, first_tile = work // blocks * run, work % blocks * _BLOCK_TILES
        width = min(run, panels - first_panel)
        depth = min(_BLOCK_TILES, tiles - first_tile)
        for step in range(width * depth):
            if tiles <= _FEW_TILES:
                # Memory is the limit: all tiles pass over a panel, then over the next.
                panel, tile = first_panel + step // depth, first_tile + step % depth
            else:
                # Arithmetic is the limit: a tile passes over all panels of the run.
                panel, tile = first_panel + step % width, first_tile + step // width
            x, here = space + tile * tile_bytes, w + panel * panel_bytes
            if height == 1:
                _tile(weights, dot, 1, 0, x, here, steps, totals, here + _AHEAD_BYTES)
            elif height == 4:
                _tile(weights, dot, 4, 0, x, here, steps, totals, here + _AHEAD_BYTES)
            elif tiles == 1:
                _tile(weights, dot, 8, 0, x, here, steps, totals, here + _AHEAD_BYTES)
            else:
                # The first two tiles fetch half of the next panel each.
                part = panel_bytes + tile * (panel_bytes // 2)
                ahead = here + part if tiles <= _FEW_TILES and tile < 2 else here
                _tile(weights, dot, 8, 1, x, here, steps, totals, ahead)
            _finish_tile(args, tile, height, panel, totals)


@kernel
def _bf16_dot(args: int) -> None:
    _multiply(args, BF16, 1)


@kernel
def _bf16_float(args: int) -> None:
    _multiply(args, BF16, 0)


@kernel
def _floats(args: int) -> None:
    _multiply(args, FLOATS, 0)


@kernel
def _int8_dot(args: int) -> None:
    _multiply(args, INT8, 1)


@kernel
def _int8_float(args: int) -> None:
    _multiply(args, INT8, 0)


@kernel
def _int4_dot(args: int) -> None:
    _multiply(args, INT4, 1)


@kernel
def _int4_float(args: int) -> None:
    _multiply(args, INT4, 0)


_KERNELS: dict[tuple[int, bool], Kernel] = {
    (BF16, True): _bf16_dot,
    (BF16, False): _bf16_float,
    (FLOATS, False): _floats,
    (INT8, True): _int8_dot,
    (INT8, False): _int8_float,
    (INT4, True): _int4_dot,
    (INT4, False): _int4_float,
}


class PackedProduct:
    """A packed weight and how to multiply with it.

    Args:
        form: BF16, FLOATS, INT8 or INT4.
        packed: as the `pack_` function of that format returns it.
        inputs: K.
        outputs: N.
        scale: [N] float32, multiplies the outputs.
        bias: [N] float32 or None.
        dot: arithmetic in bfloat16 pairs; None takes it where the CPU and x's dtype allow.
    """

    def __init__(
        self,
        form: int,
        packed: Tensor,
        inputs: int,
        outputs: int,
        *,
        scale: Tensor | None = None,
        bias: Tensor | None = None,
        dot: bool | None = None,
    ) -> None:
        layout = _FORMATS[form]
        self.inputs, self.outputs = inputs, outputs
        self._dot = (has_bf16_dot() if dot is None else dot) and form != FLOATS
        self._kernels = {
            use: _KERNELS[form, use] for use in (False, True) if (form, use) in _KERNELS
        }
        self._panels = -(-outputs // PANEL)
        self._panel_bytes = packed.nbytes // self._panels
        steps = self._panel_bytes // layout.step_bytes
        self._pairs = steps * layout.pairs
        self._whole = inputs == 2 * self._pairs
        # Aligned to a cache line, for the loads' sake.
        self._store = torch.empty(packed.nbytes + 64, dtype=torch.uint8)
        start = -self._store.data_ptr() % 64
        self._store[start : start + packed.nbytes] = packed.flatten().view(torch.uint8)
        self._scale, self._bias = self._per_output(scale), self._per_output(bias)
        self.bytes = packed.nbytes + sum(4 * outputs for part in (scale, bias) if part is not None)
        # What a launch says of the weights.
        self._fixed = (
            inputs,
            self._pairs,
            self._store.data_ptr() + start,
            self._panel_bytes,
            steps,
            self._panels,
            outputs,
            0 if self._scale is None else self._scale.data_ptr(),
            0 if self._bias is None else self._bias.data_ptr(),
        )

    def _per_output(self, values: Tensor | None) -> Tensor | None:
        if values is None:
            return None
        room = torch.zeros(self._panels * PANEL)
        room[: self.outputs] = values
        return room

    def __call__(self, x: Tensor) -> Tensor:
        """[M, K] float32 or bfloat16, rows contiguous in themselves -> [M, N] of x's dtype."""
        rows = x.shape[0]
        out = x.new_empty((rows, self.outputs))
        if rows == 0:
            return out
        half = x.dtype == torch.bfloat16
        dot = self._dot and half
        height = 1 if rows == 1 else 4 if rows <= 4 else _MAX_TILE
        tiles = -(-rows // height)
        if rows == 1 and dot and self._whole:
            space = x  # A single row is packed as it is.
        else:
            count = tiles * height * self._pairs * (1 if dot else 2)
            space = torch.empty(count, dtype=torch.float32)
        # Two runs for each thread at least, so that one that is held up costs less.
        run = self._panels // (2 * torch.get_num_threads())
        run = min(run, 16 if tiles <= _FEW_TILES else _CACHED_BYTES // self._panel_bytes)
        launch(
            self._kernels[dot],
            x.data_ptr(),
            x.stride(0) * x.element_size(),
            rows,
            space.data_ptr(),
            out.data_ptr(),
            HALF if half else SINGLE,
            max(run, 1),
            *self._fixed,
            parallel=rows * self.inputs * self.outputs >= _WORTH_SHARING,
        )
        return out
