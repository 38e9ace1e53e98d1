"""The two products of attention, as generated LLVM: queries with keys, and weights with values.

Each is generated for a few heights of tile, so that all sums stay in registers; what is read next
is fetched meanwhile.

What always holds: a row's sums are taken in one order, in lanes of their own, whatever the height.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rostra.serving.kernels.cpu_vector import (
    BF16X32,
    F32,
    F32X16,
    I32,
    I32X16,
    I64,
    LANES,
    Kind,
    bf16_dot,
    compiled,
    even_odd,
    every,
    fused,
    is_bfloat16,
    prefetch,
    read,
    read_bf16,
    size_of,
    splat,
    write,
)

# Chunks of 16 keys that are scored together.
STRIP = 4
# Of a row's scores.
STRIP_BYTES = 4 * LANES * STRIP


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _scores(
    _context: Any,
    kind: Any,
    sums: Any,
    rows: Any,
    chunks: Any,
    _q: Any,
    _keys: Any,
    _pairs: Any,
    _upcoming: Any,
    _out: Any,
) -> Any:
    """Products of packed query rows with some chunks of keys: out [rows, 64] float32.

    `kind` is that of the cache, `sums` that of the packed rows; `rows` and `chunks` are constants.
    Addresses: `_q` of [pairs, rows, 2], `_keys` of the chunks' addresses, each of [pairs, 16, 2]
    bfloat16 or [2 * pairs, 16] float32, `_upcoming` of those of as many chunks to be fetched.
    """
    if not isinstance(rows, types.IntegerLiteral) or not isinstance(chunks, types.IntegerLiteral):
        return None
    paired, as_dot = is_bfloat16(kind), is_bfloat16(sums)
    height, width = rows.literal_value, chunks.literal_value
    element = 2 if as_dot else 4

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        q, keys, pairs, upcoming, out = values[4:]
        places, later = (
            [read(builder, I64, builder.add(table, I64(8 * i)), 8) for i in range(width)]
            for table in (keys, upcoming)
        )
        totals = [[cgutils.alloca_once(builder, F32X16) for _ in places] for _ in range(height)]
        for total in [total for row in totals for total in row]:
            builder.store(every(F32X16, 0.0), total)
        with cgutils.for_range(builder, pairs, intp=I64) as loop:
            offset = builder.mul(loop.index, I64(64 if paired else 128))
            for place in later:
                soon = builder.add(place, offset)
                prefetch(builder, soon)
                if not paired:
                    prefetch(builder, builder.add(soon, I64(64)))
            weights = [
                _key_pair(builder, builder.add(place, offset), paired, as_dot) for place in places
            ]
            inputs = builder.add(q, builder.mul(loop.index, I64(2 * height * element)))
            for row in range(height):
                place = builder.add(inputs, I64(2 * row * element))
                factors = _query_pair(builder, place, as_dot)
                for weight, slot in zip(weights, totals[row], strict=True):
                    total = builder.load(slot, typ=F32X16)
                    if as_dot:
                        total = bf16_dot(builder, total, weight, factors)
                    else:
                        total = fused(builder, weight[0], factors[0], total)
                        total = fused(builder, weight[1], factors[1], total)
                    builder.store(total, slot)
        for row in range(height):
            for chunk, slot in enumerate(totals[row]):
                place = builder.add(out, I64(STRIP_BYTES * row + 4 * LANES * chunk))
                write(builder, builder.load(slot, typ=F32X16), place, 64)
        return context.get_dummy_value()

    return types.void(kind, sums, rows, chunks, *[types.int64] * 5), generate


def _key_pair(builder: ir.IRBuilder, place: ir.Value, paired: bool, dot: bool) -> Any:
    """16 keys' elements of a pair: as bfloat16 pairs, or the even and odd ones in float32."""
    if not paired:
        return tuple(read(builder, F32X16, builder.add(place, I64(at)), 64) for at in (0, 64))
    words = builder.bitcast(read(builder, I32X16, place, 64), BF16X32)
    return words if dot else even_odd(builder, words)


