"""Feed-forward blocks: one gated projection, or several of which each token takes a few.

What always holds: what a token gets does not depend on the tokens beside it, as long as the
projections themselves do not; its experts' results are added in the experts' order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from rostra.serving.models.config import Activation
from rostra.serving.models.linear import Linear
from rostra.serving.models.ops import gated


class FeedForward(Protocol):
    """Attributes:
    weight_bytes: of all projections.
    token_weight_bytes: of those that one token goes through.
    """

    @property
    def weight_bytes(self) -> int: ...
    @property
    def token_weight_bytes(self) -> int: ...
    def __call__(self, x: Tensor) -> Tensor:
        """[T, hidden] -> [T, hidden]."""
        ...


@dataclass(frozen=True, slots=True)
class GatedMLP:
    """`down(activation(gate x) * up x)`.

    Attributes:
        gate_up: both projections, the gate's rows first.
        down: back to the hidden size.
        activation: of the gate.
    """

    gate_up: Linear
    down: Linear
    activation: Activation

    @property
    def weight_bytes(self) -> int:
        return self.gate_up.weight_bytes + self.down.weight_bytes

    @property
    def token_weight_bytes(self) -> int:
        return self.weight_bytes

    def __call__(self, x: Tensor) -> Tensor:
        return self.down(gated(self.gate_up(x), self.activation))


@dataclass(frozen=True, slots=True)
class MixtureOfExperts:
    """Sends each token through its best experts and adds their results (arXiv:2401.04088).

    Attributes:
        router: hidden -> experts.
        experts: the blocks to choose from.
        per_token: how many a token takes.
        normalised: the weights of a token's experts sum to 1.
    """

    router: Linear
    experts: Sequence[GatedMLP]
    per_token: int
    normalised: bool

    @property
    def weight_bytes(self) -> int:
        return self.router.weight_bytes + sum(expert.weight_bytes for expert in self.experts)

    @property
    def token_weight_bytes(self) -> int:
        return self.router.weight_bytes + self.per_token * self.experts[0].weight_bytes

    def route(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[T, hidden] -> the weights, float32, and numbers of each token's experts: [T, per_token].

        Of equally likely experts `topk` decides, by that row alone.
        """
        likely = torch.softmax(self.router(x), dim=-1, dtype=torch.float32)
        weights, chosen = likely.topk(self.per_token, dim=-1)
        if self.normalised:
            weights = weights / weights.sum(dim=-1, keepdim=True)
        return weights, chosen

    def __call__(self, x: Tensor) -> Tensor:
        weights, chosen = self.route(x)
        total = torch.zeros_like(x, dtype=torch.promote_types(x.dtype, torch.float32))
        taken = torch.bincount(chosen.flatten(), minlength=len(self.experts)).nonzero()
        for number in taken.flatten().tolist():  # ascending; waits for the device
            rows, places = torch.where(chosen == number)
            result = self.experts[number](x[rows]) * weights[rows, places].unsqueeze(1)
            total[rows] += result
        return total.to(x.dtype)
