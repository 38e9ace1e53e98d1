"""The plain backend against attention in float64 over whole sequences."""

import pytest
import torch

from rostra.serving.attention import cpu
from rostra.serving.attention.backend import bytes_per_block, make_backend
from rostra.serving.attention.sdpa import SPLIT, SdpaBackend
from tests.unit.serving.attention.ragged import Batch, Shape, fill_with_nan

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 4e-2}
Parts = list[tuple[int, int, int]]

# Prompts whole and in chunks, then decode beside chunks, then guessed tokens.
LENGTHS = [75, 18, 1, 40]
STEPS: list[Parts] = [
    [(0, 0, 33), (1, 0, 17), (2, 0, 1)],
    [(1, 17, 1), (0, 33, 37), (3, 0, 32)],
    [(0, 70, 1), (3, 32, 5)],
    [(0, 71, 4), (3, 37, 3)],
]
SHAPES = [
    Shape(windows=(None, 7)),
    Shape(heads=6, head_dim=10, softcap_attention=1.5, windows=(None, 20)),
    Shape(heads=3, kv_heads=3, attention_scale=0.1, windows=(1,)),
]


def make(batch: Batch, *, batch_invariant: bool = False) -> SdpaBackend:
    backend = SdpaBackend(
        batch.shape,
        blocks=batch.total_blocks,
        block_size=batch.block_size,
        dtype=batch.dtype,
        device="cpu",
        batch_invariant=batch_invariant,
    )
    fill_with_nan(backend)
    return backend


@pytest.mark.parametrize("batch_invariant", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES, ids=["window", "softcap", "narrow"])
def test_ragged_steps(shape: Shape, dtype: torch.dtype, batch_invariant: bool) -> None:
    batch = Batch(shape, LENGTHS, 16, dtype=dtype)
    backend = make(batch, batch_invariant=batch_invariant)
    for parts in STEPS:
        for layer, out in enumerate(batch.step(backend, parts)):
            assert out.dtype == dtype
            torch.testing.assert_close(
                out.double(), batch.expected(parts, layer), atol=TOLERANCE[dtype], rtol=0
            )


@pytest.mark.parametrize("block_size", [1, 5, 64])
def test_block_sizes(block_size: int) -> None:
    batch = Batch(SHAPES[0], [50, 20], block_size)
    backend = make(batch)
    for parts in ([(0, 0, 49), (1, 0, 12)], [(0, 49, 1), (1, 12, 8)]):
        for layer, out in enumerate(batch.step(backend, parts)):
            torch.testing.assert_close(
                out.double(), batch.expected(parts, layer), atol=1e-5, rtol=0
            )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES, ids=["window", "softcap", "narrow"])
def test_batch_invariance(shape: Shape, dtype: torch.dtype) -> None:
    """Bit for bit: alone or among others, in one piece or in chunks."""
    length = 2 * SPLIT + 20
    batch = Batch(shape, [length, 30, 90], 16, dtype=dtype)
    plans: list[list[Parts]] = [
        [[(0, 0, length)]],
        [[(1, 0, 30), (0, 0, 64), (2, 0, 90)], [(0, 64, length - 65)], [(0, length - 1, 1)]],
        [[(0, 0, 7)], [(0, 7, length - 8)], [(1, 0, 1), (0, length - 1, 1)]],
    ]
    results = []
    for steps in plans:
        backend = make(batch, batch_invariant=True)
        rows: list[list[torch.Tensor]] = [[] for _ in range(shape.layers)]
        for parts in steps:
            bounds = torch.tensor([0] + [count for _, _, count in parts]).cumsum(0).tolist()
            place = [sequence for sequence, _, _ in parts].index(0)
            for layer, out in enumerate(batch.step(backend, parts)):
                rows[layer].append(out[bounds[place] : bounds[place + 1]])
        results.append([torch.cat(parts) for parts in rows])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_bytes_per_block_is_what_is_allocated() -> None:
    batch = Batch(SHAPES[0], [50], 16)
    backend = make(batch)
    size = bytes_per_block(batch.shape, batch.dtype, batch.block_size)
    assert backend.cache.bytes == size * batch.total_blocks


@pytest.mark.parametrize(
    ("dtype", "head_dim", "own"),
    [
        (torch.float32, 16, True),
        (torch.bfloat16, 16, True),
        (torch.float64, 16, False),
        (torch.float32, 10, False),
    ],
)
def test_make_backend_on_a_cpu(
    dtype: torch.dtype, head_dim: int, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own kernel where it takes the shape; it is not made here, which would compile it."""
    made = object()
    monkeypatch.setattr(cpu, "CpuBackend", lambda *args, **named: made)
    backend = make_backend(
        Shape(head_dim=head_dim), blocks=3, block_size=16, dtype=dtype, device="cpu"
    )
    assert backend is made if own else isinstance(backend, SdpaBackend)
