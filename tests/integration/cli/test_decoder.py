"""`rostra plan` and `rostra bench` refuse what cannot be before anything is loaded."""

import json
from pathlib import Path

import pytest

from rostra.cli.main import run
from rostra.core import Settings
from tests.checkpoints import make_checkpoint


@pytest.fixture
def model(settings: Settings, tmp_path: Path) -> str:
    """A tiny checkpoint with a context of 64 tokens, whose weights cannot be read."""
    folder = make_checkpoint(tmp_path / "model", "qwen3", max_position_embeddings=64)
    (folder / "model.safetensors").write_bytes(b"none")
    return str(folder)


def test_a_plan_for_more_context_than_there_is(
    model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["plan", model, "--context", "64"]) == 0
    assert "64 tokens" in capsys.readouterr().out
    message = "the model's context is 64 tokens, 5000 were asked for"
    assert run(["plan", model, "--context", "5000"]) != 0
    assert message in capsys.readouterr().err
    monkeypatch.setenv("ROSTRA_MAX_CONTEXT", "5000")
    assert run(["plan", model]) != 0
    assert message in capsys.readouterr().err


def test_a_plan_says_which_files_are_missing(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(model)
    assert run(["plan", model]) == 0
    assert "missing" not in capsys.readouterr().out
    (folder / "tokenizer.json").unlink()
    assert run(["plan", model]) == 1
    assert "tokenizer.json" in capsys.readouterr().out
    (folder / "model.safetensors").unlink()
    assert run(["plan", model, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["fits"], told["missing"]) == (True, ["model.safetensors", "tokenizer.json"])
    parts = [f"model-{number:05}-of-00009.safetensors" for number in range(1, 10)]
    index = {"weight_map": {f"tensor {name}": name for name in parts}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / parts[1]).write_bytes(b"none")
    assert run(["plan", model, "--json"]) == 1
    gone = [name for name in parts if name != parts[1]]
    assert json.loads(capsys.readouterr().out)["missing"] == [*gone, "tokenizer.json"]
    assert run(["plan", model]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert parts[0] in shown
    assert "and 4 more" in shown


@pytest.mark.parametrize(("most", "context"), [(None, 64), ("32", 32)])
def test_a_benchmark_of_more_tokens_than_the_context(
    model: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    most: str | None,
    context: int,
) -> None:
    if most is not None:
        monkeypatch.setenv("ROSTRA_MAX_CONTEXT", most)
    options = ["bench", "decode", "--model", model, "--prompt-tokens"]
    assert run([*options, str(context - 2), "--new-tokens", "3"]) != 0
    told = capsys.readouterr().err
    assert f"--prompt-tokens {context - 2} and --new-tokens 3 together exceed" in told
    assert f"context of {context} tokens" in told
    # What fits goes on to the weights.
    assert run([*options, str(context - 2), "--new-tokens", "2"]) != 0
    assert "model.safetensors is truncated" in capsys.readouterr().err
