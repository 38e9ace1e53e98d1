"""Which models can be trained, and what a model brings for it.

A model is a module with a `MODEL` in it, which is a `TrainableModel`; its configuration lies beside
it as TOML. A module is imported when its model is asked for, not before.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from evals.training.errors import ModelNotTrainable
from evals.training.work import Work

_HOMES: Mapping[str, str] = {
    "evidence": "evals.training.evidence.model",
    "reader": "evals.training.reader.model",
    "reranker": "evals.training.reranker.model",
    "rotation": "evals.training.rotation",
}


class TrainableModel(Protocol):
    """What the commands need of a model. All four block and can be called again."""

    @property
    def config(self) -> Path:
        """The TOML file that is read where none is named; see `evals.training.config`."""
        ...

    def build(self, work: Work) -> None:
        """Writes the examples, the same ones for the same sources and seed."""
        ...

    def train(self, work: Work, minutes: float | None) -> None:
        """Trains on from the checkpoint that is there.

        Args:
            minutes: of this piece at most; None goes to the end of the recipe.
        """
        ...

    def export(self, work: Work) -> None:
        """Writes the trained model to `work.exported` as it would be shipped, with its card."""
        ...

    def measure(self, work: Work) -> Mapping[str, Any]:
        """Scores of the trained model on what was held out; JSON values only."""
        ...


def trainable_models() -> tuple[str, ...]:
    """Names of the models that are there, sorted."""
    return tuple(sorted(name for name, home in _HOMES.items() if _is_there(home)))


def trainable_model(name: str) -> TrainableModel:
    """The model of a name.

    Raises:
        ModelNotTrainable: there is none.
    """
    if name not in _HOMES or not _is_there(_HOMES[name]):
        raise ModelNotTrainable(
            f"there is no model {name!r} to train",
            hint=f"Name one of {', '.join(trainable_models())}.",
        )
    model: TrainableModel = import_module(_HOMES[name]).MODEL
    return model


def _is_there(home: str) -> bool:
    try:
        return find_spec(home) is not None
    except ModuleNotFoundError:  # nor is the package that it would be in
        return False
