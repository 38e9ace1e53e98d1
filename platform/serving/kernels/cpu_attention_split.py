"""One split of a sequence's keys under an online softmax, and the merging of splits.

A *partial result* is the highest scores of 8 rows, their sums of weights (float32 each), then their
weighted values [8, dim]. Strips of keys are added to it in order, and a later split's joins that of
the earlier ones.
"""

import math

import numba

from rostra.serving.kernels.cpu_attention_arguments import BLOCK, DIM, NUMBERS, of_step, page_at
from rostra.serving.kernels.cpu_attention_products import (
    STRIP,
    STRIP_BYTES,
    score_strip,
    weigh_values,
)
from rostra.serving.kernels.cpu_vector import (
    FLOAT32,
    LANES,
    Kind,
    add,
    compiled,
    divide,
    exponential,
    fill,
    keep_lanes,
    lane,
    lane_max,
    lane_sum,
    larger,
    load,
    multiply,
    multiply_add,
    read_float,
    read_int,
    size_of,
    stack,
    store,
    subtract,
    tanh,
    write_float,
    write_int,
)

ROWS = 8
MAX_HEAD_DIM = 256
# Keys of one split, a multiple of a strip's.
SPLIT = 256
SPLIT_STRIPS = SPLIT // LANES // STRIP
# Bytes of a partial result.
PARTIAL_BYTES = ROWS * 4 * (2 + MAX_HEAD_DIM)
_SCORES_BYTES = ROWS * STRIP_BYTES


@compiled
def attend_split(
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
    dim = of_step(args, DIM)
    token_bytes = dim * size_of(kind)
    half = of_step(args, BLOCK) * token_bytes
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
        chunk = strip * STRIP
        chunks = min(STRIP, last_chunk - chunk)
        for part in range(chunks):
            write_int(keys + 8 * part, page_at(args, kind, sequence, head, chunk + part))
            ahead = read_int(following + 8 * part)
            if chunk + part + STRIP < min(last_chunk, stay * STRIP):
                ahead = page_at(args, kind, sequence, head, chunk + part + STRIP)
            write_int(upcoming + 8 * part, ahead)
        score_strip(kind, sums, height, chunks, q, keys, dim // 2, upcoming, scores)
        for row in range(rows):
            begin, stop = read_int(bounds + 16 * row), read_int(bounds + 16 * row + 8)
            _weigh_scores(
                args,
                chunk,
                chunks,
                begin,
                stop,
                scores + STRIP_BYTES * row,
                dim,
                maxima + 4 * row,
                values + 4 * row * dim,
                masses + 64 * row,
            )
        for row in range(rows, height):
            for at in range(0, STRIP_BYTES, 64):
                store(FLOAT32, scores + STRIP_BYTES * row + at, fill(numba.float32(0)))
        for part in range(chunks):
            # Keys that no row sees may never have been stored.
            tokens = min(16, last - 16 * (chunk + part))
            v = read_int(keys + 8 * part) + half
            soon = read_int(upcoming + 8 * part) + half
            weigh_values(kind, height, scores + 64 * part, v, dim, tokens, soon, values)
    for row in range(height):
        write_float(work + 32 + 4 * row, lane_sum(load(FLOAT32, masses + 64 * row)))


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
    numbers = of_step(args, NUMBERS)
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
def merge(total: int, part: int, rows: int, dim: int) -> None:
    """Joins a later split's result to that of the earlier ones; both as `attend_split` leaves."""
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
def clear(total: int, rows: int, dim: int) -> None:
    for row in range(rows):
        write_float(total + 4 * row, numba.float32(-math.inf))
        write_float(total + 32 + 4 * row, numba.float32(0))
        for at in range(0, dim, 16):
            store(FLOAT32, total + 64 + 4 * (row * dim + at), fill(numba.float32(0)))


@compiled
def _exp_one(x: float) -> float:
    result: float = lane(exponential(fill(x)), 0)
    return result
