"""Linear layers of the decoder, in the weight format that the device runs fastest.

What always holds: a `Linear` maps rows independently, `y[i] = W x[i] + b`, and returns the dtype
it was given.
"""

from typing import Protocol

from torch import Tensor
from torch.nn import functional

from rostra.serving.config import WeightFormat


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


class PlainLinear:
    """torch's own product: any device, any dtype."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.out_features, self.in_features = weight.shape
        self.weight_bytes = weight.nbytes + (0 if bias is None else bias.nbytes)
        self._weight = weight
        self._bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        return functional.linear(x, self._weight, self._bias)


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
    return PlainLinear(weight, bias)
