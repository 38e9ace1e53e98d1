"""The model that settings ask for, and the room's face."""

import subprocess
import sys

import pytest

import rostra.models
from rostra.core import ConfigError
from rostra.models import OpenAIModel, make_model


def test_an_endpoint() -> None:
    model = make_model(url="http://localhost:8000/v1", model="m", api_key="k")
    assert isinstance(model, OpenAIModel)
    assert model.name == "m"


def test_nothing_is_asked_for() -> None:
    assert make_model() is None
    assert make_model(model="of-the-decoder") is None


def test_an_endpoint_needs_a_model() -> None:
    with pytest.raises(ConfigError, match="model"):
        make_model(url="http://localhost:8000/v1")


def test_all_names_load() -> None:
    for name in rostra.models.__all__:
        assert getattr(rostra.models, name).__name__ == name
    with pytest.raises(AttributeError):
        _ = rostra.models.nothing


def test_the_face_loads_nothing_heavy() -> None:
    code = "import sys, rostra.models; print('httpx' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
