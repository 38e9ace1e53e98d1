"""Attention over paged keys and values, read where they lie.

One launch stores a step's new keys and values and then attends: a tile of up to 8 query rows (the
query heads of one key head, and neighbouring tokens of a prompt) passes over its sequence's keys 16
at a time with an online softmax (arXiv:1805.02867), so a key is read once for all of them.

Keys lie so that 16 tokens fill the lanes of a vector: scores need no sums over lanes. The keys of a
tile's sequence are cut into splits at fixed positions; splits are merged in order, whether one
thread did all of them or several did one each.

What always holds: a row's result is a function, bit for bit, of its query and of the keys and
values it may see, whatever else is in the tile or the step. Values that were never stored are
never used; a sequence's blocks are never read for another one.
"""

import math
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rostra.serving.kernels.cpu_pool import Kernel, kernel
from rostra.serving.kernels.cpu_vector import (
    BF16X32,
    BFLOAT16,
    F32,
    F32X16,
    FLOAT32,
    I16,
    I32,
    I32X16,
    I64,
    LANES,
    add,
    bf16_dot,
    copy_word,
    divide,
    even_odd,
    every,
    exponential,
    fetch,
    fetch_add,
    fill,
    fused,
    keep_lanes,
    lane,
    lane_max,
    lane_sum,
    load,
    load_one,
    multiply,
    multiply_add,
    read,
    read_float,
    read_int,
    read_int32,
    read_shared,
    splat,
    stack,
    store,
    subtract,
    tanh,
    write,
    write_float,
)

ROWS = 8
MAX_HEAD_DIM = 256
# Keys of one split; a multiple of 16.
SPLIT = 256
_SPLIT_CHUNKS = SPLIT // LANES
# Tokens whose keys and values one thread stores before it takes other work.
_STORED = 8
# Bytes of a partial result: for each row its maximum and sum, then its weighted values.
PARTIAL_BYTES = ROWS * 4 * (2 + MAX_HEAD_DIM)

# What a kernel finds at its address.
_TAKEN, _KEPT, _ATTENDED = 0, 8, 16
_Q, _Q_STRIDE, _K, _K_STRIDE, _V, _V_STRIDE, _TOKENS, _SLOTS = (8 * i for i in range(3, 11))
_CACHE, _KV_HEADS, _GROUP, _DIM, _BLOCK = (8 * i for i in range(11, 16))
_TILES, _TILE_COUNT, _STARTS, _CONTEXTS, _TABLES, _TABLE_WIDTH = (8 * i for i in range(16, 22))
_WINDOW, _NUMBERS, _OUT, _PARTIALS, _SPLITS = (8 * i for i in range(22, 27))


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _scores(
    _context: Any, kind: Any, dot: Any, rows: Any, _q: Any, _k: Any, _pairs: Any, _out: Any
) -> Any:
    """Products of packed query rows with 16 keys: out [rows, 16] float32.

    Constants: `kind` of the cache, `dot` 1 for bfloat16 arithmetic, `rows`. Addresses: `_q` of
    [pairs, rows, 2], `_k` of [pairs, 16, 2] bfloat16 or [2 * pairs, 16] float32.
    """
    constants = (kind, dot, rows)
    if not all(isinstance(constant, types.IntegerLiteral) for constant in constants):
        return None
    paired, as_dot = kind.literal_value == BFLOAT16, bool(dot.literal_value)
    height, element = rows.literal_value, 2 if dot.literal_value else 4

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        q, k, pairs, out = values[3:]
        totals = [cgutils.alloca_once(builder, F32X16) for _ in range(height)]
        for total in totals:
            builder.store(every(F32X16, 0.0), total)
        with cgutils.for_range(builder, pairs, intp=I64) as loop:
            step = I64(64 if paired else 128)
            here = builder.add(k, builder.mul(loop.index, step))
            weight: Any
            if paired:
                words = builder.bitcast(read(builder, I32X16, here, 64), BF16X32)
                weight = words if as_dot else even_odd(builder, words)
            else:
                after = builder.add(here, I64(64))
                weight = read(builder, F32X16, here, 64), read(builder, F32X16, after, 64)
            inputs = builder.add(q, builder.mul(loop.index, I64(2 * height * element)))
            for row, slot in enumerate(totals):
                place = builder.add(inputs, I64(2 * row * element))
                total = builder.load(slot, typ=F32X16)
                if as_dot:
                    pair = splat(builder, read(builder, I32, place, 4), I32X16)
                    total = bf16_dot(builder, total, weight, builder.bitcast(pair, BF16X32))
                else:
                    for part in range(2):
                        factor = read(builder, F32, builder.add(place, I64(4 * part)), 4)
                        total = fused(
                            builder, weight[part], splat(builder, factor, F32X16), total
                        )
                builder.store(total, slot)
        for row, slot in enumerate(totals):
            place = builder.add(out, I64(4 * LANES * row))
            write(builder, builder.load(slot, typ=F32X16), place, 64)
        return context.get_dummy_value()

    return types.void(*constants, *[types.int64] * 4), generate


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _weigh(
    _context: Any,
    kind: Any,
    rows: Any,
    chunks: Any,
    _p: Any,
    _v: Any,
    _stride: Any,
    _tokens: Any,
    _out: Any,
    _out_stride: Any,
) -> Any:
    """Adds values by their weights: out [rows, 16 * chunks] += p [rows, 16] v [tokens, ...].

    Constants: `kind` of the cache, `rows`, `chunks`. Strides are of a token and a row, in bytes.
    """
    constants = (kind, rows, chunks)
    if not all(isinstance(constant, types.IntegerLiteral) for constant in constants):
        return None
    paired, height, width = (
        kind.literal_value == BFLOAT16,
        rows.literal_value,
        chunks.literal_value,
    )
    size = 2 if paired else 4

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        p, v, stride, tokens, out, out_stride = values[3:]
        totals = [[cgutils.alloca_once(builder, F32X16) for _ in range(width)] for _ in range(height)]

        def place(row: int, chunk: int) -> ir.Value:
            start = builder.add(out, builder.mul(out_stride, I64(row)))
            return builder.add(start, I64(4 * LANES * chunk))

        for row in range(height):
            for chunk in range(width):
                builder.store(read(builder, F32X16, place(row, chunk), 64), totals[row][chunk])
        with cgutils.for_range(builder, tokens, intp=I64) as loop:
            here = builder.add(v, builder.mul(loop.index, stride))
            weights = builder.add(p, builder.mul(loop.index, I64(4)))
            parts = []
            for chunk in range(width):
                source = builder.add(here, I64(size * LANES * chunk))
                if paired:
                    halves = read(builder, ir.VectorType(I16, LANES), source, 2)
                    wide = builder.shl(builder.zext(halves, I32X16), every(I32X16, 16))
                    parts.append(builder.bitcast(wide, F32X16))
                else:
                    parts.append(read(builder, F32X16, source, 4))
            for row in range(height):
                weight = read(builder, F32, builder.add(weights, I64(4 * LANES * row)), 4)
                factor = splat(builder, weight, F32X16)
                for chunk in range(width):
                    total = builder.load(totals[row][chunk], typ=F32X16)
                    total = fused(builder, parts[chunk], factor, total)
                    builder.store(total, totals[row][chunk])
        for row in range(height):
            for chunk in range(width):
                total = builder.load(totals[row][chunk], typ=F32X16)
                write(builder, total, place(row, chunk), 64)
        return context.get_dummy_value()

    return types.void(*constants, *[types.int64] * 6), generate


