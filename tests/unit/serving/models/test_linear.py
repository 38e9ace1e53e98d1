"""Linear layers in every format: how far from the exact product, and whether rows stay apart."""

import pytest
import torch
from torch import Tensor

from rostra.serving.config import WeightFormat
from rostra.serving.models.linear import (
    FixedRowsLinear,
    PlainLinear,
    QuantizedLinear,
    make_linear,
)

# Relative error of a product with normally distributed weights.
BOUNDS: dict[WeightFormat, float] = {"none": 0.0, "int8": 0.01, "int4": 0.1}
ROUNDING = {
    torch.float64: 1e-12,
    torch.float32: 1e-6,
    torch.bfloat16: 4e-3,
    torch.float16: 1e-3,
}


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def error(mine: Tensor, exact: Tensor) -> float:
    return float((mine.double() - exact).norm() / exact.norm())


@pytest.mark.parametrize("batch_invariant", [False, True])
@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("weights", BOUNDS)
def test_error(weights: WeightFormat, dtype: torch.dtype, batch_invariant: bool) -> None:
    weight, bias = drawn(200, 1024).to(dtype), drawn(200, seed=1).to(dtype)
    linear = make_linear(weight, bias, weights=weights, batch_invariant=batch_invariant)
    assert (linear.in_features, linear.out_features) == (1024, 200)
    x = drawn(2, 9, 1024, seed=2).to(dtype)
    y = linear(x)
    assert y.shape == (2, 9, 200) and y.dtype == dtype
    exact = x.double() @ weight.double().T + bias.double()
    assert error(y, exact) <= BOUNDS[weights] + ROUNDING[dtype]


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("weights", BOUNDS)
def test_batch_invariance(weights: WeightFormat, dtype: torch.dtype) -> None:
    """Bit for bit, whatever the number of rows, the row's place and its neighbours."""
    linear = make_linear(
        drawn(72, 160).to(dtype), drawn(72, seed=1).to(dtype), weights=weights, batch_invariant=True
    )
    row = drawn(160, seed=2).to(dtype)
    alone = linear(row[None])[0]
    for rows in (2, 3, 5, 8, 16, 31, 80):
        for place in {0, rows // 2, rows - 1}:
            x = drawn(rows, 160, seed=rows).to(dtype) * 10
            x[place] = row
            assert torch.equal(linear(x)[place], alone)


@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_quantized_weights_are_small(weights: WeightFormat) -> None:
    weight = drawn(256, 512).bfloat16()
    plain, small = make_linear(weight, None), make_linear(weight, None, weights=weights)
    assert small.weight_bytes < plain.weight_bytes * (0.55 if weights == "int8" else 0.3)


@pytest.mark.parametrize("bits", [8, 4])
def test_what_other_devices_run(bits: int) -> None:
    """The same numbers as our own kernels, by torch's operators."""
    weight, bias = drawn(40, 75).float(), drawn(40, seed=1).float()
    wide = QuantizedLinear(weight, bias, bits)
    packed = make_linear(weight, bias, weights="int8" if bits == 8 else "int4")
    x = drawn(6, 75, seed=2).float()
    torch.testing.assert_close(wide(x), packed(x), rtol=1e-5, atol=1e-5)
    cut = FixedRowsLinear(wide, 4)
    torch.testing.assert_close(cut(x), wide(x), rtol=1e-5, atol=1e-5)
    assert cut(x[:0]).shape == (0, 40)


def test_rows_of_zeros_stay_zeros() -> None:
    weight = torch.zeros(3, 64)
    for weights in BOUNDS:
        assert not make_linear(weight, None, weights=weights)(torch.ones(1, 64)).any()


def test_strided_rows() -> None:
    weight = drawn(48, 64).float()
    wide = drawn(5, 192, seed=1).float()
    torch.testing.assert_close(
        make_linear(weight, None)(wide[:, 64:128]),
        PlainLinear(weight, None)(wide[:, 64:128]),
        rtol=1e-5,
        atol=1e-4,
    )
