"""A matrix product on CUDA whose rows do not depend on each other, for batch-invariant linears.

A library's product picks its kernel by the number of rows, and kernels round differently. Here
tiles are chosen from the weight's shape alone, and a tile's sum over the inner dimension runs in
order, so that a row's result is the same bit for bit in any batch.
"""

# mypy: disable-error-code="import-untyped, no-untyped-def, untyped-decorator"
# Triton comes without types, and a kernel's arguments have none that Python knows.
import torch
import triton
import triton.language as tl
from torch import Tensor

# As many programs as the largest devices run at a time; each takes every so-manieth tile.
PROGRAMS = 132
# Tiles of one band of rows are visited together, so that the band stays in cache.
BAND = 8


@triton.jit(do_not_specialize=["rows"])
def matmul_kernel(
    x,
    w,
    out,
    rows,
    x_row,
    w_row,
    OUT: tl.constexpr,
    IN: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BAND: tl.constexpr,
):
    """out[rows, OUT] = x[rows, IN] @ w[OUT, IN].T with float32 sums; grid (programs,).

    Rows of x lie `x_row` apart, those of w `w_row`; `out` is contiguous.
    """
    row_tiles = tl.cdiv(rows, BLOCK_M)
    column_tiles: tl.constexpr = (OUT + BLOCK_N - 1) // BLOCK_N
    for tile in range(tl.program_id(0), row_tiles * column_tiles, tl.num_programs(0)):
        band = tile // (BAND * column_tiles)
        height = tl.minimum(row_tiles - band * BAND, BAND)
        place = tile % (BAND * column_tiles)
        row = ((band * BAND + place % height) * BLOCK_M + tl.arange(0, BLOCK_M)).to(tl.int64)
        column = ((place // height) * BLOCK_N + tl.arange(0, BLOCK_N)).to(tl.int64)
        total = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
        for start in range(0, IN, BLOCK_K):
            inner = start + tl.arange(0, BLOCK_K)
            left = tl.load(
                x + row[:, None] * x_row + inner[None, :],
                mask=(row < rows)[:, None] & (inner < IN)[None, :],
                other=0.0,
            )
            right = tl.load(
                w + column[:, None] * w_row + inner[None, :],
                mask=(column < OUT)[:, None] & (inner < IN)[None, :],
                other=0.0,
            )
            total = tl.dot(left, tl.trans(right), total, input_precision="ieee")
        tl.store(
            out + row[:, None] * OUT + column[None, :],
            total.to(out.dtype.element_ty),
            mask=(row < rows)[:, None] & (column < OUT)[None, :],
        )


def matmul_fixed(x: Tensor, w: Tensor) -> Tensor:
    """`x @ w.T`, each row a function of that row of `x` and of `w` alone, bit for bit.

    Args:
        x: [..., in], float16, bfloat16 or float32.
        w: [out, in], of the same dtype.

    Returns:
        [..., out] of x's dtype, summed in float32.

    Raises:
        ValueError: dtypes or inner dimensions differ.
    """
    if x.dtype != w.dtype or x.shape[-1] != w.shape[1]:
        raise ValueError(f"x {x.dtype} {list(x.shape)} does not fit w {w.dtype} {list(w.shape)}")
    flat = x.reshape(-1, x.shape[-1])
    if flat.stride(1) != 1:
        flat = flat.contiguous()
    if w.stride(1) != 1:
        w = w.contiguous()
    rows, (width, inner) = flat.shape[0], w.shape
    out = torch.empty((rows, width), dtype=x.dtype, device=x.device)
    if rows:
        tall, wide, deep = fixed_tiles(width, x.dtype)
        tiles = triton.cdiv(rows, tall) * triton.cdiv(width, wide)
        matmul_kernel[(min(tiles, 2 * PROGRAMS),)](
            flat,
            w,
            out,
            rows,
            flat.stride(0),
            w.stride(0),
            OUT=width,
            IN=inner,
            BLOCK_M=tall,
            BLOCK_N=wide,
            BLOCK_K=deep,
            BAND=BAND,
            num_warps=4,
            num_stages=4,
            enable_fp_fusion=False,
        )
    return out.view(*x.shape[:-1], width)


def fixed_tiles(width: int, dtype: torch.dtype) -> tuple[int, int, int]:
    """Rows, columns and depth of a tile, from the weight alone.

    Narrow outputs get narrow tiles: at one row only the columns keep processors busy.
    """
    if dtype.itemsize > 2:
        return 32, 32, 32
    return 64, 32 if width <= 32 * PROGRAMS else 64 if width <= 64 * PROGRAMS else 128, 64
