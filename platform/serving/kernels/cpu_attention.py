"""Attention over paged keys and values, read where they lie.

One launch stores a step's new keys and values and then attends: a tile of up to 8 query rows (the
query heads of one key head, and neighbouring tokens of a prompt) passes over its sequence's keys in
strips of 64 with an online softmax (arXiv:1805.02867), so a key is read once for all of them.

Keys lie so that 16 tokens, a chunk, fill the lanes of a vector: scores need no sums over lanes. A
sequence is cut into strips, and these into splits, at fixed positions; splits are merged in order,
whether one thread did all of them or several did one each.

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
    I32,
    I32X16,
    I64,
    LANES,
    Kind,
    add,
    bf16_dot,
    compiled,
    copy_word,
    divide,
    even_odd,
    every,
    exponential,
    fetch_add,
    fill,
    fused,
    is_bfloat16,
    keep_lanes,
    lane,
    lane_max,
    lane_sum,
    larger,
    load,
    load_one,
    multiply,
    multiply_add,
    pause,
    prefetch,
    read,
    read_bf16,
    read_float,
    read_int,
    read_int32,
    read_shared,
    size_of,
    splat,
    stack,
    store,
    store_one,
    subtract,
    tanh,
    write,
    write_float,
    write_int,
)

ROWS = 8
MAX_HEAD_DIM = 256
# Keys of one split, a multiple of a strip's.
SPLIT = 256
_STRIP = 4  # chunks
_SPLIT_STRIPS = SPLIT // LANES // _STRIP
_STRIP_BYTES = 4 * LANES * _STRIP
# Tokens whose keys and values one thread stores before it takes other work.
_STORED = 8
# Bytes of a partial result: for each row its maximum and sum, then its weighted values.
PARTIAL_BYTES = ROWS * 4 * (2 + MAX_HEAD_DIM)
_QUERY_BYTES = ROWS * 4 * MAX_HEAD_DIM
_BOUNDS_BYTES = ROWS * 2 * 8
_SCORES_BYTES = ROWS * _STRIP_BYTES

# What a kernel finds at its address.
_TAKEN, _KEPT, _ATTENDED = 0, 8, 16
_Q, _Q_STRIDE, _K, _K_STRIDE, _V, _V_STRIDE, _OUT, _CACHE, _WINDOW, _STEP = (
    8 * i for i in range(3, 13)
)
# What it finds at the step's own address, the same for all layers.
_TOKENS, _SLOTS, _KV_HEADS, _GROUP, _DIM, _BLOCK = (8 * i for i in range(6))
_TILES, _TILE_COUNT, _STARTS, _CONTEXTS, _TABLES, _TABLE_WIDTH = (8 * i for i in range(6, 12))
_NUMBERS, _PARTIALS, _SPLITS = (8 * i for i in range(12, 15))


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
                place = builder.add(out, I64(_STRIP_BYTES * row + 4 * LANES * chunk))
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
                weight = read(builder, F32, builder.add(weights, I64(_STRIP_BYTES * row)), 4)
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
def _of_step(args: int, place: int) -> int:
    value: int = read_int(read_int(args + _STEP) + place)
    return value


@compiled
def _keep(args: int, first: int, kind: Kind) -> None:
    """Stores keys and values of a few new tokens in their slots."""
    size = size_of(kind)
    heads, dim, block_size = (
        _of_step(args, _KV_HEADS),
        _of_step(args, _DIM),
        _of_step(args, _BLOCK),
    )
    half = block_size * dim * size
    slots = _of_step(args, _SLOTS)
    for token in range(first, min(first + _STORED, _of_step(args, _TOKENS))):
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
            for at in range(0, dim * size, 16 * size):
                store(kind, target + at, load(kind, source + at))


@compiled
def _pack_queries(
    args: int,
    kind: Kind,
    sums: Kind,
    token: int,
    row: int,
    rows: int,
    height: int,
    head: int,
    target: int,
) -> None:
    """Copies query rows to [pairs, height, 2]; rows that fill up are zeros."""
    size = size_of(kind)
    dim, group = _of_step(args, _DIM), _of_step(args, _GROUP)
    for place in range(height):
        at = row + place
        source = read_int(args + _Q) + (token + at // group) * read_int(args + _Q_STRIDE)
        source += (head * group + at % group) * dim * size
        target_row = target + place * 2 * size_of(sums)
        for pair in range(dim // 2):
            spot = target_row + pair * height * 2 * size_of(sums)
            if place >= rows:
                store_one(sums, spot, numba.float32(0))
                store_one(sums, spot + size_of(sums), numba.float32(0))
            elif size == size_of(sums) and size == 2:
                copy_word(spot, source + 4 * pair)
            else:
                store_one(sums, spot, load_one(kind, source + 2 * pair * size))
                value = load_one(kind, source + (2 * pair + 1) * size)
                store_one(sums, spot + size_of(sums), value)


@compiled
def _score_strip(
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
def _weigh_any(
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
                weights = p + _STRIP_BYTES * row
                _weigh(
                    kind, 1, 1, weights, here, dim * size, tokens, soon, there + 4 * dim * row, 0
                )
        at += 16 * width if whole else 16


@compiled
def _exp_one(x: float) -> float:
    result: float = lane(exponential(fill(x)), 0)
    return result


@compiled
def _page(args: int, kind: Kind, sequence: int, head: int, chunk: int) -> int:
    """Where the keys of a chunk are; its values are half a page further, less the keys before."""
    block_size = _of_step(args, _BLOCK)
    chunks, token = block_size // 16, _of_step(args, _DIM) * size_of(kind)
    table = _of_step(args, _TABLES) + sequence * _of_step(args, _TABLE_WIDTH) * 4
    block = read_int32(table + 4 * (chunk // chunks)) * _of_step(args, _KV_HEADS) + head
    place: int = read_int(args + _CACHE) + (2 * block * block_size + chunk % chunks * 16) * token
    return place


@compiled
def _weigh_scores(
    args: int,
    chunk: int,
    chunks: int,
    begin: int,
    stop: int,
    scores: int,
    dim: int,
    maximum: int,
    values: int,
    masses: int,
) -> None:
    """Turns a row's scores of a strip into weights, in place; what came before is rescaled."""
    numbers = _of_step(args, _NUMBERS)
    scale, cap = fill(read_float(numbers)), read_float(numbers + 4)
    nothing = numba.float32(-math.inf)
    highest = read_float(maximum)
    found = fill(nothing)
    for part in range(chunks):
        score = multiply(load(FLOAT32, scores + 64 * part), scale)
        if cap > 0:
            score = multiply(tanh(divide(score, fill(cap))), fill(cap))
        first = 16 * (chunk + part)
        if begin > first or stop < first + 16:
            score = keep_lanes(score, begin - first, stop - first, nothing)
        store(FLOAT32, scores + 64 * part, score)
        found = larger(score, found)
    top = lane_max(found)
    if top > highest:
        factor = exponential(fill(highest - top))
        highest = top
        write_float(maximum, highest)
        store(FLOAT32, masses, multiply(load(FLOAT32, masses), factor))
        for at in range(0, 4 * dim, 64):
            store(FLOAT32, values + at, multiply(load(FLOAT32, values + at), factor))
    # Nothing seen yet: -inf less 0 weighs nothing, and what is not a number shows.
    base = fill(numba.float32(0) if highest == nothing else highest)
    mass = load(FLOAT32, masses)
    for part in range(chunks):
        weight = exponential(subtract(load(FLOAT32, scores + 64 * part), base))
        store(FLOAT32, scores + 64 * part, weight)
        mass = add(mass, weight)
    store(FLOAT32, masses, mass)


