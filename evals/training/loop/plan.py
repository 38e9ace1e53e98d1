"""How long and how fast a model learns: the table `train` of a configuration."""

from typing import Literal

import msgspec


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """See this module. A training ends when its minutes or its steps are used up.

    Attributes:
        learning_rate: at its highest; it falls to `last_share` of it in a straight line.
        minutes: of the whole training, validation included; None sets no limit.
        steps: of the whole training; None sets no limit. Only a training with steps and without
            minutes is the same on every machine.
        warmup_steps: over which the rate rises from nothing.
        last_share: of the learning rate, at the end.
        clip: largest norm of the gradient.
        batch: items a step.
        validate_steps: between validations.
        tell_steps: between lines of progress.
        checkpoint_seconds: between checkpoints; what a kill costs at most.
        precision: of the forward pass; `auto` is bfloat16 where the hardware multiplies it.
        slower: shares of the learning rate, by the beginning of parameters' names: for weights
            that begin with something to lose.
    """

    learning_rate: float
    minutes: float | None = None
    steps: int | None = None
    warmup_steps: int = 50
    last_share: float = 0.02
    weight_decay: float = 0.01
    clip: float = 1.0
    batch: int = 32
    validate_steps: int = 300
    tell_steps: int = 50
    checkpoint_seconds: float = 60.0
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    slower: dict[str, float] = {}

    def __post_init__(self) -> None:
        if self.minutes is None and self.steps is None:
            raise ValueError("a plan needs `minutes` or `steps`")
        for name in ("learning_rate", "batch", "validate_steps", "tell_steps"):
            if getattr(self, name) <= 0:
                raise ValueError(f"`{name}` has to be above 0")
        if any(not 0 < share <= 1 for share in self.slower.values()):
            raise ValueError("`slower` has shares above 0 and up to 1")

    def progress(self, step: int, seconds: float) -> float:
        """The share of the training that is done, 0 to 1."""
        shares = [0.0]
        if self.steps is not None:
            shares.append(step / max(1, self.steps))
        if self.minutes is not None:
            shares.append(seconds / max(1e-9, 60 * self.minutes))
        return min(1.0, max(shares))

    def share(self, name: str) -> float:
        """Of the learning rate, for a parameter; the longest beginning of its name decides."""
        found = [beginning for beginning in self.slower if name.startswith(beginning)]
        return self.slower[max(found, key=len)] if found else 1.0

    def rate(self, step: int, progress: float) -> float:
        """The learning rate of a step, which counts from 0."""
        warmup = min(1.0, (step + 1) / max(1, self.warmup_steps))
        return self.learning_rate * warmup * max(self.last_share, 1 - progress)
