"""The Triton kernels compile for a Hopper GPU, which needs none: what they become is looked at."""

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("triton", reason="Triton comes for Linux on x86-64 only")

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from rostra.serving.attention.triton_backend import Device, Tiles, choose_tiles
from rostra.serving.attention.triton_kernel import attend_kernel, combine_kernel, store_kernel

H100 = Device(processors=132, shared_memory=232448, capability=(9, 0))
SMALLER = Device(processors=20, shared_memory=99 << 10, capability=(8, 9))
INT32 = {"query_starts", "context_lengths", "block_tables"}
FLOAT32 = {"partial_mixed", "partial_stats"}
BF16 = {"q", "k", "v", "keys", "values", "out"}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


def compiled(kernel: Any, warps: int = 4, stages: int = 2, **constants: Any) -> Any:
    """The kernel as a launch with aligned bfloat16 tensors compiles it."""

    def kind(name: str) -> str:
        if name in constants:
            return "constexpr"
        if name in BF16:
            return "*bf16"
        if name in INT32:
            return "*i32"
        if name in FLOAT32:
            return "*fp32"
        return {"slots": "*i64", "scale": "fp32"}.get(name, "i32")

    names = kernel.arg_names
    aligned = [name.endswith(("_row", "_stride")) and name != "table_row" for name in names]
    source = ASTSource(
        fn=kernel,
        signature={name: kind(name) for name in names},
        constexprs=constants,
        attrs={
            (index,): [["tt.divisibility", 16]]
            for index, name in enumerate(names)
            if aligned[index] or kind(name).startswith("*")
        },
    )
    options = {"num_warps": warps, "num_stages": stages, "enable_fp_fusion": True}
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)


@pytest.mark.parametrize(
    ("rows", "head_dim", "decode", "split"),
    [(4, 128, True, False), (4, 80, True, True), (4096, 128, False, False), (32, 256, False, True)],
    ids=["decode", "decode-split", "prefill", "invariant"],
)
def test_attention(rows: int, head_dim: int, decode: bool, split: bool) -> None:
    tiles = choose_tiles(head_dim, 4, torch.bfloat16, rows, H100)
    kernel = compiled(
        attend_kernel,
        tiles.warps,
        tiles.stages,
        HEADS=32,
        KV_HEADS=8,
        HEAD_DIM=head_dim,
        BLOCK_D=triton.next_power_of_2(head_dim),
        BLOCK_SIZE=16,
        SOFTCAP=0.0,
        DECODE=decode,
        SPLIT=split,
        BLOCK_M=tiles.rows,
        BLOCK_N=tiles.keys,
    )
    assert kernel.metadata.shared <= H100.shared_memory
    assert "cp.async" in kernel.asm["ptx"]  # loads run ahead of the products
    assert ("wgmma" in kernel.asm["ptx"]) == (tiles.rows >= 64)


def test_the_other_kernels() -> None:
    combine = {"HEADS": 32, "KV_HEADS": 8, "HEAD_DIM": 128, "BLOCK_C": 64, "BLOCK_M": 16}
    compiled(combine_kernel, **combine, DECODE=True, UNROLL=4)
    compiled(store_kernel, KV_HEADS=8, HEAD_DIM=128, BLOCK_SIZE=16, WIDTH=1024)


def test_tiles_fit_rows_and_memory() -> None:
    assert choose_tiles(128, 4, torch.bfloat16, 4, H100) == Tiles(16, 64, 4, 3)
    assert choose_tiles(128, 4, torch.bfloat16, 8192, H100) == Tiles(128, 64, 8, 2)
    for device in (H100, SMALLER):
        for head_dim in (64, 80, 96, 128, 256):
            for group in (1, 3, 8, 64):
                for dtype in (torch.bfloat16, torch.float32):
                    for rows in (1, 24, 8192):
                        tiles = choose_tiles(head_dim, group, dtype, rows, device)
                        width = triton.next_power_of_2(head_dim) * dtype.itemsize
                        assert tiles.rows >= max(16, group)
                        held = width * (tiles.rows + 2 * tiles.stages * tiles.keys)
                        assert held <= device.shared_memory
