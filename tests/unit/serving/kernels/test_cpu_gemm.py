"""Packed products against float64, in every format, arithmetic and shape; and their invariance."""

import pytest
import torch
from torch import Tensor

from rostra.serving.kernels.cpu_gemm import (
    BF16,
    FLOATS,
    INT4,
    INT8,
    PackedProduct,
    pack_floats,
    pack_groups,
    pack_pairs,
)
from rostra.serving.kernels.cpu_vector import has_bf16_dot
from rostra.serving.models.quantize import (
    dequantize_int4,
    dequantize_int8,
    quantize_int4,
    quantize_int8,
)

# Whole panels and groups; parts of both; an odd number of inputs; less than one panel.
SHAPES = [(64, 128), (70, 90), (33, 45), (5, 3), (1, 1)]
ROWS = [1, 2, 3, 4, 5, 8, 9, 16, 65, 150]
CASES = [
    (BF16, True),
    (BF16, False),
    (FLOATS, False),
    (INT8, True),
    (INT8, False),
    (INT4, True),
    (INT4, False),
]
NAMES = ["bf16", "bf16-wide", "float32", "int8", "int8-wide", "int4", "int4-wide"]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def product(form: int, dot: bool, outputs: int, inputs: int) -> tuple[PackedProduct, Tensor]:
    """A random weight packed, with a bias; and the bias behind the weight it stands for."""
    weight, bias = drawn(outputs, inputs, seed=1), drawn(outputs, seed=2)
    scale = None
    if form == BF16:
        packed, kept = pack_pairs(weight.bfloat16()), weight.bfloat16().float()
    elif form == FLOATS:
        packed, kept = pack_floats(weight), weight
    elif form == INT8:
        codes, scale = quantize_int8(weight)
        packed, kept = pack_pairs(codes), dequantize_int8(codes, scale)
    else:
        codes, scales = quantize_int4(weight)
        packed, kept = pack_groups(codes, scales), dequantize_int4(codes, scales)
    made = PackedProduct(form, packed, inputs, outputs, scale=scale, bias=bias, dot=dot)
    return made, torch.cat((kept, bias[:, None]), dim=1).double()


@pytest.fixture(params=CASES, ids=NAMES)
def case(request: pytest.FixtureRequest) -> tuple[int, bool]:
    form, dot = request.param
    if dot and not has_bf16_dot():
        pytest.skip("this CPU does not multiply bfloat16")
    return form, dot


@pytest.mark.parametrize(("outputs", "inputs"), SHAPES)
def test_products(case: tuple[int, bool], outputs: int, inputs: int) -> None:
    packed, kept = product(*case, outputs, inputs)
    dtypes = [torch.bfloat16] if case[0] == BF16 else [torch.float32, torch.bfloat16]
    for dtype in dtypes:
        for rows in ROWS:
            x = drawn(rows, inputs, seed=rows).to(dtype)
            exact = x.double() @ kept[:, :-1].T + kept[:, -1]
            y = packed(x)
            assert y.dtype == dtype
            size = exact.abs().amax()
            tolerance = 1e-5 if dtype == torch.float32 else 6e-3
            assert ((y.double() - exact).abs() <= tolerance * size).all()


def test_a_row_does_not_depend_on_the_others(case: tuple[int, bool]) -> None:
    """Bit for bit, at any place among any number of other rows, in strided rows too."""
    outputs, inputs = 100, 192
    packed, _ = product(*case, outputs, inputs)
    dtype = torch.float32 if case[0] == FLOATS else torch.bfloat16
    row = drawn(inputs, seed=3).to(dtype)
    alone = packed(row[None])[0]
    for rows in (2, 3, 4, 7, 8, 16, 17, 64, 65, 140):
        for seed, place in enumerate({0, 1, rows // 2, rows - 1}):
            wide = drawn(rows, 2 * inputs, seed=seed).to(dtype) * 100
            wide[rows - 1 - place, 0] = float("nan")
            wide[place, :inputs] = row
            assert torch.equal(packed(wide[:, :inputs])[place], alone)


def test_rows_without_end_and_none() -> None:
    packed, _ = product(FLOATS, False, 40, 20)
    assert packed(drawn(0, 20)).shape == (0, 40)
    x = drawn(3, 20)
    x[1, 4] = float("inf")
    assert packed(x)[1].isnan().logical_or(packed(x)[1].isinf()).all()
    assert packed(x)[[0, 2]].isfinite().all()
