"""The loop: batches, steps, validation, checkpoints.

What always holds: a training that is killed and goes on takes the same steps as one that is not,
as long as its plan counts steps; a killed piece loses `checkpoint_seconds` at most; weights that
are frozen are neither changed nor saved.
"""

import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import nn

from evals.training.errors import CheckpointBroken, TrainingDiverged, TrainingNotDone
from evals.training.loop.checkpoint import (
    Checkpoint,
    load_checkpoint,
    random_state,
    restore_random_state,
    save_checkpoint,
)
from evals.training.loop.plan import Plan
from evals.training.loop.progress import ProgressLog
from rostra.core import pick_dtype

_Batch = TypeVar("_Batch")
_AVERAGE = 0.98  # share of the old in the moving average of the loss
CHECKPOINT, PROGRESS = "checkpoint.pt", "progress.jsonl"


class Trainee(Protocol[_Batch]):
    """What learns."""

    @property
    def net(self) -> nn.Module:
        """On its device; parameters that are not to learn do not require gradients."""
        ...

    def batch(self, step: int, progress: float) -> _Batch:
        """The items of a step, a pure function of the arguments; called in another thread.

        Args:
            step: from 0.
            progress: share of the training that was done shortly before, 0 to 1.
        """
        ...

    def items(self, batch: _Batch) -> int:
        """How many items it has, for the speed."""
        ...

    def loss(self, batch: _Batch) -> torch.Tensor:
        """Of a batch, one number; called under autocast."""
        ...

    def validate(self) -> Mapping[str, float]:
        """Scores on what is held out; called under autocast, without gradients."""
        ...


@dataclass(frozen=True, slots=True)
class Piece:
    """How a piece of training ended.

    Attributes:
        is_done: the plan is fulfilled.
        scores: of the last validation of this piece; empty if there was none.
    """

    step: int
    seconds: float
    loss: float
    is_done: bool
    scores: Mapping[str, float]

    @property
    def summary(self) -> str:
        """In a line."""
        how = "done" if self.is_done else "to be gone on with"
        return f"{how}: {self.step} steps, {self.seconds / 60:.1f} minutes, loss {self.loss:.4f}"


