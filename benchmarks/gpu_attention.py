"""`python -m benchmarks.gpu_attention`: attention on a GPU against what its memory allows.

Decode reads every key and value once, so its limit is bytes over bandwidth; the bandwidth is that
of a large copy on the same device in the same run. The peer is torch's SDPA over contiguous keys
and values of equal lengths, which spares it the pages. Prefill is compared in operations a second.
Without CUDA it says so and ends.
"""

# mypy: disable-error-code="import-untyped"
# Triton comes without types.
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

BLOCK_SIZE = 16
DECODE = [(1, 512), (1, 8192), (16, 1024), (64, 1024), (256, 1024), (256, 4096)]
PREFILL = [(1, 512), (1, 2048), (16, 128), (4, 4096)]


@dataclass(frozen=True, slots=True)
class Heads:
    """An `AttentionShape` of one layer, as of Llama 3 8B."""

    heads: int = 32
    kv_heads: int = 8
    head_dim: int = 128
    layers: int = 1
    windows: tuple[int | None, ...] = (None,)
    softcap_attention: float | None = None
    attention_scale: float = 128**-0.5


@click.command()
@click.option("--json", "as_json", is_flag=True)
def main(as_json: bool) -> None:
    """Time attention kernels on the first CUDA device."""
    if not torch.cuda.is_available():
        raise click.ClickException("there is no CUDA device here; nothing was measured")
    with torch.inference_mode():
        bandwidth = copy_bandwidth()
        results: dict[str, Any] = {
            "device": torch.cuda.get_device_name(),
            "copy_gb_s": round(bandwidth / 1e9),
            "decode": [decode(*case, bandwidth) for case in DECODE],
            "prefill": [prefill(*case) for case in PREFILL],
        }
    if as_json:
        click.echo(json.dumps(results))
        return
    click.echo(f"{results['device']}, copies at {results['copy_gb_s']} GB/s")
    for name in ("decode", "prefill"):
        table = Table(*results[name][0], title=name, title_justify="left", box=None)
        for row in results[name]:
            table.add_row(*(str(value) for value in row.values()))
        Console().print(table)


def seconds(call: Callable[[], object]) -> float:
    """Median, the second-level cache emptied before each call."""
    from triton.testing import do_bench

    return float(do_bench(call, return_mode="median")) / 1e3


def copy_bandwidth() -> float:
    """Bytes a second that a copy of 1 GiB reads and writes."""
    source = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.nbytes / seconds(lambda: target.copy_(source))


def step(
    batch: int, start: int, count: int, *, batch_invariant: bool = False
) -> Callable[[], Tensor]:
    """Attention of one layer for `batch` sequences over scattered blocks."""
    from rostra.serving.attention.backend import make_backend
    from rostra.serving.attention.layout import LayoutRow, make_layout

    shape, width = Heads(), -(-(start + count) // BLOCK_SIZE)
    backend = make_backend(
        shape,
        blocks=batch * width,
        block_size=BLOCK_SIZE,
        dtype=torch.bfloat16,
        device="cuda",
        batch_invariant=batch_invariant,
    )
    order = torch.randperm(batch * width).view(batch, width).tolist()
    layout = make_layout([LayoutRow(start, count, blocks) for blocks in order], BLOCK_SIZE, "cuda")
    attention = backend.bind(layout)
    packed = draw(batch * count, shape.heads + 2 * shape.kv_heads, shape.head_dim)
    q, k, v = torch.split(packed, [shape.heads, shape.kv_heads, shape.kv_heads], dim=1)
    return lambda: attention.attend(0, q, k, v)


def draw(*size: int) -> Tensor:
    return torch.randn(size, dtype=torch.bfloat16, device="cuda")


def decode(batch: int, context: int, bandwidth: float) -> dict[str, Any]:
    shape = Heads()
    taken = seconds(step(batch, context - 1, 1))
    invariant = seconds(step(batch, context - 1, 1, batch_invariant=True))
    q = draw(batch, shape.heads, 1, shape.head_dim)
    k, v = (draw(batch, shape.kv_heads, context, shape.head_dim) for _ in range(2))
    peer = seconds(lambda: scaled_dot_product_attention(q, k, v, enable_gqa=True))
    least = (k.nbytes + v.nbytes) / bandwidth
    return {
        "batch": batch,
        "context": context,
        "us": round(taken * 1e6, 1),
        "of_bandwidth": round(least / taken, 2),
        "invariant_us": round(invariant * 1e6, 1),
        "sdpa_us": round(peer * 1e6, 1),
    }


def prefill(batch: int, length: int) -> dict[str, Any]:
    """Cold, and the same tokens as a second chunk behind as many computed before."""
    shape = Heads()
    cold, chunk = seconds(step(batch, 0, length)), seconds(step(batch, length, length))
    q = draw(batch, shape.heads, length, shape.head_dim)
    k, v = (draw(batch, shape.kv_heads, length, shape.head_dim) for _ in range(2))
    peer = seconds(lambda: scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True))
    # Two products over half of a square: 2 x 2 x heads x head_dim x length^2 / 2.
    work = 2 * batch * shape.heads * shape.head_dim * length**2
    return {
        "batch": batch,
        "length": length,
        "cold_tflop_s": round(work / cold / 1e12, 1),
        "chunk_tflop_s": round(3 * work / chunk / 1e12, 1),
        "sdpa_tflop_s": round(work / peer / 1e12, 1),
    }


if __name__ == "__main__":
    main()
