"""The paged kernels against plain attention in float64, on ragged batches over pages.

Not collected by name: `test_triton.py` runs it in a process of its own, in Triton's interpreter,
which must be asked for before Triton is imported; where there is CUDA, compiled too.
"""

import os

import pytest
import torch

from rostra.serving.attention.graphs import DecodeGraphs, StaticInputs
from rostra.serving.attention.triton_backend import (
    Device,
    Run,
    TritonBackend,
    choose_splits,
    plan_runs,
)
from tests.unit.serving.attention.ragged import Batch, Shape, fill_with_nan

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
TOLERANCE = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
BLOCK_SIZE = 16
# Few processors: no cuts; many: as many as there are splits.
SMALL = Device(processors=1, shared_memory=227 << 10, capability=(9, 0))
LARGE = Device(processors=1000, shared_memory=227 << 10, capability=(9, 0))

Parts = list[tuple[int, int, int]]


def make(batch: Batch, *, hardware: Device = SMALL, batch_invariant: bool = False) -> TritonBackend:
    backend = TritonBackend(
        batch.shape,
        blocks=batch.total_blocks,
        block_size=batch.block_size,
        dtype=batch.dtype,
        device=torch.device(DEVICE),
        batch_invariant=batch_invariant,
        hardware=hardware,
    )
    fill_with_nan(backend)
    return backend


def check(batch: Batch, backend: TritonBackend, steps: list[Parts]) -> None:
    """Runs the steps; every layer of each must be as expected."""
    for parts in steps:
        for layer, out in enumerate(batch.step(backend, parts)):
            torch.testing.assert_close(
                out.double().cpu(),
                batch.expected(parts, layer).cpu(),
                atol=TOLERANCE[batch.dtype],
                rtol=0,
            )


# Prompts whole and in chunks, then decode beside chunks, then decode and guessed tokens.
LENGTHS = [75, 18, 1, 40]
STEPS: list[Parts] = [
    [(0, 0, 33), (1, 0, 17), (2, 0, 1)],
    [(1, 17, 1), (0, 33, 37), (3, 0, 32)],
    [(0, 70, 1), (3, 32, 5)],
    [(0, 71, 4), (3, 37, 3)],
]


