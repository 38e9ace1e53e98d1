"""Row-wise operations against transformers' modules, rounding included."""

from collections.abc import Callable

import pytest
import torch
from transformers.activations import ACT2FN
from transformers.models.gemma2.modeling_gemma2 import Gemma2RMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from rostra.serving.models.config import Activation
from rostra.serving.models.ops import add_rms_norm, gated, rms_norm, rotary, softcap

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]


def drawn(*shape: int, dtype: torch.dtype, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("peer", "offset"), [(LlamaRMSNorm, 0.0), (Gemma2RMSNorm, 1.0)])
@torch.no_grad()
def test_rms_norm(peer: type[LlamaRMSNorm], offset: float, dtype: torch.dtype) -> None:
    x, weight = drawn(7, 3, 96, dtype=dtype) * 5, drawn(96, dtype=dtype, seed=1)
    module = peer(96, eps=1e-5).to(dtype)
    module.weight.copy_(weight)
    wanted = module(x)
    assert wanted.dtype == dtype
    # On a CPU our kernel adds the squares in another order, which may turn a last bit.
    exactly = {"rtol": 4 * torch.finfo(dtype).eps, "atol": 0.0}
    torch.testing.assert_close(rms_norm(x, weight, 1e-5, offset), wanted, **exactly)
    residual = drawn(7, 3, 96, dtype=dtype, seed=2)
    normed, total = add_rms_norm(x, residual, weight, 1e-5, offset)
    assert torch.equal(total, residual + x)
    torch.testing.assert_close(normed, module(residual + x), **exactly)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["silu", "gelu_pytorch_tanh", "gelu"])
def test_gated(activation: Activation, dtype: torch.dtype) -> None:
    gate, up = drawn(5, 40, dtype=dtype) * 3, drawn(5, 40, dtype=dtype, seed=1)
    mine, wanted = gated(torch.cat([gate, up], 1), activation), ACT2FN[activation](gate) * up
    assert mine.dtype == dtype
    assert torch.allclose(mine, wanted, rtol=4 * torch.finfo(dtype).eps, atol=2e-6)


@pytest.mark.parametrize("width", [96, 3080])
def test_rows_do_not_depend_on_each_other(width: int) -> None:
    """Bit for bit, whatever the threads share out."""
    torch.set_num_threads(2)
    x, weight = drawn(301, width, dtype=torch.float32), drawn(width, dtype=torch.float32, seed=1)
    cos_sin = drawn(301, width // 4, dtype=torch.float32, seed=2)

    def turned(rows: slice) -> torch.Tensor:
        heads = x[rows].view(-1, 2, width // 2)
        return rotary(heads, heads, cos_sin[rows])[0]

    everything = slice(0, 301)
    operations: list[Callable[[slice], torch.Tensor]] = [
        lambda rows: rms_norm(x[rows], weight, 1e-6),
        lambda rows: rms_norm(x[rows], weight, 1e-6, 1.0),
        lambda rows: gated(x[rows], "silu"),
        lambda rows: gated(x[rows], "gelu"),
        lambda rows: gated(x[rows], "gelu_pytorch_tanh"),
        lambda rows: softcap(x[rows], 2.0),
        turned,
    ]
    for operation in operations:
        whole = operation(everything)
        for rows in (slice(0, 1), slice(3, 20), slice(100, 101), slice(150, 301)):
            assert torch.equal(operation(rows), whole[rows])


def test_softcap() -> None:
    x = torch.tensor([-1e9, -1.0, 0.0, 0.001, 1e9])
    assert softcap(x, None) is x
    assert softcap(x, 30.0).abs().max() == 30
    assert torch.allclose(softcap(x, 30.0)[1:4], x[1:4], rtol=1e-3)