def train(
    trainee: Trainee[_Batch],
    plan: Plan,
    folder: Path,
    fingerprint: str,
    *,
    device: str,
    minutes: float | None = None,
    tell: Callable[[str], None] = print,
    clock: Callable[[], float] = time.monotonic,
) -> Piece:
    """Trains on from the folder's checkpoint, to the plan's end or for a piece.

    Args:
        fingerprint: of recipe, examples and net; see `Checkpoint`.
        device: of the net.
        minutes: of this piece at most; None sets no limit.
        clock: seconds.

    Raises:
        CheckpointBroken, CheckpointOfAnother: the checkpoint there cannot be gone on from.
        TrainingDiverged: the loss is no longer a number.
        OSError: the disk is full or not writable; the last checkpoint stays.
    """
    net = trainee.net
    learning = [one for one in net.parameters() if one.requires_grad]
    groups = _groups(net, plan)
    shares = list(groups)
    optimiser = torch.optim.AdamW(
        [{"params": group} for group in groups.values()],
        plan.learning_rate,
        weight_decay=plan.weight_decay,
    )
    step, seconds, average = 0, 0.0, 0.0
    if (found := load_checkpoint(folder / CHECKPOINT, fingerprint)) is not None:
        load_weights(net, found.weights)
        optimiser.load_state_dict(found.optimiser)
        restore_random_state(found.random)
        step, seconds, average = found.step, found.seconds, found.loss
        tell(f"goes on from step {step}")
    log = ProgressLog(folder / PROGRESS, tell, step)
    before = seconds
    began = told_at = saved_at = clock()
    told_items = 0
    scores: Mapping[str, float] = {}

    def used() -> float:
        return before + clock() - began

    def is_over() -> bool:
        return minutes is not None and used() - before >= 60 * minutes

    def save() -> None:
        weights = learned_weights(net)
        state = optimiser.state_dict()
        save_checkpoint(
            folder / CHECKPOINT,
            Checkpoint(fingerprint, step, used(), average, weights, state, random_state()),
        )

    def validate() -> Mapping[str, float]:
        net.eval()
        with torch.no_grad(), _autocast(plan, device):
            found = trainee.validate()
        net.train()
        log.validated(step, used(), found)
        return found

    net.train()
    progress = plan.progress(step, seconds)
    with ThreadPoolExecutor(1, "batches") as ahead:
        coming = ahead.submit(trainee.batch, step, progress)
        while progress < 1 and not is_over():
            batch = coming.result()
            coming = ahead.submit(trainee.batch, step + 1, plan.progress(step + 1, used()))
            rate = plan.rate(step, progress)
            for group, share in zip(optimiser.param_groups, shares, strict=True):
                group["lr"] = rate * share
            with _autocast(plan, device):
                loss = trainee.loss(batch)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call] # torch does not annotate it
            nn.utils.clip_grad_norm_(learning, plan.clip)
            if not math.isfinite(value := loss.item()):
                raise TrainingDiverged(
                    f"step {step}: the loss is {value}",
                    hint="Lower the learning rate; the last checkpoint is as it was.",
                )
            optimiser.step()
            step += 1
            told_items += trainee.items(batch)
            average = _AVERAGE * average + (1 - _AVERAGE) * value
            progress = plan.progress(step, used())
            if step % plan.tell_steps == 0:
                now = clock()
                speed = told_items / max(now - told_at, 1e-9)
                log.step(step, used(), average / (1 - _AVERAGE**step), rate, speed)
                told_at, told_items = now, 0
            if step % plan.validate_steps == 0 and progress < 1:
                scores = validate()
            if clock() - saved_at >= plan.checkpoint_seconds:
                save()
                saved_at = clock()
        coming.cancel()
    if progress >= 1:
        scores = validate()
    save()
    final = average / (1 - _AVERAGE**step) if step else 0.0
    return Piece(step, used(), final, progress >= 1, scores)


def load_trained(net: nn.Module, folder: Path) -> Checkpoint:
    """Gives a net the weights of a folder's checkpoint.

    Raises:
        TrainingNotDone: there is none.
        CheckpointBroken: it cannot be read, or is of another net.
    """
    found = load_checkpoint(folder / CHECKPOINT)
    if found is None:
        raise TrainingNotDone(
            f"{folder} has no checkpoint", hint="Run `python -m evals.training train` first."
        )
    load_weights(net, found.weights)
    return found


def learned_weights(net: nn.Module) -> dict[str, torch.Tensor]:
    """A net's state without its frozen parameters."""
    frozen = {name for name, one in net.named_parameters() if not one.requires_grad}
    return {name: one for name, one in net.state_dict().items() if name not in frozen}


def load_weights(net: nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    """Takes back what `learned_weights` gave.

    Raises:
        CheckpointBroken: names or shapes are not the net's.
    """
    expected = set(learned_weights(net))
    if expected != set(weights):
        odd = sorted(expected ^ set(weights))[:3]
        raise CheckpointBroken(f"the checkpoint is of another net: {', '.join(odd)}")
    try:
        net.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise CheckpointBroken(f"the checkpoint is of another net: {error}") from None


def _groups(net: nn.Module, plan: Plan) -> dict[float, list[nn.Parameter]]:
    """Parameters that learn, by their share of the learning rate."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, one in net.named_parameters():
        if one.requires_grad:
            groups.setdefault(plan.share(name), []).append(one)
    return groups


def _autocast(plan: Plan, device: str) -> AbstractContextManager[object]:
    dtype = pick_dtype(plan.precision, device)
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.split(":")[0], dtype)