@compiled
def _attend_split(
    args: int,
    kind: Kind,
    sums: Kind,
    sequence: int,
    head: int,
    rows: int,
    height: int,
    q: int,
    bounds: int,
    first: int,
    end: int,
    stay: int,
    following: int,
    work: int,
) -> None:
    """Attends to the strips from `first` to before `end`.

    This thread goes on to before strip `stay` of the sequence, then to the chunks whose addresses
    are at `following`. `bounds` holds for each row the first key that it sees and the one it no
    longer sees. At `work` it leaves the rows' maxima and sums (8 float32 each), then their values
    [8, dim].
    """
    dim = _of_step(args, _DIM)
    token_bytes = dim * size_of(kind)
    half = _of_step(args, _BLOCK) * token_bytes
    maxima, values = work, work + 64
    scores, masses, keys, upcoming = stack(_SCORES_BYTES), stack(512), stack(64), stack(64)
    last = 0
    for row in range(height):
        write_float(maxima + 4 * row, numba.float32(-math.inf))
        store(FLOAT32, masses + 64 * row, fill(numba.float32(0)))
        for at in range(0, dim, 16):
            store(FLOAT32, values + 4 * (row * dim + at), fill(numba.float32(0)))
        if row < rows:
            last = max(last, read_int(bounds + 16 * row + 8))
    last_chunk = (last + 15) // 16
    for strip in range(first, end):
        chunk = strip * _STRIP
        chunks = min(_STRIP, last_chunk - chunk)
        for part in range(chunks):
            write_int(keys + 8 * part, _page(args, kind, sequence, head, chunk + part))
            ahead = read_int(following + 8 * part)
            if chunk + part + _STRIP < min(last_chunk, stay * _STRIP):
                ahead = _page(args, kind, sequence, head, chunk + part + _STRIP)
            write_int(upcoming + 8 * part, ahead)
        _score_strip(kind, sums, height, chunks, q, keys, dim // 2, upcoming, scores)
        for row in range(rows):
            begin, stop = read_int(bounds + 16 * row), read_int(bounds + 16 * row + 8)
            _weigh_scores(
                args,
                chunk,
                chunks,
                begin,
                stop,
                scores + _STRIP_BYTES * row,
                dim,
                maxima + 4 * row,
                values + 4 * row * dim,
                masses + 64 * row,
            )
        for row in range(rows, height):
            for at in range(0, _STRIP_BYTES, 64):
                store(FLOAT32, scores + _STRIP_BYTES * row + at, fill(numba.float32(0)))
        for part in range(chunks):
            # Keys that no row sees may never have been stored.
            tokens = min(16, last - 16 * (chunk + part))
            v = read_int(keys + 8 * part) + half
            soon = read_int(upcoming + 8 * part) + half
            _weigh_any(kind, height, scores + 64 * part, v, dim, tokens, soon, values)
    for row in range(height):
        write_float(work + 32 + 4 * row, lane_sum(load(FLOAT32, masses + 64 * row)))


@compiled
def _merge(total: int, part: int, rows: int, dim: int) -> None:
    """Joins a later split's result to that of the earlier ones; both as `_attend_split` leaves."""
    for row in range(rows):
        ours, theirs = read_float(total + 4 * row), read_float(part + 4 * row)
        if read_float(part + 32 + 4 * row) == 0:
            continue
        highest = max(ours, theirs)
        keep, take = _exp_one(ours - highest), _exp_one(theirs - highest)
        write_float(total + 4 * row, highest)
        place = 32 + 4 * row
        mass = read_float(total + place) * keep + read_float(part + place) * take
        write_float(total + place, mass)
        for at in range(0, dim, 16):
            place = 64 + 4 * (row * dim + at)
            taken = multiply(load(FLOAT32, part + place), fill(take))
            joined = multiply_add(load(FLOAT32, total + place), fill(keep), taken)
            store(FLOAT32, total + place, joined)


@compiled
def _clear(total: int, rows: int, dim: int) -> None:
    for row in range(rows):
        write_float(total + 4 * row, numba.float32(-math.inf))
        write_float(total + 32 + 4 * row, numba.float32(0))
        for at in range(0, dim, 16):
            store(FLOAT32, total + 64 + 4 * (row * dim + at), fill(numba.float32(0)))


@compiled
def _write_rows(
    args: int, kind: Kind, token: int, row: int, rows: int, head: int, total: int
) -> None:
    """Divides by the sums of weights; a row that sees nothing gets zeros."""
    size = size_of(kind)
    dim, group, heads = _of_step(args, _DIM), _of_step(args, _GROUP), _of_step(args, _KV_HEADS)
    for place in range(rows):
        at = row + place
        out = (token + at // group) * heads * group + head * group + at % group
        out = read_int(args + _OUT) + out * dim * size
        mass = read_float(total + 32 + 4 * place)
        share = numba.float32(0)
        if mass != 0:
            share = numba.float32(1) / mass
        for k in range(0, dim, 16):
            value = load(FLOAT32, total + 64 + 4 * (place * dim + k))
            store(kind, out + k * size, multiply(value, fill(share)))


@compiled
def _look_ahead(args: int, kind: Kind, work: int, following: int) -> None:
    """Writes where the chunks of a piece of work's first strip are; all the cache's first if none.

    A guess is enough where a window hides the first keys.
    """
    heads, splits = _of_step(args, _KV_HEADS), _of_step(args, _SPLITS)
    some = 0 <= work < _of_step(args, _TILE_COUNT) * heads * splits
    split, unit = work % splits, work // splits
    sequence, chunks = 0, 0
    if some:
        sequence = read_int32(_of_step(args, _TILES) + unit // heads * 12)
        chunks = (read_int32(_of_step(args, _CONTEXTS) + 4 * sequence) + 15) // 16
    for part in range(_STRIP):
        chunk = split * (SPLIT // LANES) + part
        page = read_int(args + _CACHE)
        if chunk < chunks:
            page = _page(args, kind, sequence, unit % heads, chunk)
        write_int(following + 8 * part, page)


@compiled
def _attend(args: int, kind: Kind, sums: Kind) -> None:
    """Takes work until none is left: tokens to store, tiles to attend, splits to merge."""
    tokens, heads = _of_step(args, _TOKENS), _of_step(args, _KV_HEADS)
    group, dim, window = _of_step(args, _GROUP), _of_step(args, _DIM), read_int(args + _WINDOW)
    splits, partials = _of_step(args, _SPLITS), _of_step(args, _PARTIALS)
    stores = (tokens + _STORED - 1) // _STORED
    units = _of_step(args, _TILE_COUNT) * heads
    q, bounds = stack(_QUERY_BYTES), stack(_BOUNDS_BYTES)
    part, whole, following = stack(PARTIAL_BYTES), stack(PARTIAL_BYTES), stack(64)
    # Work is taken one piece ahead: its memory is fetched while the piece before is done.
    taken = fetch_add(args + _TAKEN, 1)
    while True:
        work, taken = taken, fetch_add(args + _TAKEN, 1)
        if work < stores:
            _keep(args, work * _STORED, kind)
            fetch_add(args + _KEPT, 1)
            continue
        work -= stores
        merging = work >= units * splits
        if merging:
            work -= units * splits
            if splits == 1 or work >= units:
                break
            while read_shared(args + _ATTENDED) < units * splits:
                pause()
            split, unit = 0, work
        else:
            while read_shared(args + _KEPT) < stores:
                pause()
            split, unit = work % splits, work // splits
            _look_ahead(args, kind, taken - stores, following)
        head, tile = unit % heads, _of_step(args, _TILES) + unit // heads * 12
        sequence, row, rows = read_int32(tile), read_int32(tile + 4), read_int32(tile + 8)
        token = read_int32(_of_step(args, _STARTS) + 4 * sequence)
        if merging:
            _clear(whole, rows, dim)
            for part_number in range(splits):
                place = partials + (unit * splits + part_number) * PARTIAL_BYTES
                _merge(whole, place, rows, dim)
            _write_rows(args, kind, token, row, rows, head, whole)
            continue
        context = read_int32(_of_step(args, _CONTEXTS) + 4 * sequence)
        count = read_int32(_of_step(args, _STARTS) + 4 * sequence + 4) - token
        lowest, highest = context, 0
        for place in range(rows):
            # A context of 0 marks a row that only fills up the batch.
            position = context - count + (row + place) // group if context else -1
            begin = max(0, position - window + 1) if window else 0
            write_int(bounds + 16 * place, begin)
            write_int(bounds + 16 * place + 8, position + 1)
            lowest, highest = min(lowest, begin), max(highest, position + 1)
        height = 1 if rows == 1 else 2 if rows == 2 else 4 if rows <= 4 else 8
        _pack_queries(args, kind, sums, token, row, rows, height, head, q)
        strip_keys = 16 * _STRIP
        first_strip, end_strip = lowest // strip_keys, (highest + strip_keys - 1) // strip_keys
        first_split = first_strip // _SPLIT_STRIPS
        end_split = (end_strip + _SPLIT_STRIPS - 1) // _SPLIT_STRIPS
        if splits > 1:
            first_split, end_split = split, split + 1
            _clear(partials + work * PARTIAL_BYTES, rows, dim)
        else:
            _clear(whole, rows, dim)
        for number in range(first_split, end_split):
            first = max(first_strip, number * _SPLIT_STRIPS)
            end = min(end_strip, (number + 1) * _SPLIT_STRIPS)
            if first >= end:
                continue
            target = partials + work * PARTIAL_BYTES if splits > 1 else part
            _attend_split(
                args,
                kind,
                sums,
                sequence,
                head,
                rows,
                height,
                q,
                bounds,
                first,
                end,
                end if splits > 1 else end_strip,
                following,
                target,
            )
            if splits == 1:
                _merge(whole, part, rows, dim)
        if splits > 1:
            fetch_add(args + _ATTENDED, 1)
        else:
            _write_rows(args, kind, token, row, rows, head, whole)


@kernel
def _bf16_dot(args: int) -> None:
    _attend(args, BFLOAT16, BFLOAT16)


@kernel
def _bf16_float(args: int) -> None:
    _attend(args, BFLOAT16, FLOAT32)


@kernel
def _floats(args: int) -> None:
    _attend(args, FLOAT32, FLOAT32)


def attention_kernel(bf16: bool, dot: bool) -> Kernel:
    """The kernel for a bfloat16 or float32 cache; `dot` multiplies keys in bfloat16 pairs."""
    if not bf16:
        return _floats
    return _bf16_dot if dot else _bf16_float
