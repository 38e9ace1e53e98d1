"""Tiny checkpoints, made once a session."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.checkpoints import make_checkpoint

Checkpoint = Callable[..., Path]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """`checkpoint(family, **arguments of make_checkpoint)` -> a folder to read, not to change."""
    made: dict[str, Path] = {}

    def get(family: str = "llama3", **arguments: object) -> Path:
        key = repr((family, sorted(arguments.items())))
        if key not in made:
            made[key] = make_checkpoint(
                tmp_path_factory.mktemp(f"{family}-"),
                family,
                **arguments,  # type: ignore[arg-type]
            )
        return made[key]

    return get


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Tiny tensors gain nothing from threads, and lose much where cores are shared."""
    torch.set_num_threads(1)
