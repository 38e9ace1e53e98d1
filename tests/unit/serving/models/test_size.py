"""Counts without loading against what transformers has, and what model cards say."""

import json
from pathlib import Path

import pytest

from rostra.serving.models.config import read_config
from rostra.serving.models.size import count_parameters
from tests.checkpoints import FAMILIES, make_model
from tests.unit.serving.conftest import Checkpoint
from tests.unit.serving.models.released import RELEASED


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(checkpoint: Checkpoint, family: str) -> None:
    counts = count_parameters(read_config(checkpoint(family)))
    assert counts.total == make_model(family).num_parameters()


@pytest.mark.parametrize(
    ("name", "billions", "active"),
    [
        ("Llama-3.1-8B-Instruct", 8.03, 8.03),
        ("Llama-3.2-1B", 1.24, 1.24),
        ("Qwen3-0.6B", 0.596, 0.596),
        ("Qwen3-30B-A3B", 30.5, 3.3),
        ("Mixtral-8x7B-v0.1", 46.7, 12.9),
        ("gemma-2-2b-it", 2.61, 2.61),
        ("Phi-4-mini-instruct", 3.84, 3.84),
    ],
)
def test_model_cards(tmp_path: Path, name: str, billions: float, active: float) -> None:
    (tmp_path / "config.json").write_text(json.dumps(RELEASED[name]))
    counts = count_parameters(read_config(tmp_path))
    assert counts.total / 1e9 == pytest.approx(billions, rel=0.01)
    used = counts.total - counts.linear + counts.token_linear
    assert used / 1e9 == pytest.approx(active, rel=0.02)