@numba.njit(inline="always")  # type: ignore[untyped-decorator]
def _keep(args, first, kind):  # type: ignore[no-untyped-def]
    """Stores keys and values of a few new tokens in their slots."""
    size = 2 if kind == BFLOAT16 else 4
    heads, dim, block_size = read_int(args + _KV_HEADS), read_int(args + _DIM), read_int(args + _BLOCK)
    half = block_size * dim * size
    slots = read_int(args + _SLOTS)
    for token in range(first, min(first + _STORED, read_int(args + _TOKENS))):
        slot = read_int(slots + 8 * token)
        if slot < 0:
            continue
        block, offset = slot // block_size, slot % block_size
        k = read_int(args + _K) + token * read_int(args + _K_STRIDE)
        v = read_int(args + _V) + token * read_int(args + _V_STRIDE)
        for head in range(heads):
            page = read_int(args + _CACHE) + (block * heads + head) * 2 * half
            source = k + head * dim * size
            # [16 tokens] stand beside each other for one element, or pair of elements.
            target = page + offset // 16 * 16 * dim * size + offset % 16 * 4
            for word in range(dim * size // 4):
                copy_word(target + 64 * word, source + 4 * word)
            source = v + head * dim * size
            target = page + half + offset * dim * size
            for word in range(dim * size // 4):
                copy_word(target + 4 * word, source + 4 * word)


@numba.njit(inline="always")  # type: ignore[untyped-decorator]
def _pack_queries(args, kind, dot, token, row, rows, height, head, target):  # type: ignore[no-untyped-def]
    """Copies query rows to [pairs, height, 2]; rows that fill up are zeros."""
    size = 2 if kind == BFLOAT16 else 4
    dim, group = read_int(args + _DIM), read_int(args + _GROUP)
    for place in range(height):
        at = row + place
        source = read_int(args + _Q) + (token + at // group) * read_int(args + _Q_STRIDE)
        source += (head * group + at % group) * dim * size
        for k in range(dim):
            value = numba.float32(0)
            if place < rows:
                value = load_one(kind, source + k * size)
            spot = target + (k // 2 * height * 2 + place * 2 + k % 2) * (2 if dot else 4)
            if dot:
                store_half(spot, value)
            else:
                write_float(spot, value)
