"""Recorded decode steps: buckets, padding and copies, with a capture that runs anew on a CPU."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rostra.serving.attention.graphs import DecodeGraphs, StaticInputs, default_buckets, repeat
from rostra.serving.attention.layout import LayoutRow, make_layout
from rostra.serving.attention.sdpa import SdpaBackend
from tests.unit.serving.attention.ragged import Batch, Shape

BLOCK_SIZE = 4
SHAPE = Shape(windows=(None,))


class Model:
    """One layer of attention whose queries, keys and values depend on token and position."""

    def __init__(self, blocks: int) -> None:
        self.backend = SdpaBackend(
            SHAPE, blocks=blocks, block_size=BLOCK_SIZE, dtype=torch.float32, device="cpu"
        )
        for part in (*self.backend.cache.keys, *self.backend.cache.values):
            part.fill_(float("nan"))
        self.batches: list[int] = []

    def run(self, inputs: StaticInputs) -> Tensor:
        self.batches.append(len(inputs.token_ids))
        seeds = inputs.token_ids * 31 + inputs.layout.positions
        width = (SHAPE.heads + 2 * SHAPE.kv_heads) * SHAPE.head_dim
        packed = torch.sin(seeds[:, None] * torch.arange(1, width + 1) * 0.1)
        q, k, v = packed.view(len(seeds), -1, SHAPE.head_dim).split([4, 2, 2], dim=1)
        out = self.backend.bind(inputs.layout).attend(0, q, k, v)
        scale = inputs.extras.get("scale")
        return out if scale is None else out * scale[:, None]


def graphs(model: Model, *buckets: int, **named: object) -> DecodeGraphs:
    given = {"max_context": 24, "block_size": BLOCK_SIZE, "device": "cpu"} | named
    return DecodeGraphs(model.run, buckets, **given)  # type: ignore[arg-type]


def test_replayed_steps_equal_plain_ones() -> None:
    """Batches that grow and shrink, over one cache each, through every bucket and between."""
    tables = [[7, 2], [4, 9], [1, 3], [0, 5], [6, 8]]
    plain, recorded = Model(10), Model(10)
    replayed = graphs(recorded, 1, 2, 4, 6)
    for step, members in enumerate([[0], [0, 1], [0, 1, 2, 3, 4], [4, 1, 2], [3], [2, 0, 3, 1]]):
        rows = [LayoutRow(step, 1, tables[member]) for member in members]
        layout = make_layout(rows, BLOCK_SIZE, "cpu")
        tokens = torch.tensor(members) + 10 * step
        expected = plain.run(StaticInputs(tokens, layout, {}))
        found = replayed.replay(layout, tokens)
        assert recorded.batches[-1] == {1: 1, 2: 2, 3: 4, 4: 4, 5: 6}[len(members)]
        # Positions skipped by a sequence were never stored: not a number on both sides.
        torch.testing.assert_close(found, expected, equal_nan=True)
        assert torch.equal(found.isnan(), expected.isnan())
        for kept, other in zip(recorded.backend.cache.keys, plain.backend.cache.keys, strict=True):
            assert torch.equal(kept.nan_to_num(9.0), other.nan_to_num(9.0))


def test_recording_stores_nothing() -> None:
    model = Model(3)
    graphs(model, 1, 4)
    assert model.batches == [4, 1]
    assert all(part.isnan().all() for part in model.backend.cache.keys)


def test_results_outlive_the_next_replay() -> None:
    model = Model(10)
    replayed = graphs(model, 2)
    layout = make_layout([LayoutRow(0, 1, [1])], BLOCK_SIZE, "cpu")
    first = replayed.replay(layout, torch.tensor([3]))
    kept = first.clone()
    replayed.replay(layout, torch.tensor([4]))
    assert torch.equal(first, kept)


def test_positions_and_extras() -> None:
    seen: list[StaticInputs] = []

    def run(inputs: StaticInputs) -> Tensor:
        seen.append(
            StaticInputs(
                inputs.token_ids.clone(),
                inputs.layout,
                {name: values.clone() for name, values in inputs.extras.items()},
            )
        )
        return inputs.layout.positions + inputs.extras["shift"][:, 0]

    replayed = DecodeGraphs(
        run,
        [4],
        max_context=8,
        block_size=BLOCK_SIZE,
        device="cpu",
        extras={"shift": torch.tensor([5, 6])},
    )
    layout = make_layout([LayoutRow(2, 1, [1])] * 2, BLOCK_SIZE, "cpu")
    shift = torch.tensor([[10, 0], [20, 0]])
    tokens = torch.tensor([8, 9])
    assert replayed.replay(layout, tokens, extras={"shift": shift}).tolist() == [12, 22]
    positions = torch.tensor([100, 200])
    found = replayed.replay(layout, tokens, positions=positions, extras={"shift": shift})
    assert found.tolist() == [110, 220]
    assert seen[-1].extras["shift"].tolist() == [[10, 0], [20, 0], [5, 6], [5, 6]]
    assert seen[-1].token_ids.tolist() == [8, 9, 0, 0]
    with pytest.raises(ValueError, match="inputs are"):
        replayed.replay(layout, tokens)


def test_every_bucket_is_recorded_once_largest_first() -> None:
    recorded: list[int] = []
    model = Model(2)

    def capture(run: Callable[[], None]) -> Callable[[], object]:
        again = repeat(run)
        recorded.append(model.batches[-1])
        return again

    assert graphs(model, 4, 1, 4, 2, capture=capture).buckets == (1, 2, 4)
    assert recorded == [4, 2, 1]


def test_covers_and_refuses() -> None:
    replayed = graphs(Model(10), 1, 2)
    assert replayed.covers(2, 24)
    assert not replayed.covers(3, 24)
    assert not replayed.covers(1, 25)
    batch = Batch(SHAPE, [30, 30, 30], BLOCK_SIZE)
    for parts in ([(0, 0, 2)], [(0, 24, 1)], [(0, 0, 1), (1, 0, 1), (2, 0, 1)]):
        layout = batch.layout(parts)
        with pytest.raises(ValueError, match="recorded are"):
            replayed.replay(layout, torch.zeros(layout.tokens, dtype=torch.int64))
    with pytest.raises(ValueError, match="no batch sizes"):
        graphs(Model(2))


def test_default_buckets() -> None:
    assert default_buckets(1) == (1,)
    assert default_buckets(3) == (1, 2, 3)
    assert default_buckets(64) == (1, 2, 4, 8, 16, 32, 48, 64)