@pytest.mark.parametrize("hardware", [SMALL, LARGE], ids=["whole", "split"])
@pytest.mark.parametrize(
    "shape",
    [
        Shape(windows=(None, 7)),
        Shape(heads=6, kv_heads=2, head_dim=20, softcap_attention=1.5, windows=(None,)),
        Shape(heads=4, kv_heads=1, head_dim=64, attention_scale=0.1, windows=(20,)),
    ],
    ids=["window", "odd-group-softcap", "one-kv-head"],
)
def test_ragged_steps(shape: Shape, hardware: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    # so small that short contexts have several
    monkeypatch.setattr("rostra.serving.attention.triton_backend.SPLIT", 64)
    batch = Batch(shape, LENGTHS, BLOCK_SIZE, device=DEVICE)
    check(batch, make(batch, hardware=hardware), STEPS)


@pytest.mark.parametrize("head_dim", [80, 128, 256])
def test_head_dims(head_dim: int) -> None:
    shape = Shape(heads=2, kv_heads=1, head_dim=head_dim, windows=(None,))
    batch = Batch(shape, [20], BLOCK_SIZE, device=DEVICE)
    check(batch, make(batch), [[(0, 0, 19)], [(0, 19, 1)]])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    # compiled, cold runs take torch's kernel
    shape = Shape(head_dim=32, windows=(None, 7))
    batch = Batch(shape, [50, 20], BLOCK_SIZE, dtype=dtype, device=DEVICE)
    check(batch, make(batch), [[(0, 0, 49), (1, 0, 12)], [(0, 49, 1), (1, 12, 8)]])


@pytest.mark.parametrize("block_size", [1, 24, 64])
def test_block_sizes(block_size: int) -> None:
    batch = Batch(Shape(windows=(None,)), [50, 20], block_size, device=DEVICE)
    check(batch, make(batch), [[(0, 0, 49), (1, 0, 12)], [(0, 49, 1), (1, 12, 8)]])


def test_strided_rows_of_a_packed_projection() -> None:
    shape = Shape(windows=(None,))
    batch = Batch(shape, [9], BLOCK_SIZE, device=DEVICE)
    parts = [(0, 0, 9)]
    packed = torch.cat([batch.q[0][0], batch.k[0][0], batch.v[0][0]], dim=1).flatten(1)
    q, k, v = packed.view(9, -1, shape.head_dim).split([4, 2, 2], dim=1)
    out = make(batch).bind(batch.layout(parts)).attend(0, q, k, v)
    torch.testing.assert_close(
        out.double().cpu(), batch.expected(parts, 0).cpu(), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("hardware", [SMALL, LARGE], ids=["whole", "split"])
def test_rows_that_only_fill_up_get_zeros_and_store_nothing(
    hardware: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rostra.serving.attention.triton_backend.SPLIT", 64)
    batch = Batch(Shape(windows=(None,)), [150, 150], BLOCK_SIZE, device=DEVICE)
    backend = make(batch, hardware=hardware)
    batch.step(backend, [(0, 0, 149)])
    layout = batch.layout([(0, 149, 1), (1, 0, 1)])
    layout.slots[1] = -1
    layout.context_lengths[1] = 0
    before = [part.clone() for part in (*backend.cache.keys, *backend.cache.values)]
    new = [torch.stack([part[0][0, 149], part[1][0, 0]]) for part in (batch.q, batch.k, batch.v)]
    out = backend.bind(layout).attend(0, *new)
    assert not out[1].any()
    torch.testing.assert_close(
        out[:1].double().cpu(), batch.expected([(0, 149, 1)], 0).cpu(), atol=1e-5, rtol=0
    )
    stored = batch.blocks[0][149 // BLOCK_SIZE]
    for old, now in zip(before, (*backend.cache.keys, *backend.cache.values), strict=True):
        same = torch.arange(len(old)) != stored
        assert torch.equal(old[same].nan_to_num(7.0), now[same].nan_to_num(7.0))


@pytest.mark.parametrize("hardware", [SMALL, LARGE], ids=["whole", "split"])
def test_recorded_decode_steps(hardware: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Launches planned for the longest context and a full batch; compiled, real graphs."""
    monkeypatch.setattr("rostra.serving.attention.triton_backend.SPLIT", 64)
    batch = Batch(Shape(windows=(None,)), [100, 30, 70], BLOCK_SIZE, device=DEVICE)
    backend = make(batch, hardware=hardware)
    batch.step(backend, [(0, 0, 98), (1, 0, 28), (2, 0, 68)])
    width = batch.shape.heads + 2 * batch.shape.kv_heads
    filling = torch.zeros(width, batch.shape.head_dim)

    def run(inputs: StaticInputs) -> torch.Tensor:
        q, k, v = torch.split(inputs.extras["qkv"], [4, 2, 2], dim=1)
        return backend.bind(inputs.layout).attend(0, q, k, v)

    graphs = DecodeGraphs(
        run,
        [4, 1],
        max_context=128,
        block_size=BLOCK_SIZE,
        device=DEVICE,
        extras={"qkv": filling},
    )
    for parts in ([(1, 28, 1), (0, 98, 1), (2, 68, 1)], [(0, 99, 1)], [(2, 69, 1), (1, 29, 1)]):
        layout = batch.layout(parts)
        new = torch.stack(
            [
                torch.cat([whole[sequence][0, position] for whole in (batch.q, batch.k, batch.v)])
                for sequence, position, _ in parts
            ]
        )
        out = graphs.replay(layout, layout.positions, extras={"qkv": new})
        torch.testing.assert_close(
            out.double().cpu(), batch.expected(parts, 0).cpu(), atol=1e-5, rtol=0
        )


def test_batch_invariance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit: alone or among others, in one piece or chunks, splits merged here or there."""
    monkeypatch.setattr("rostra.serving.attention.triton_backend.INVARIANT_SPLIT", 32)
    shape = Shape(heads=2, kv_heads=1, windows=(None, 40))
    batch = Batch(shape, [100, 20, 40], BLOCK_SIZE, device=DEVICE)
    plans: list[tuple[Device, list[Parts]]] = [
        (SMALL, [[(0, 0, 100)]]),
        (LARGE, [[(1, 0, 20), (0, 0, 32), (2, 0, 40)], [(0, 32, 67)], [(0, 99, 1)]]),
        (SMALL, [[(0, 0, 7)], [(0, 7, 92)], [(1, 0, 1), (0, 99, 1)]]),
    ]
    results = []
    for hardware, steps in plans:
        backend = make(batch, hardware=hardware, batch_invariant=True)
        rows: list[list[torch.Tensor]] = [[], []]
        for parts in steps:
            bounds = torch.tensor([0] + [count for _, _, count in parts]).cumsum(0).tolist()
            for layer, out in enumerate(batch.step(backend, parts)):
                rows[layer] += [
                    out[bounds[at] : bounds[at + 1]]
                    for at, (sequence, _, _) in enumerate(parts)
                    if sequence == 0
                ]
        results.append([torch.cat(parts) for parts in rows])
    check(batch, make(batch, batch_invariant=True), [[(0, 0, 100)]])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_runs_of_a_mixed_step() -> None:
    batch = Batch(Shape(), [40, 40, 40, 40, 40], BLOCK_SIZE, device=DEVICE)
    backend = make(batch)
    backend.cold = lambda *args, **named: None
    parts = [(0, 9, 1), (1, 20, 1), (2, 0, 8), (3, 0, 16), (4, 8, 8)]
    runs = plan_runs(backend, batch.layout(parts))
    assert [(run.kind, run.first, run.sequences, run.first_row, run.rows) for run in runs] == [
        ("decode", 0, 2, 0, 2),
        ("cold", 2, 2, 2, 24),
        ("paged", 4, 1, 26, 8),
    ]
    assert runs[1].starts is not None
    assert runs[1].starts.tolist() == [0, 8, 24]
    assert isinstance(runs[0], Run)


def test_cuts_fill_the_device_and_spare_the_memory() -> None:
    def splits(**changes: object) -> tuple[int, int, int]:
        given = {"busy": 8, "span": 4096, "context": 4096, "row_bytes": 4096} | changes
        found = choose_splits(invariant=False, device=hardware, **given)  # type: ignore[arg-type]
        return found.size, found.count, found.programs

    hardware = Device(processors=132, shared_memory=227 << 10, capability=(9, 0))
    assert splits() == (256, 16, 16)
    assert splits(busy=64) == (256, 16, 9)
    assert splits(busy=264) == (0, 16, 1)
    assert splits(span=512) == (256, 16, 3)
    assert splits(span=200, context=200) == (0, 1, 1)
    assert splits(row_bytes=1 << 30) == (0, 16, 1)
    size, count, _ = splits(context=131072, span=131072)
    assert size % 64 == 0
    assert count <= 128
