"""The product with fixed tiles against torch's, and its rows against each other.

Run by `test_triton.py`, as `check_paged.py` is.
"""

import os

import pytest
import torch

from rostra.serving.kernels import triton_matmul
from rostra.serving.kernels.triton_matmul import fixed_tiles, matmul_fixed

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"


def draw(*size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(size))
    return torch.randn(size, generator=generator).to(dtype).to(DEVICE)


@pytest.mark.parametrize("rows", [1, 31, 33, 70])
@pytest.mark.parametrize(("width", "inner"), [(40, 72), (33, 20)])
def test_equals_the_plain_product(rows: int, width: int, inner: int) -> None:
    x, w = draw(rows, inner), draw(width, inner)
    torch.testing.assert_close(matmul_fixed(x, w), x @ w.T, atol=1e-4, rtol=1e-5)


def test_more_tiles_than_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_matmul, "PROGRAMS", 1)
    x, w = draw(300, 16), draw(70, 16)
    torch.testing.assert_close(matmul_fixed(x, w), x @ w.T, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    x, w = draw(5, 64, dtype=dtype), draw(48, 64, dtype=dtype)
    expected = (x.double() @ w.double().T).to(dtype)
    torch.testing.assert_close(matmul_fixed(x, w), expected, atol=2e-2, rtol=2e-2)


def test_leading_dimensions_and_strides() -> None:
    wide, w = draw(2, 3, 40), draw(24, 20)
    x = wide[..., 20:]
    out = matmul_fixed(x, w)
    assert out.shape == (2, 3, 24)
    torch.testing.assert_close(out, x @ w.T, atol=1e-4, rtol=1e-5)
    assert matmul_fixed(x[:0], w).shape == (0, 3, 24)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_are_the_same_in_any_batch(dtype: torch.dtype) -> None:
    x, w = draw(70, 64, dtype=dtype), draw(40, 64, dtype=dtype)
    whole = matmul_fixed(x, w)
    for rows in (slice(0, 1), slice(37, 38), slice(9, 70), slice(69, 70)):
        assert torch.equal(matmul_fixed(x[rows], w), whole[rows])


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        matmul_fixed(draw(2, 8), draw(4, 9))
    with pytest.raises(ValueError, match="does not fit"):
        matmul_fixed(draw(2, 8), draw(4, 8, dtype=torch.float16))


def test_tiles_depend_on_the_weight_alone() -> None:
    assert fixed_tiles(1024, torch.bfloat16) == (64, 32, 64)
    assert fixed_tiles(6144, torch.bfloat16) == (64, 64, 64)
    assert fixed_tiles(151936, torch.bfloat16) == (64, 128, 64)
    assert fixed_tiles(151936, torch.float32) == (32, 32, 32)
