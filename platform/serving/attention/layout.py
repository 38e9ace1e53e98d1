"""What one step computes, as tensors on the device: which tokens, where their keys and values go.

A step computes a run of new tokens of each of its sequences. Decode, a chunk of a prompt, a whole
prompt and the check of guessed tokens differ only in how many tokens a sequence has computed before
and how many are new.

What always holds: tokens lie sequence after sequence, in order; the new token at position `p` of a
sequence is stored in slot `block_table[p // block_size] * block_size + p % block_size`; all tensors
are parts of one buffer, so that a step costs one transfer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# The slot of a row that only fills up a batch: its keys and values are stored nowhere.
NO_SLOT = -1


@dataclass(frozen=True, slots=True)
class LayoutRow:
    """One sequence's part in a step.

    Attributes:
        start: tokens computed before; the new ones' first position.
        count: new tokens, at least 1.
        blocks: the sequence's blocks in order, enough for `start + count` tokens.
    """

    start: int
    count: int
    blocks: Sequence[int]


@dataclass(frozen=True, slots=True)
class BatchLayout:
    """The step's `S` sequences and `T` new tokens.

    Attributes:
        query_starts: [S + 1] int32; new tokens of sequence `s` are rows
            `query_starts[s]:query_starts[s + 1]`.
        context_lengths: [S] int32; a sequence's tokens after this step, its new ones included. 0
            marks a row that only fills up the batch: it attends to nothing and gets zeros.
        block_tables: [S, B] int32, filled up with 0.
        slots: [T] int64, where each new token's keys and values go; `NO_SLOT` is nowhere.
        positions: [T] int64, counted in the sequence.
        max_query: most new tokens of one sequence, or an upper bound.
        max_context: longest of `context_lengths`, or an upper bound.
        block_size: tokens of one block.
        query_lengths: new tokens of each sequence, on the host.
        contexts: `context_lengths` on the host; in a layout whose tensors are overwritten in place
            (see `graphs`) these are upper bounds.
    """

    query_starts: Tensor
    context_lengths: Tensor
    block_tables: Tensor
    slots: Tensor
    positions: Tensor
    max_query: int
    max_context: int
    block_size: int
    query_lengths: tuple[int, ...]
    contexts: tuple[int, ...]

    @property
    def sequences(self) -> int:
        return len(self.query_lengths)

    @property
    def tokens(self) -> int:
        return self.slots.shape[0]


def make_layout(
    rows: Sequence[LayoutRow], block_size: int, device: torch.device | str
) -> BatchLayout:
    """Lays out a step; one buffer is filled on the host and copied once, without waiting.

    Args:
        rows: at least one.
        block_size: tokens of one block.
        device: where the step runs.

    Raises:
        ValueError: no rows, a row without new tokens, or with too few blocks.
    """
    if not rows:
        raise ValueError("a step without sequences")
    counts = tuple(row.count for row in rows)
    contexts = tuple(row.start + row.count for row in rows)
    needed = [-(-context // block_size) for context in contexts]
    for row, blocks in zip(rows, needed, strict=True):
        if row.count < 1 or row.start < 0:
            raise ValueError(f"a row computes {row.count} tokens from position {row.start}")
        if len(row.blocks) < blocks:
            raise ValueError(f"{row.start + row.count} tokens need {blocks} blocks, not {row}")

    device = torch.device(device)
    sequences, tokens, width = len(rows), sum(counts), max(needed)
    # 64-bit parts first, so that every part is aligned.
    sizes = [8 * tokens, 8 * tokens, 4 * (sequences + 1), 4 * sequences, 4 * sequences * width]
    buffer = torch.empty(sum(sizes), dtype=torch.uint8, pin_memory=device.type == "cuda")
    host = [part.numpy() for part in torch.split(buffer, sizes)]
    slots, positions = host[0].view(np.int64), host[1].view(np.int64)
    query_starts, context_lengths = host[2].view(np.int32), host[3].view(np.int32)
    tables = host[4].view(np.int32).reshape(sequences, width)

    query_starts[0] = 0
    np.cumsum(counts, out=query_starts[1:])
    context_lengths[:] = contexts
    _fill_tables(tables, rows, needed)
    row_of = np.repeat(np.arange(sequences), counts)
    # A token's position is its row among all new tokens, shifted by its sequence.
    positions[:] = np.arange(tokens) + (context_lengths - query_starts[1:])[row_of]
    slots[:] = tables[row_of, positions // block_size].astype(np.int64) * block_size
    slots += positions % block_size

    parts = torch.split(buffer.to(device, non_blocking=True), sizes)
    return BatchLayout(
        query_starts=parts[2].view(torch.int32),
        context_lengths=parts[3].view(torch.int32),
        block_tables=parts[4].view(torch.int32).view(sequences, width),
        slots=parts[0].view(torch.int64),
        positions=parts[1].view(torch.int64),
        max_query=max(counts),
        max_context=max(contexts),
        block_size=block_size,
        query_lengths=counts,
        contexts=contexts,
    )


def _fill_tables(tables: NDArray[np.int32], rows: Sequence[LayoutRow], needed: list[int]) -> None:
    """One pass over all block numbers: a copy per row costs more than the numbers themselves."""
    flat = chain.from_iterable(
        row.blocks[:blocks] for row, blocks in zip(rows, needed, strict=True)
    )
    tables.fill(0)
    tables[np.arange(tables.shape[1]) < np.array(needed)[:, None]] = np.fromiter(
        flat, np.int32, sum(needed)
    )
