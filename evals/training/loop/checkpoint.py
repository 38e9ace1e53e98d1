"""All of a training's state in one file, so that it can go on elsewhere and later.

What always holds: the file is replaced atomically, so a kill leaves the one before; a checkpoint
belongs to one fingerprint (recipe, examples, net) and is refused under another.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from evals.training.atomic import replacing
from evals.training.errors import CheckpointBroken, CheckpointOfAnother

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A training after some steps.

    Attributes:
        fingerprint: of what it is a training of.
        step: steps done.
        seconds: used by them and by validations.
        loss: a moving average; see `training`.
        weights: of the net, without what is frozen.
        optimiser: its state.
        random: torch's state on the CPU, and on each GPU.
    """

    fingerprint: str
    step: int
    seconds: float
    loss: float
    weights: dict[str, torch.Tensor]
    optimiser: dict[str, Any]
    random: list[torch.Tensor]


def random_state() -> list[torch.Tensor]:
    """Torch's, on the CPU and on each GPU."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return [torch.get_rng_state(), *gpus]


def restore_random_state(state: list[torch.Tensor]) -> None:
    """Takes back what `random_state` gave; GPUs only where there are as many as then."""
    torch.set_rng_state(state[0])
    if len(state) > 1 and torch.cuda.device_count() == len(state) - 1:
        torch.cuda.set_rng_state_all(state[1:])


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replaces the file.

    Raises:
        OSError: the disk is full or not writable; the file before stays.
    """
    body = {name: getattr(checkpoint, name) for name in Checkpoint.__slots__}
    with replacing(path) as draft:
        torch.save(body | {"format": _FORMAT}, draft)


def load_checkpoint(path: Path, fingerprint: str | None = None) -> Checkpoint | None:
    """The checkpoint; None if there is none.

    Args:
        fingerprint: what it has to be of; None takes any.

    Raises:
        CheckpointBroken: the file cannot be read.
        CheckpointOfAnother: it is of another training.
    """
    if not path.exists():
        return None
    try:
        body = torch.load(path, map_location="cpu", weights_only=True)
        if body.pop("format") != _FORMAT:
            raise ValueError("it has another format")
        read = Checkpoint(**body)
    except Exception as error:  # unpickling damaged bytes raises whatever it likes
        raise CheckpointBroken(
            f"{path}: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            hint="Remove the file to begin anew.",
        ) from error
    if fingerprint is not None and read.fingerprint != fingerprint:
        raise CheckpointOfAnother(
            f"{path} is of a training with another recipe, other examples or another net",
            hint="Train in another folder, or remove the file to begin anew.",
        )
    return read