def _query_pair(builder: ir.IRBuilder, place: ir.Value, dot: bool) -> Any:
    """A query's pair in every lane."""
    if dot:
        return builder.bitcast(splat(builder, read(builder, I32, place, 4), I32X16), BF16X32)
    parts = (read(builder, F32, builder.add(place, I64(at)), 4) for at in (0, 4))
    return tuple(splat(builder, part, F32X16) for part in parts)


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
    _upcoming: Any,
    _out: Any,
    _out_stride: Any,
) -> Any:
    """Adds values by their weights: out [rows, 16 * chunks] += p [rows, 64] v [tokens, ...].

    `kind` is that of the cache; `rows` and `chunks` are constants. Strides, of a token and of a
    row, are in bytes. As many values are fetched from `_upcoming`.
    """
    if not isinstance(rows, types.IntegerLiteral) or not isinstance(chunks, types.IntegerLiteral):
        return None
    paired, height, width = is_bfloat16(kind), rows.literal_value, chunks.literal_value
    size = 2 if paired else 4

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        p, v, stride, tokens, upcoming, out, out_stride = values[3:]
        totals = [
            [cgutils.alloca_once(builder, F32X16) for _ in range(width)] for _ in range(height)
        ]

        def place(row: int, chunk: int) -> ir.Value:
            start = builder.add(out, builder.mul(out_stride, I64(row)))
            return builder.add(start, I64(4 * LANES * chunk))

        for row in range(height):
            for chunk in range(width):
                builder.store(read(builder, F32X16, place(row, chunk), 64), totals[row][chunk])
        with cgutils.for_range(builder, tokens, intp=I64) as loop:
            offset = builder.mul(loop.index, stride)
            here, soon = builder.add(v, offset), builder.add(upcoming, offset)
            for line in range(0, size * LANES * width, 64):
                prefetch(builder, builder.add(soon, I64(line)))
            weights = builder.add(p, builder.mul(loop.index, I64(4)))
            parts = []
            for chunk in range(width):
                source = builder.add(here, I64(size * LANES * chunk))
                if paired:
                    parts.append(read_bf16(builder, source))
                else:
                    parts.append(read(builder, F32X16, source, 4))
            for row in range(height):
                weight = read(builder, F32, builder.add(weights, I64(STRIP_BYTES * row)), 4)
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

    return types.void(kind, rows, chunks, *[types.int64] * 7), generate


@compiled
def score_strip(
    kind: Kind,
    sums: Kind,
    height: int,
    chunks: int,
    q: int,
    keys: int,
    pairs: int,
    upcoming: int,
    out: int,
) -> None:
    """Scores of a strip, as many chunks at once as there are registers."""
    if height == 1 and chunks == 4:
        _scores(kind, sums, 1, 4, q, keys, pairs, upcoming, out)
    elif height == 2 and chunks == 4:
        _scores(kind, sums, 2, 4, q, keys, pairs, upcoming, out)
    elif height == 4 and chunks == 4:
        _scores(kind, sums, 4, 4, q, keys, pairs, upcoming, out)
    elif height == 8 and chunks == 4:
        _scores(kind, sums, 8, 2, q, keys, pairs, upcoming, out)
        _scores(kind, sums, 8, 2, q, keys + 16, pairs, upcoming + 16, out + 128)
    else:
        for chunk in range(chunks):
            here, soon, there = keys + 8 * chunk, upcoming + 8 * chunk, out + 64 * chunk
            if height == 1:
                _scores(kind, sums, 1, 1, q, here, pairs, soon, there)
            elif height == 2:
                _scores(kind, sums, 2, 1, q, here, pairs, soon, there)
            elif height == 4:
                _scores(kind, sums, 4, 1, q, here, pairs, soon, there)
            else:
                _scores(kind, sums, 8, 1, q, here, pairs, soon, there)


@compiled
def weigh_values(
    kind: Kind, height: int, p: int, v: int, dim: int, tokens: int, upcoming: int, out: int
) -> None:
    """Adds 16 tokens' values, as many dimensions at once as there are registers."""
    size = size_of(kind)
    width = 2 if height == 8 else 4
    at = 0
    while at < dim:
        whole = at + 16 * width <= dim
        here, soon, there = v + at * size, upcoming + at * size, out + 4 * at
        if height == 1 and whole:
            _weigh(kind, 1, 4, p, here, dim * size, tokens, soon, there, 4 * dim)
        elif height == 2 and whole:
            _weigh(kind, 2, 4, p, here, dim * size, tokens, soon, there, 4 * dim)
        elif height == 4 and whole:
            _weigh(kind, 4, 4, p, here, dim * size, tokens, soon, there, 4 * dim)
        elif whole:
            _weigh(kind, 8, 2, p, here, dim * size, tokens, soon, there, 4 * dim)
        else:
            for row in range(height):
                weights = p + STRIP_BYTES * row
                _weigh(
                    kind, 1, 1, weights, here, dim * size, tokens, soon, there + 4 * dim * row, 0
                )
        at += 16 * width if whole else 16
