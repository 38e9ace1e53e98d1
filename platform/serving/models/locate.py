"""Where a checkpoint is: a folder as named, or the hub's snapshot of it in the hub's cache.

What always holds: a hub that cannot be reached costs seconds and is asked once, without retries;
then what its cache holds of the model is taken.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from rostra.core import ModelUnavailable
from rostra.serving.models.keys import read_json

# What the decoder and its tokenizer read; weights in other formats stay on the hub.
_FILES = ("*.json", "*.safetensors", "*.jinja", "tokenizer.model", "*.txt")
_CONFIG = ("config.json",)
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZER = "tokenizer.json"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
# For the connection and for the first answer: without a limit, a firewall costs minutes.
_ANSWER_SECONDS = 5.0


def resolve_checkpoint(model: str) -> Path:
    """Finds a checkpoint's folder.

    Args:
        model: a folder, or a hub id such as `Qwen/Qwen3-0.6B`, with `@revision` where wanted. A
            hub id is taken from the hub's local cache when the hub cannot be reached. Where there
            is a folder of the owner's name, a path is meant.

    Raises:
        ModelUnavailable: there is no such folder, or the hub does not give it.
    """
    return _located(model, _FILES)


def locate_config(model: str) -> Path:
    """The folder of a checkpoint's config.json; of a model on the hub, nothing more is fetched.

    Args:
        model: as `resolve_checkpoint` takes it.

    Raises:
        ModelUnavailable: there is none.
    """
    return _located(model, _CONFIG)


def missing_files(model: str) -> list[str]:
    """Files that a checkpoint's folder lacks: its weights, and its tokenizer.

    None of them is opened but the index of weights. Of a model on the hub nothing is said: what is
    not here is fetched when it is loaded.

    Args:
        model: as `resolve_checkpoint` takes it.

    Raises:
        BrokenCheckpoint: the index of weights is no JSON object.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return []
    wanted = [SINGLE]
    if not (folder / SINGLE).is_file() and (folder / INDEX).is_file():
        files = read_json(folder / INDEX).get("weight_map")
        # What is in it, and whether that makes sense, is found out when it is loaded.
        names = files.values() if isinstance(files, dict) else ()
        wanted = sorted({name for name in names if isinstance(name, str)})
    return [name for name in (*wanted, TOKENIZER) if not (folder / name).is_file()]


def _located(model: str, files: Sequence[str]) -> Path:
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder.absolute()
    if folder.exists():
        raise ModelUnavailable(f"{model} is a file", hint="Name the folder that config.json is in.")
    if not _HUB_ID.fullmatch(model) or model.startswith(".") or _is_path(model):
        raise ModelUnavailable(
            f"there is no model folder {model}",
            hint="Correct the path in ROSTRA_MODEL, or name a model by its hub id (owner/name); "
            "where a folder here has the owner's name, a path is meant.",
        )
    return _from_hub(model, files)


def _is_path(model: str) -> bool:
    return Path(model.partition("/")[0]).is_dir()


def _from_hub(model: str, files: Sequence[str]) -> Path:
    from huggingface_hub import HfApi, snapshot_download

    name, _, named = model.partition("@")
    revision = named or None
    refusal: Exception | None = None
    try:
        # A download has no limit of its own here, and for one file it retries for half a minute.
        HfApi().model_info(name, revision=revision, timeout=_ANSWER_SECONDS)
    except Exception as error:  # of whichever transport the hub's library has: the cache may do
        refusal = error
    try:
        return Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=list(files),
                local_files_only=refusal is not None,
            )
        )
    except Exception as error:  # as above; told whatever it is
        cause = refusal or error
        reason = str(cause).strip().split("\n", 1)[0][:300] or type(cause).__name__
        raise ModelUnavailable(
            f"the model {model} is no local folder, and the hub does not give it: {reason}",
            hint="Download it where there is a network, and set ROSTRA_MODEL to its folder.",
        ) from cause
