"""The CPU kernel against attention computed a query at a time in float64."""

import gc
import os
import weakref
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from rostra.serving.attention.cpu import CpuAttention, CpuBackend, supports
from rostra.serving.kernels.cpu_attention import SPLIT, attention_kernel
from tests.unit.serving.attention.ragged import Batch, Shape

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 4e-2}
Parts = list[tuple[int, int, int]]

# Prompts whole and in chunks, then decode beside chunks, then guessed tokens.
LENGTHS = [75, 18, 1, 40]
STEPS: list[Parts] = [
    [(0, 0, 33), (1, 0, 17), (2, 0, 1)],
    [(1, 17, 1), (0, 33, 37), (3, 0, 32)],
    [(0, 70, 1), (3, 32, 5)],
    [(0, 71, 4), (3, 37, 3)],
]
SHAPES = {
    "pairs": Shape(heads=4, kv_heads=2, head_dim=64, windows=(None, 7)),
    "alone": Shape(heads=3, kv_heads=3, head_dim=32, attention_scale=0.1, windows=(1,)),
    "thirds": Shape(heads=6, kv_heads=2, head_dim=80, softcap_attention=1.5, windows=(None, 20)),
    "fours": Shape(heads=4, kv_heads=1, head_dim=256, windows=(None, 33)),
    "sevens": Shape(heads=14, kv_heads=2, head_dim=128, windows=(17,)),
    "many": Shape(heads=12, kv_heads=1, head_dim=48, windows=(None,)),
}


def make(batch: Batch) -> CpuBackend:
    backend = CpuBackend(
        batch.shape, blocks=batch.total_blocks, block_size=batch.block_size, dtype=batch.dtype
    )
    for layer in backend.cache:  # Makes any use of what was never stored visible.
        layer.fill_(float("nan"))
    return backend


def check(batch: Batch, backend: CpuBackend, steps: list[Parts]) -> None:
    for parts in steps:
        for layer, out in enumerate(batch.step(backend, parts)):
            assert out.dtype == batch.dtype
            torch.testing.assert_close(
                out.double(),
                batch.expected(parts, layer),
                atol=TOLERANCE[batch.dtype],
                rtol=0,
            )


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_ragged_steps(shape: Shape, dtype: torch.dtype) -> None:
    batch = Batch(shape, LENGTHS, 16, dtype=dtype)
    check(batch, make(batch), STEPS)


def test_bfloat16_without_its_instructions() -> None:
    """What CPUs without AVX512-BF16 run."""
    batch = Batch(SHAPES["pairs"], LENGTHS, 16, dtype=torch.bfloat16)
    backend = make(batch)
    backend.kernel = attention_kernel(bf16=True, dot=False)
    check(batch, backend, STEPS)


@pytest.mark.parametrize("block_size", [32, 64])
def test_block_sizes(block_size: int) -> None:
    batch = Batch(SHAPES["pairs"], [150, 20], block_size)
    check(batch, make(batch), [[(0, 0, 149), (1, 0, 12)], [(0, 149, 1), (1, 12, 8)]])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", ["pairs", "thirds", "many"])
