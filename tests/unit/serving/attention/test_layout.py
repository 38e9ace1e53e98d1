"""A step's tensors against the definitions in `BatchLayout`, computed token by token."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rostra.serving.attention.layout import LayoutRow, make_layout

rows = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 30), st.integers(0, 3)), min_size=1, max_size=8
)


@given(rows=rows, block_size=st.sampled_from([1, 3, 16]), seed=st.integers(0, 99))
def test_every_token(rows: list[tuple[int, int, int]], block_size: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    made = [
        LayoutRow(
            start,
            count,
            torch.randint(
                0, 1000, (-(-(start + count) // block_size) + spare,), generator=generator
            ).tolist(),
        )
        for start, count, spare in rows
    ]
    layout = make_layout(made, block_size, "cpu")
    slots, positions, bounds = [], [], [0]
    for row in made:
        for position in range(row.start, row.start + row.count):
            slots.append(row.blocks[position // block_size] * block_size + position % block_size)
            positions.append(position)
        bounds.append(len(slots))
    assert layout.slots.tolist() == slots
    assert layout.positions.tolist() == positions
    assert layout.query_starts.tolist() == bounds
    contexts = [row.start + row.count for row in made]
    assert layout.context_lengths.tolist() == contexts == list(layout.contexts)
    assert layout.query_lengths == tuple(row.count for row in made)
    assert (layout.sequences, layout.tokens) == (len(made), len(slots))
    assert (layout.max_query, layout.max_context) == (max(layout.query_lengths), max(contexts))
    for table, row, context in zip(layout.block_tables.tolist(), made, contexts, strict=True):
        used = -(-context // block_size)
        assert table[:used] == list(row.blocks[:used])
        assert not any(table[used:])
    assert {part.dtype for part in (layout.slots, layout.positions)} == {torch.int64}
    assert {
        part.dtype for part in (layout.query_starts, layout.context_lengths, layout.block_tables)
    } == {torch.int32}


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [LayoutRow(0, 0, [1])],
        [LayoutRow(-1, 2, [1])],
        [LayoutRow(3, 2, [1])],
    ],
)
def test_refuses_steps_that_cannot_be(rows: list[LayoutRow]) -> None:
    with pytest.raises(ValueError, match=r"step|row|blocks"):
        make_layout(rows, 4, "cpu")
