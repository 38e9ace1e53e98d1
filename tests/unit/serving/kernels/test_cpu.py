"""Fused row-wise operations against the same in torch, rounding included."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rostra.serving.kernels import cpu

DTYPES = [torch.float32, torch.bfloat16]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def norm(x: Tensor, weight: Tensor, eps: float, offset: float) -> Tensor:
    wide = x.float()
    normed = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
    if offset:
        return (normed * (offset + weight.float())).to(x.dtype)
    return weight * normed.to(x.dtype)


def close(mine: Tensor, wanted: Tensor) -> None:
    assert mine.dtype == wanted.dtype
    torch.testing.assert_close(mine, wanted, rtol=4 * torch.finfo(mine.dtype).eps, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0.0, 1.0])
@pytest.mark.parametrize("rows", [1, 5, 700])
def test_norms(rows: int, offset: float, dtype: torch.dtype) -> None:
    x, residual = drawn(rows, 112).to(dtype) * 5, drawn(rows, 112, seed=1).to(dtype)
    weight = drawn(112, seed=2).to(dtype)
    normed, total = cpu.add_rms_norm(x, residual, weight, 1e-5, offset)
    assert torch.equal(total, residual + x)
    close(normed, norm(residual + x, weight, 1e-5, offset))
    close(cpu.add_rms_norm(x, None, weight, 1e-5, offset)[0], norm(x, weight, 1e-5, offset))


@pytest.mark.parametrize("dtype", DTYPES)
def test_norms_of_heads(dtype: torch.dtype) -> None:
    """Strided as they come out of the packed projection."""
    heads = drawn(9, 8, 64).to(dtype)
    weight = drawn(64, seed=1).to(dtype)
    part = heads[:, 2:5]
    close(cpu.add_rms_norm(part, None, weight, 1e-6, 0.0)[0], norm(part, weight, 1e-6, 0.0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rotary_dim", [96, 32])
@pytest.mark.parametrize("tokens", [1, 200])
def test_rotary(tokens: int, rotary_dim: int, dtype: torch.dtype) -> None:
    heads = drawn(tokens, 7, 96).to(dtype)
    q, k = heads[:, :4], heads[:, 4:6]
    cos_sin = drawn(tokens, rotary_dim, seed=1)
    cos, sin = cos_sin[:, None].chunk(2, dim=-1)
    for mine, x in zip(cpu.rotary(q, k, cos_sin), (q, k), strict=True):
        one, two, rest = x.split([rotary_dim // 2, rotary_dim // 2, 96 - rotary_dim], dim=2)
        turned = torch.cat((one * cos - two * sin, two * cos + one * sin), dim=2)
        close(mine, torch.cat((turned.to(dtype), rest), dim=2))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 900])
def test_gates(rows: int, dtype: torch.dtype) -> None:
    gate_up = drawn(rows, 160).to(dtype) * 8
    gate_up[0, :4] = torch.tensor([-1e4, 1e4, 0.0, -0.0]).to(dtype)
    gate, up = gate_up.chunk(2, dim=1)
    close(cpu.gated(gate_up, gelu=False), torch.nn.functional.silu(gate.float()).to(dtype) * up)
    gelu = torch.nn.functional.gelu(gate.float(), approximate="tanh").to(dtype) * up
    mine = cpu.gated(gate_up, gelu=True)
    torch.testing.assert_close(mine, gelu, rtol=4 * torch.finfo(dtype).eps, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_does_not_depend_on_the_others(dtype: torch.dtype) -> None:
    x, weight = drawn(500, 192).to(dtype), drawn(192, seed=1).to(dtype)
    cos_sin = drawn(500, 96, seed=2)
    operations: list[Callable[[slice], Tensor]] = [
        lambda rows: cpu.add_rms_norm(x[rows], x[rows], weight, 1e-6, 0.0)[0],
        lambda rows: cpu.gated(x[rows], gelu=False),
        lambda rows: cpu.gated(x[rows], gelu=True),
        lambda rows: cpu.rotary(x[rows].view(-1, 2, 96), x[rows].view(-1, 2, 96), cos_sin[rows])[0],
    ]
    for operation in operations:
        whole = operation(slice(0, 500))
        for rows in (slice(0, 1), slice(7, 30), slice(499, 500)):
            assert torch.equal(operation(rows), whole[rows])


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_a_number_shows(dtype: torch.dtype) -> None:
    x = drawn(2, 64).to(dtype)
    x[0, 3] = float("nan")
    weight = torch.ones(64, dtype=dtype)
    assert cpu.add_rms_norm(x, None, weight, 1e-6, 0.0)[0][0].isnan().all()
    assert cpu.gated(x, gelu=False)[0, 3].isnan()
    assert cpu.gated(x, gelu=True)[0, 3].isnan()
    assert cpu.gated(x, gelu=False)[1].isfinite().all()


def test_what_they_take() -> None:
    assert cpu.takes(drawn(2, 32), 32, 16)
    assert not cpu.takes(drawn(2, 32), 24)
    assert not cpu.takes(drawn(2, 32).double(), 32)
