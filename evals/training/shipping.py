"""Puts an exported model into the package.

What always holds: the manifest is written after the files, so that what was put there in part is
refused as broken and never used; files of the model that was there before are gone.
"""

import shutil
from pathlib import Path
from typing import get_args

from evals.training.card import CARD
from evals.training.errors import ModelNotTrainable, TrainingNotDone
from rostra.shipped import ShippedName, model_folder, seal

_READABLE = 0o644


def ship(model: str, exported: Path, room: Path | None = None) -> Path:
    """Copies an exported model to where it ships from, and seals it; returns that folder.

    Args:
        room: in place of the package's own.

    Raises:
        ModelNotTrainable: no model of this name ships.
        TrainingNotDone: nothing was exported.
        InvalidRequest: it is too large to ship, or a file has a name that cannot.
    """
    name: ShippedName | None = next((one for one in get_args(ShippedName) if one == model), None)
    if name is None:
        raise ModelNotTrainable(f"no model {model!r} ships")
    if not (exported / CARD).is_file():
        raise TrainingNotDone(
            f"{exported} has no exported model", hint="Run `python -m evals.training export` first."
        )
    folder = model_folder(name) if room is None else model_folder(name, room)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(exported, folder)
    for path in folder.rglob("*"):
        if path.is_file():  # safetensors writes files that nobody else may read
            path.chmod(_READABLE)
    seal(name) if room is None else seal(name, room)
    return folder
