"""A stand-in for the reader that ships: a tiny random checkpoint, sealed in a room of its own."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from evals.speed.checkpoints import write_random_checkpoint
from rostra.shipped import is_shipped, seal, shipped_folder

CONTEXT = 2048


def ship_reader(room: Path, monkeypatch: pytest.MonkeyPatch, **shape: Any) -> Path:
    """Has this process find a reader among what ships; gives its folder.

    Args:
        room: where it is put, instead of the package.
        shape: of the checkpoint, where it is another than a tiny one.
    """
    tiny: dict[str, Any] = {
        "hidden": 64,
        "layers": 2,
        "heads": 4,
        "kv_heads": 2,
        "intermediate": 96,
        "vocab_size": 2000,
        "max_context": CONTEXT,
    }
    folder = write_random_checkpoint(room / "weights" / "reader", **(tiny | shape))
    (folder / "card.md").write_text("# Reader\n\nRandom weights, for tests.\n")
    seal("reader", room)
    monkeypatch.setattr("rostra.runtime.reader.shipped_folder", partial(shipped_folder, room=room))
    monkeypatch.setattr("rostra.runtime.choice.is_shipped", partial(is_shipped, room=room))
    return folder


def ship_nothing(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has this process find a version that ships no reader."""
    (room / "weights").mkdir(parents=True)
    (room / "manifest.json").write_text('{"models": {}}')
    monkeypatch.setattr("rostra.runtime.reader.shipped_folder", partial(shipped_folder, room=room))
    monkeypatch.setattr("rostra.runtime.choice.is_shipped", partial(is_shipped, room=room))
