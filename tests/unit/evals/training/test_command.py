"""What the command says of what cannot be used."""

from pathlib import Path

import pytest

from evals.training.__main__ import run


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROSTRA_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("train", "poet"), "'poet'"),
        (("train", "evidence"), "training build"),
        (("export", "reranker"), "training"),
        (("seal", "evidence"), "training export"),
        (("train", "evidence", "--recipe", "tpu"), "tpu"),
        (("train", "evidence", "--config", "nowhere.toml"), "nowhere.toml"),
        (("heldout",), "--out"),
    ],
)
def test_it_is_told_in_words_and_by_the_code(
    given: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(given) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown


def test_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--help"]) == 0
    assert "--minutes" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*given: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path))

    monkeypatch.setattr("evals.training.__main__.ship", full)
    assert run(["seal", "evidence"]) == 1
    assert "No space left" in capsys.readouterr().err
