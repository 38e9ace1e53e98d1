"""Examples and the held-out set built through the real platform, over a folder of pages."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import rostra.runtime.runtime as runtime_module
from evals.training.__main__ import main
from evals.training.errors import (
    ExamplesMissing,
    ModelNotTrainable,
    SourcesMissing,
    TrainingNotDone,
)
from evals.training.examples import read_examples
from evals.training.holdout import is_held_out
from evals.training.shipping import ship
from rostra.answer import Calibration, load_scorer_net
from rostra.shipped import shipped_folder
from tests.fakes import FakeEmbedder

CONFIG = """
seed = 3
[build]
clozes = 60
reading_clozes = 10
headings = 20
terms = 20
negatives = 3
validation = 50
[mixture.weights]
cloze = 1.0
[calibration]
threshold = 0.5
[train]
learning_rate = 1e-4
[cpu.train]
steps = 1
"""
PAGE = """<html><head><title>The {name}</title></head><body><h1>The {name}</h1>
<p>The {name} carries about {number} letters over the river every single day.</p>
<h2>Care of the {name}</h2>
<p>A {name} is a machine that needs new oil because its wheels turn all winter.
It was repaired in 19{number} by the two brothers who own the market hall.</p></body></html>"""


@pytest.fixture(scope="module", autouse=True)
def _fake_embedder() -> Iterator[None]:
    embedder = FakeEmbedder(32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime_module, "load_embedder", lambda settings: embedder)
        yield


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ROSTRA_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages") / "doc" / "machines" / "html"
    folder.mkdir(parents=True)
    entries = []
    for number in range(10, 40):
        name = f"machine{number}"
        (folder / f"{name}.html").write_text(PAGE.format(name=name, number=number))
        entries.append(f'<dt>{name} winter, <a href="{name}.html">There</a></dt>')
    (folder / "bookindex.html").write_text(f"<dl>{''.join(entries)}</dl>")
    return folder


def invoke(*arguments: str | Path) -> str:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def build(tmp_path: Path, docs: Path) -> Path:
    """The work folder of examples built below a folder."""
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    reading = tmp_path / "reading.jsonl"
    lines = [
        {
            "question": f"What does mill {number} grind?",
            "passage": f"Mill {number} stands alone on its hill. It grinds {number} sacks of corn "
            "for the bakers of the town.",
            "answers": [f"{number} sacks of corn"],
        }
        for number in range(12)
    ]
    reading.write_text("\n".join(json.dumps(one) for one in lines))
    folder = tmp_path / "work"
    given = ("--work", folder, "--config", config, "--docs", docs, "--reading", reading)
    invoke("build", "evidence", *given)
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, docs: Path) -> Path:
    """A work folder with examples, to read only."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.upper().startswith("ROSTRA_")]:
            patch.delenv(name)
        patch.setenv("ROSTRA_HOME", str(folder / "home"))
        return build(folder, docs)


def test_two_builds_are_the_same_and_keep_held_out_pages_apart(
    tmp_path: Path, docs: Path, built: Path
) -> None:
    one, other = built / "examples", build(tmp_path, docs) / "examples"
    assert {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()}
    for path in one.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes(), path.name
    manifest, examples = read_examples(one)
    assert manifest.sources["packages"] == ["machines"]
    assert manifest.sources["pages"] == 30  # the index is none
    kinds = {example.kind for example in examples.train}
    assert kinds >= {"cloze", "term", "reading", "reading-cloze"}
    held = {page.page for page in examples.passages if page.is_held_out}
    assert any(is_held_out(name) for name in held)
    for example in examples.train:
        assert not [at for at in example.passages if examples.passages[at].is_held_out]
    assert examples.validation
    for example in examples.validation:
        assert all(examples.passages[at].is_held_out for at in example.passages)
    for example in (*examples.train, *examples.validation):
        said = [examples.passages[example.passages[0]].sentence(at) for at in example.gold]
        assert said
        assert not [
            sentence
            for at in example.passages[1:]
            for sentence in said
            if sentence in examples.passages[at].text
        ]
    assert max(len(example.passages) for example in examples.train) == 4


def test_training_asks_for_examples_of_its_recipe(built: Path) -> None:
    with pytest.raises(ExamplesMissing, match="another recipe"):
        invoke("train", "evidence", "--work", built)


def test_the_held_out_set_has_pages_that_training_has_not(
    tmp_path: Path, docs: Path, built: Path
) -> None:
    told = json.loads(invoke("heldout", "--out", tmp_path / "set", "--docs", docs))
    assert sum(told.values()) > 0
    _, examples = read_examples(built / "examples")
    trained = {examples.passages[at].text for one in examples.train for at in one.passages}
    for name in ("answerable", "unanswerable"):
        for line in (tmp_path / "set" / f"{name}.jsonl").read_text().splitlines():
            assert not trained & {one["text"] for one in json.loads(line)["passages"]}


def test_without_pages_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(SourcesMissing, match="no HTML pages"):
        invoke("heldout", "--out", tmp_path / "set", "--docs", tmp_path)


def test_a_trained_scorer_is_exported_and_read(tmp_path: Path, built: Path) -> None:
    folder = shutil.copytree(built, tmp_path / "work")
    config = tmp_path / "config.toml"
    small = CONFIG.replace("[mixture.weights]", "[mixture]\nvalidated = 2\n[mixture.weights]")
    config.write_text(small.replace("[train]", "[train]\nbatch = 2"))
    given = ("evidence", "--work", folder, "--config", config)
    with pytest.raises(TrainingNotDone):
        invoke("export", *given)
    invoke("train", *given)
    invoke("export", *given)
    card = (folder / "exported" / "card.md").read_text()
    assert "machines" in card
    assert "1 steps" in card
    told = json.loads(invoke("measure", *given))
    assert set(told["scores"]) >= {"cloze/sentence", "cloze/auc"}
    net, calibration = load_scorer_net(folder / "exported" / "model.safetensors")
    assert calibration == Calibration(threshold=0.5)
    own = torch.load(folder / "run" / "checkpoint.pt", weights_only=True)["weights"]
    halved = own["null.weight"].half().float()
    assert torch.equal(net.null.weight, halved)
    room = tmp_path / "room"
    ship("evidence", folder / "exported", room)
    assert {path.name for path in shipped_folder("evidence", room).iterdir()} == {
        "card.md",
        "model.safetensors",
    }
    assert {path.stat().st_mode & 0o777 for path in (room / "weights/evidence").iterdir()} == {
        0o644
    }
    with pytest.raises(ModelNotTrainable):
        ship("poet", folder / "exported", room)
    with pytest.raises(TrainingNotDone):
        ship("evidence", tmp_path, room)
