"""A small thing that learns, for tests of the training loop."""

import os
import signal
from collections.abc import Mapping

import torch
from torch import nn

from evals.training.loop import Plan


class Line:
    """Learns `y = 2x + 1` with a layer that is frozen before it; dropout makes chance matter."""

    def __init__(self, fails_at: int = -1, spoils_at: int = -1, dies_at: int = -1) -> None:
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 1))
        self.net[0].requires_grad_(False)
        self.fails_at, self.spoils_at, self.dies_at = fails_at, spoils_at, dies_at
        self.progress: list[float] = []

    def batch(self, step: int, progress: float) -> torch.Tensor:
        if step == self.fails_at:
            raise KeyboardInterrupt
        if step == self.dies_at:  # in a thread beside the loop, which may be writing a checkpoint
            os.kill(os.getpid(), signal.SIGKILL)
        self.progress.append(progress)
        values = torch.randn(4, 1, generator=torch.Generator().manual_seed(step))
        return values * float("nan") if step == self.spoils_at else values

    def items(self, batch: torch.Tensor) -> int:
        return len(batch)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        return nn.functional.mse_loss(self.net(batch), 2 * batch + 1)

    def validate(self) -> Mapping[str, float]:
        assert not self.net.training
        at = torch.linspace(-1, 1, 9)[:, None]
        return {"error": nn.functional.mse_loss(self.net(at), 2 * at + 1).item()}


PLAN = Plan(
    learning_rate=0.05,
    steps=30,
    warmup_steps=3,
    validate_steps=10,
    tell_steps=5,
    checkpoint_seconds=0,
    precision="float32",
)
