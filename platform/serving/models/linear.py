"""Linear layers of the decoder, in the weight format that the device runs fastest.

On a CPU with AVX-512 the weights are packed for our own kernels (`kernels.cpu_gemm`), which are
batch-invariant by construction; elsewhere torch multiplies.

What always holds: a `Linear` maps rows independently, `y[i] = W x[i] + b`, and returns the dtype
it was given; it holds its own copy of packed or quantized weights.
"""

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from rostra.serving.config import WeightFormat
from rostra.serving.models.quantize import (
    dequantize_int4,
    dequantize_int8,
    quantize_int4,
    quantize_int8,
)

if TYPE_CHECKING:
    from rostra.serving.kernels.cpu_gemm import PackedProduct

# Rows that a batch-invariant product on an accelerator is cut into.
_FIXED_ROWS = 64


class Linear(Protocol):
    """A weight matrix (and bias) in some format.

    Attributes:
        in_features: width of a row that goes in.
        out_features: width of a row that comes out.
        weight_bytes: bytes read to apply it once, scales included.
    """

    in_features: int
    out_features: int
    weight_bytes: int

    def __call__(self, x: Tensor) -> Tensor:
        """Maps `x` [..., in_features] to [..., out_features] of the same dtype."""
        ...


def make_linear(
    weight: Tensor,
    bias: Tensor | None,
    *,
    weights: WeightFormat = "none",
    batch_invariant: bool = False,
) -> Linear:
    """Puts a weight into the format asked for; the caller need not keep its own copy.

    Args:
        weight: [out_features, in_features], on the device it will run on.
        bias: [out_features] or None.
        weights: weight-only quantization; "none" keeps the dtype.
        batch_invariant: a row's result does not depend, bit for bit, on the other rows.
    """
    if weight.device.type == "cpu" and weight.dtype != torch.float64:
        linear = _packed(weight, bias, weights, batch_invariant)
        if linear is not None:
            return linear
    plain: Linear
    if weights == "none":
        plain = PlainLinear(weight, bias)
    else:
        plain = QuantizedLinear(weight, bias, bits=8 if weights == "int8" else 4)
    if not batch_invariant:
        return plain
    # One row at a time on a CPU: its products choose their order by the number of rows.
    return FixedRowsLinear(plain, 1 if weight.device.type == "cpu" else _FIXED_ROWS)


def _packed(
    weight: Tensor, bias: Tensor | None, weights: WeightFormat, batch_invariant: bool
) -> Linear | None:
    """A product by our own kernels, where they are the better choice."""
    # Loads numba and its compiler, which accelerators do without.
    from rostra.serving.kernels import cpu_gemm, cpu_vector

    outputs, inputs = weight.shape
    if weights == "int8":
        codes, scales = quantize_int8(weight)
        packed, form, scale = cpu_gemm.pack_pairs(codes), cpu_gemm.INT8, scales
    elif weights == "int4":
        packed, form, scale = cpu_gemm.pack_groups(*quantize_int4(weight)), cpu_gemm.INT4, None
    elif weight.dtype == torch.bfloat16 and (cpu_vector.has_bf16_dot() or batch_invariant):
        packed, form, scale = cpu_gemm.pack_pairs(weight), cpu_gemm.BF16, None
    elif batch_invariant or (weight.dtype == torch.float32 and cpu_vector.has_avx512()):
        packed, form, scale = cpu_gemm.pack_floats(weight.float()), cpu_gemm.FLOATS, None
    else:
        return None
    product = cpu_gemm.PackedProduct(form, packed, inputs, outputs, scale=scale, bias=bias)
    return PackedLinear(product)


class PlainLinear:
    """torch's own product: any device, any dtype."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.out_features, self.in_features = weight.shape
        self.weight_bytes = weight.nbytes + (0 if bias is None else bias.nbytes)
        self._weight = weight
        self._bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        return functional.linear(x, self._weight, self._bias)


class PackedLinear:
    """Our own product on a CPU; float16 is computed in float32."""

    def __init__(self, product: "PackedProduct") -> None:
        self.in_features, self.out_features = product.inputs, product.outputs
        self.weight_bytes = product.bytes
        self._product = product

    def __call__(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float16:
            return self(x.float()).half()
        if x.dim() == 2 and x.stride(1) == 1:
            return self._product(x)
        rows = x.reshape(-1, self.in_features).contiguous()
        return self._product(rows).view(*x.shape[:-1], self.out_features)


class QuantizedLinear:
    """Quantized weights that are widened for each product: saves memory on any device, not time.

    Args:
        weight: [N, K].
        bias: [N] or None.
        bits: 8 or 4.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, bits: int) -> None:
        self.out_features, self.in_features = weight.shape
        self._bits = bits
        self._bias = bias
        if bits == 8:
            self._codes, self._scales = quantize_int8(weight)
        else:
            codes, self._scales = quantize_int4(functional.pad(weight, (0, weight.shape[1] % 2)))
            nibbles = (codes + 8).to(torch.uint8)
            self._codes = nibbles[:, ::2] | nibbles[:, 1::2] << 4
        self.weight_bytes = sum(
            part.nbytes for part in (self._codes, self._scales, bias) if part is not None
        )

    def __call__(self, x: Tensor) -> Tensor:
        if self._bits == 8:
            weight = dequantize_int8(self._codes, self._scales)
        else:
            pairs = torch.stack((self._codes & 15, self._codes >> 4), dim=2)
            codes = pairs.flatten(1)[:, : self.in_features].to(torch.int8) - 8
            weight = dequantize_int4(codes, self._scales)
        return functional.linear(x, weight.to(x.dtype), self._bias)


class FixedRowsLinear:
    """Cuts the rows into products of one shape, so that all of them take the same kernel.

    A kernel may still treat the rows of a tile differently; none that is known does.

    Args:
        linear: the product.
        rows: of each call to it; the last is filled up with zeros.
    """

    def __init__(self, linear: Linear, rows: int) -> None:
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight_bytes = linear.weight_bytes
        self._linear = linear
        self._rows = rows

    def __call__(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, self.in_features)
        filled = functional.pad(flat, (0, 0, 0, -flat.shape[0] % self._rows))
        parts = (
            [self._linear(part) for part in torch.split(filled, self._rows)] if len(flat) else []
        )
        out = torch.cat(parts) if parts else flat.new_empty(0, self.out_features)
        return out[: flat.shape[0]].view(*x.shape[:-1], self.out_features)