def test_one_bit_pattern(name: str, dtype: torch.dtype) -> None:
    """Alone or among others, in one piece or in chunks, by one thread or cut into splits."""
    length = 2 * SPLIT + 20
    batch = Batch(SHAPES[name], [length, 30, 90], 16, dtype=dtype)
    plans: list[list[Parts]] = [
        [[(0, 0, length)]],
        [[(1, 0, 30), (0, 0, 64), (2, 0, 90)], [(0, 64, length - 65)], [(0, length - 1, 1)]],
        [[(0, 0, 7)], [(0, 7, length - 8)], [(1, 0, 1), (0, length - 1, 1)]],
    ]
    results = []
    for steps in plans:
        backend = make(batch)
        rows: list[list[torch.Tensor]] = [[] for _ in range(batch.shape.layers)]
        for parts in steps:
            bounds = torch.tensor([0] + [count for _, _, count in parts]).cumsum(0).tolist()
            place = [sequence for sequence, _, _ in parts].index(0)
            for layer, out in enumerate(batch.step(backend, parts)):
                rows[layer].append(out[bounds[place] : bounds[place + 1]])
        results.append([torch.cat(parts) for parts in rows])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_splits_are_merged() -> None:
    """Few heads and one sequence: the context is cut, which must not show."""
    shape = Shape(heads=2, kv_heads=1, head_dim=32, windows=(None, SPLIT + 9))
    length = 3 * SPLIT + 5
    batch = Batch(shape, [length], 16)
    backend = make(batch)
    assert backend.bind(batch.layout([(0, length - 1, 1)])).splits == 4
    check(batch, backend, [[(0, 0, length - 1)], [(0, length - 1, 1)]])


def test_a_spoilt_sequence_spoils_no_other() -> None:
    batch = Batch(SHAPES["pairs"], [20, 20], 16)
    batch.v[0][:] = float("nan")
    batch.k[0][:] = float("inf")
    backend = make(batch)
    first, second = batch.step(backend, [(0, 0, 20), (1, 0, 20)])[0].split(20)
    assert first.isnan().any(1).all()
    expected = batch.expected([(1, 0, 20)], 0)
    torch.testing.assert_close(second.double(), expected, atol=1e-5, rtol=0)


def test_what_it_takes() -> None:
    shape = SHAPES["pairs"]
    assert supports(shape, torch.bfloat16, 16)
    assert not supports(shape, torch.float64, 16)
    assert not supports(shape, torch.float32, 8)
    assert not supports(Shape(head_dim=40), torch.float32, 16)


def test_replayed_steps() -> None:
    """A step recorded at one context and batch serves others with as many tokens."""
    length = SPLIT + 40
    batch = Batch(SHAPES["pairs"], [length, 30], 16)
    backend = make(batch)
    batch.step(backend, [(0, 0, length - 4), (1, 0, 20)])
    steps: list[Parts] = [[(1, 20, 2)], [(1, 22, 2)], [(0, length - 4, 2)]]
    steps += [[(0, length - 2, 1), (1, 24, 1)], [(0, length - 1, 1), (1, 25, 1)]]
    owner = object()
    for parts in steps:
        picked = [
            torch.cat([whole[i][0, start : start + count] for i, start, count in parts]).flatten(1)
            for whole in (batch.q, batch.k, batch.v)
        ]

        def compute(inputs: Sequence[torch.Tensor], step: CpuAttention) -> torch.Tensor:
            q, k, v = (part.view(len(part), -1, 64) for part in inputs)
            return step.attend(0, q, k, v)

        out = backend.bind(batch.layout(parts)).replay(owner, picked, compute)
        torch.testing.assert_close(out.double(), batch.expected(parts, 0), atol=1e-5, rtol=0)


def test_memory_is_taken_when_it_is_used() -> None:
    before = _resident()
    backend = CpuBackend(SHAPES["many"], blocks=2**17, block_size=16, dtype=torch.float32)
    size = sum(layer.nbytes for layer in backend.cache)
    assert size > 2**29
    assert _resident() - before < size // 8
    assert not backend.cache[0][-1].any()


def test_recordings_do_not_keep_the_cache_alive() -> None:
    batch = Batch(SHAPES["pairs"], [8], 16)
    backend = make(batch)
    step = backend.bind(batch.layout([(0, 0, 8)]))
    for _ in range(3):
        step.replay(None, [batch.q[0][0]], lambda inputs, _: inputs[0])
    gone = weakref.ref(backend)
    gc.disable()
    try:
        del step, backend
        assert gone() is None
    finally:
        gc.enable()


def _resident() -> int:
    """Bytes of this process's memory that exist."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
