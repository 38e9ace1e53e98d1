"""Triton kernels for attention over paged keys and values; `triton_backend` launches them.

One kernel serves decode, chunks of prompts and the check of guessed tokens. A program takes a tile
of query rows that share a key head: `BLOCK_M` rows are `BLOCK_M // GROUP` consecutive tokens of one
sequence times the `GROUP` query heads that read that key head, so that keys and values are read
once for the group. It walks the tile's keys in blocks of `BLOCK_N` with running maxima and sums
(FlashAttention-2, arXiv:2307.08691). With `SPLIT` the keys are cut at multiples of `split_size`,
counted from position 0, and the splits are spread over the grid's third axis (Flash-Decoding).

What always holds: a grid depends on sizes known on the host only, and programs beyond the data's
end leave at once, so launches can be recorded in CUDA graphs. Where a split begins and ends depends
on positions alone, and splits are merged in order, one rounding at a time: whether a split's result
passes through memory or stays in registers, and what else is in the batch, changes no bit. Rows
without context get zeros.
"""

# mypy: disable-error-code="import-untyped, no-untyped-def, untyped-decorator"
# Triton comes without types, and a kernel's arguments have none that Python knows.
import triton
import triton.language as tl


@triton.jit
def store_kernel(
    k,
    v,
    slots,
    keys,
    values,
    k_row,
    v_row,
    block_stride,
    head_stride,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    WIDTH: tl.constexpr,
):
    """Copies one token's keys and values to its slot; grid (tokens,).

    `k`, `v` are [T, KV_HEADS, HEAD_DIM] with rows `k_row`, `v_row` apart. WIDTH is the power of two
    at or above KV_HEADS * HEAD_DIM. A negative slot stores nothing.
    """
    token = tl.program_id(0).to(tl.int64)
    slot = tl.load(slots + token)
    if slot < 0:
        return
    index = tl.arange(0, WIDTH)
    inside = index < KV_HEADS * HEAD_DIM
    target = (
        (slot // BLOCK_SIZE) * block_stride
        + (slot % BLOCK_SIZE) * HEAD_DIM
        + (index // HEAD_DIM) * head_stride
        + index % HEAD_DIM
    )
    tl.store(keys + target, tl.load(k + token * k_row + index, mask=inside), mask=inside)
    tl.store(values + target, tl.load(v + token * v_row + index, mask=inside), mask=inside)


@triton.jit
def _find_sequence(query_starts, first_sequence, sequences, tile, BLOCK_Q: tl.constexpr):
    """The sequence that a tile lies in and its place among that sequence's tiles.

    The sequence `i` places after the first one owns tiles from `rows before it // BLOCK_Q + i` on,
    which leaves each at least as many as it needs.
    """
    origin = tl.load(query_starts + first_sequence)
    low = first_sequence
    high = first_sequence + sequences
    while high - low > 1:
        middle = (low + high) // 2
        begin = (tl.load(query_starts + middle) - origin) // BLOCK_Q + middle - first_sequence
        if begin <= tile:
            low = middle
        else:
            high = middle
    begin = (tl.load(query_starts + low) - origin) // BLOCK_Q + low - first_sequence
    return low, tile - begin


@triton.jit
def _locate(
    query_starts,
    context_lengths,
    first_sequence,
    sequences,
    window,
    DECODE: tl.constexpr,
    BLOCK_Q: tl.constexpr,
):
    """This program's sequence, its first row, where the tile begins, and the keys it may see.

    Returns:
        sequence; row of the sequence's first query; the tile's first query; number of queries;
        context length; first and end (exclusive) of the key positions that some row sees.
    """
    tile = tl.program_id(0)
    if DECODE:
        sequence = first_sequence + tile
        offset = 0
    else:
        sequence, place = _find_sequence(query_starts, first_sequence, sequences, tile, BLOCK_Q)
        offset = place * BLOCK_Q
    row = tl.load(query_starts + sequence)
    queries = tl.load(query_starts + sequence + 1) - row
    context = tl.load(context_lengths + sequence)
    before = context - queries
    first = tl.maximum(before + offset - window + 1, 0)
    end = before + tl.minimum(offset + BLOCK_Q, queries)
    return sequence, row, offset, queries, context, first, end


@triton.jit
def _attend_range(
    q,
    position,
    keys,
    values,
    table,
    begin,
    end,
    block_stride,
    scale,
    window,
    HEAD_DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    SOFTCAP: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """Attention of a tile over key positions begin..end: maxima (base 2), sums, unscaled sums of v.

    `keys` and `values` point at the key head's part of block 0.
    """
    LOG2_E: tl.constexpr = 1.4426950408889634
    highest = tl.full([BLOCK_M], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    mixed = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    dim = tl.arange(0, BLOCK_D)
    for start in range(begin, end, BLOCK_N):
        key = start + tl.arange(0, BLOCK_N)
        inside = key < end
        block = tl.load(table + key // BLOCK_SIZE, mask=inside, other=0).to(tl.int64)
        place = block * block_stride + (key % BLOCK_SIZE) * HEAD_DIM
        # What lies beyond the end was perhaps never written; zero times NaN would be NaN.
        held = inside[:, None] & (dim < HEAD_DIM)[None, :]
        k = tl.load(keys + place[:, None] + dim[None, :], mask=held, other=0.0)
        v = tl.load(values + place[:, None] + dim[None, :], mask=held, other=0.0)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
        if SOFTCAP > 0.0:
            # tanh, which Triton does not have
            scores = SOFTCAP - 2.0 * SOFTCAP / (tl.exp2(scores * (2.0 * LOG2_E / SOFTCAP)) + 1.0)
        seen = (key[None, :] <= position[:, None]) & (key[None, :] > position[:, None] - window)
        scores = tl.where(seen & inside[None, :], scores * LOG2_E, float("-inf"))
        new = tl.maximum(highest, tl.max(scores, 1))
        # A row that has seen nothing yet stays at minus infinity, whose difference is no number.
        safe = tl.where(new == float("-inf"), 0.0, new)
        weights = tl.exp2(scores - safe[:, None])
        kept = tl.exp2(highest - safe)
        total = total * kept + tl.sum(weights, 1)
        mixed = mixed * kept[:, None]
        mixed = tl.dot(weights.to(v.dtype), v, mixed, input_precision="ieee")
        highest = new
    return highest, total, mixed


@triton.jit
def _merge(highest, total, mixed, next_highest, next_total, next_mixed):
    """Takes in the next split.

    Multiply-adds are spelled out, so that no compiler decides where to round.
    """
    new = tl.maximum(highest, next_highest)
    safe = tl.where(new == float("-inf"), 0.0, new)
    kept = tl.exp2(highest - safe)
    taken = tl.exp2(next_highest - safe)
    total = tl.fma(next_total, taken, total * kept)
    mixed = tl.fma(next_mixed, tl.broadcast_to(taken[:, None], mixed.shape), mixed * kept[:, None])
    return new, total, mixed


@triton.jit(do_not_specialize=["first_sequence", "sequences", "split_size", "splits", "window"])
def attend_kernel(
    q,
    keys,
    values,
    out,
    partial_mixed,
    partial_stats,
    query_starts,
    context_lengths,
    block_tables,
    first_sequence,
    sequences,
    split_size,
    splits,
    window,
    scale,
    q_row,
    table_row,
    block_stride,
    head_stride,
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    SOFTCAP: tl.constexpr,
    DECODE: tl.constexpr,
    SPLIT: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """Attention of sequences first_sequence..first_sequence + sequences - 1.

    Grid (tiles, KV_HEADS, programs for splits); tiles are `sequences` with DECODE (every sequence
    has one query), else `rows // BLOCK_Q + sequences`.

    Args:
        q, out: [T, HEADS, HEAD_DIM]; rows of q lie `q_row` apart, `out` is contiguous.
        keys, values: [blocks, KV_HEADS, BLOCK_SIZE, HEAD_DIM].
        partial_mixed: [rows, HEADS, splits, HEAD_DIM] float32, read and written only with SPLIT and
            a third axis above 1; row 0 is the first sequence's first.
        partial_stats: [rows, HEADS, splits, 2] float32: maximum and sum.
        query_starts, context_lengths, block_tables: as in `BatchLayout`.
        split_size: keys of a split, a multiple of BLOCK_N.
        window: positions that a query sees, itself included.
        SOFTCAP: 0 is none.
    """
    GROUP: tl.constexpr = HEADS // KV_HEADS
    BLOCK_Q: tl.constexpr = BLOCK_M // GROUP
    sequence, first_row, offset, queries, context, first, end = _locate(
        query_starts, context_lengths, first_sequence, sequences, window, DECODE, BLOCK_Q
    )
    if offset >= queries:
        return
    kv_head = tl.program_id(1)
    lane = tl.arange(0, BLOCK_M)
    query = offset + lane // GROUP
    head = kv_head * GROUP + lane % GROUP
    dim = tl.arange(0, BLOCK_D)
    position = context - queries + query
    valid = (lane < BLOCK_Q * GROUP) & (query < queries)
    held = valid[:, None] & (dim < HEAD_DIM)[None, :]
    row = (first_row + query).to(tl.int64)
    q_tile = tl.load(
        q + row[:, None] * q_row + head[:, None] * HEAD_DIM + dim[None, :], mask=held, other=0.0
    )
    keys += kv_head.to(tl.int64) * head_stride
    values += kv_head.to(tl.int64) * head_stride
    table = block_tables + sequence.to(tl.int64) * table_row
    begin = first // BLOCK_N * BLOCK_N

    if SPLIT:
        highest = tl.full([BLOCK_M], float("-inf"), tl.float32)
        total = tl.zeros([BLOCK_M], tl.float32)
        mixed = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
        programs = tl.num_programs(2)
        local = row - tl.load(query_starts + first_sequence)
        for split in range(
            first // split_size + tl.program_id(2), tl.cdiv(end, split_size), programs
        ):
            next_highest, next_total, next_mixed = _attend_range(
                q_tile,
                position,
                keys,
                values,
                table,
                tl.maximum(begin, split * split_size),
                tl.minimum(end, (split + 1) * split_size),
                block_stride,
                scale,
                window,
                HEAD_DIM,
                BLOCK_D,
                BLOCK_SIZE,
                SOFTCAP,
                BLOCK_M,
                BLOCK_N,
            )
            if programs == 1:
                highest, total, mixed = _merge(
                    highest, total, mixed, next_highest, next_total, next_mixed
                )
            else:
                part = (local * HEADS + head) * splits + split
                tl.store(
                    partial_mixed + part[:, None] * HEAD_DIM + dim[None, :], next_mixed, mask=held
                )
                tl.store(partial_stats + part * 2, next_highest, mask=valid)
                tl.store(partial_stats + part * 2 + 1, next_total, mask=valid)
        if programs > 1:
            return
    else:
        highest, total, mixed = _attend_range(
            q_tile,
            position,
            keys,
            values,
            table,
            begin,
            end,
            block_stride,
            scale,
            window,
            HEAD_DIM,
            BLOCK_D,
            BLOCK_SIZE,
            SOFTCAP,
            BLOCK_M,
            BLOCK_N,
        )
    mixed = mixed / tl.where(total == 0.0, 1.0, total)[:, None]
    tl.store(
        out + (row[:, None] * HEADS + head[:, None]) * HEAD_DIM + dim[None, :],
        mixed.to(out.dtype.element_ty),
        mask=held,
    )


@triton.jit(do_not_specialize=["first_sequence", "sequences", "split_size", "splits", "window"])
def combine_kernel(
    out,
    partial_mixed,
    partial_stats,
    query_starts,
    context_lengths,
    first_sequence,
    sequences,
    split_size,
    splits,
    window,
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_C: tl.constexpr,
    DECODE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    UNROLL: tl.constexpr,
):
    """Merges what `attend_kernel` left in `partial_mixed` and `partial_stats`, in order.

    Grid as there, but the third axis takes BLOCK_C elements of a head each.
    """
    GROUP: tl.constexpr = HEADS // KV_HEADS
    BLOCK_Q: tl.constexpr = BLOCK_M // GROUP
    _, first_row, offset, queries, context, first, end = _locate(
        query_starts, context_lengths, first_sequence, sequences, window, DECODE, BLOCK_Q
    )
    if offset >= queries:
        return
    lane = tl.arange(0, BLOCK_M)
    query = offset + lane // GROUP
    head = tl.program_id(1) * GROUP + lane % GROUP
    dim = tl.program_id(2) * BLOCK_C + tl.arange(0, BLOCK_C)
    valid = (lane < BLOCK_Q * GROUP) & (query < queries)
    held = valid[:, None] & (dim < HEAD_DIM)[None, :]
    row = (first_row + query).to(tl.int64)
    part = ((row - tl.load(query_starts + first_sequence)) * HEADS + head) * splits

    highest = tl.full([BLOCK_M], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    mixed = tl.zeros([BLOCK_M, BLOCK_C], tl.float32)
    # Splits up to the row's own position; the tile's last row may reach into one more.
    ends = tl.cdiv(context - queries + query + 1, split_size)
    for base in range(first // split_size, tl.cdiv(end, split_size), UNROLL):
        # Loads do not wait for the merges before them, so several are under way at a time.
        for step in tl.static_range(UNROLL):
            split = base + step
            there = valid & (split < ends)
            stats = partial_stats + (part + split) * 2
            next_highest = tl.load(stats, mask=there, other=float("-inf"))
            next_total = tl.load(stats + 1, mask=there, other=0.0)
            next_mixed = tl.load(
                partial_mixed + (part + split)[:, None] * HEAD_DIM + dim[None, :],
                mask=held & (split < ends)[:, None],
                other=0.0,
            )
            highest, total, mixed = _merge(
                highest, total, mixed, next_highest, next_total, next_mixed
            )
    mixed = mixed / tl.where(total == 0.0, 1.0, total)[:, None]
    tl.store(
        out + (row[:, None] * HEADS + head[:, None]) * HEAD_DIM + dim[None, :],
        mixed.to(out.dtype.element_ty),
        mask=held,
    )
