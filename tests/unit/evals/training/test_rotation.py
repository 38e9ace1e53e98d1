"""The rotation that ships is made of several kinds of texts, and learned."""

import json
from pathlib import Path

import numpy as np
import pytest

from evals.training.config import read_config
from evals.training.errors import ExamplesMissing, TrainingNotDone
from evals.training.matryoshka import Learning, learn_rotation
from evals.training.rotation import MODEL, HeldOut, fit_mixed, measured
from evals.training.work import Work
from rostra.core import FloatMatrix, Settings
from rostra.retrieval import Rotation, fit_rotation, load_rotation, truncate

WIDTH = 16


def texts(seed: int, count: int, strong: int = 4) -> FloatMatrix:
    """Unit vectors that vary most in `strong` hidden directions, the same for every seed."""
    turn = np.linalg.qr(np.random.default_rng(99).standard_normal((WIDTH, WIDTH)))[0]
    random = np.random.default_rng(seed)
    spread = np.where(np.arange(WIDTH) < strong, 1.0, 0.15)
    vectors = random.standard_normal((count, WIDTH)) * spread @ turn
    return truncate(vectors.astype(np.float32), WIDTH)


def test_one_kind_is_fitted_as_a_collection_is() -> None:
    vectors = texts(1, 500)
    mixed = fit_mixed({"all": vectors}, {"all": 3.0}, "r")
    assert mixed.weight == pytest.approx(fit_rotation(vectors, "r").weight, abs=1e-4)


def test_kinds_count_by_their_share_whatever_their_number() -> None:
    first, second = texts(1, 300), np.ascontiguousarray(texts(2, 400)[:, ::-1])
    shares = {"a": 0.9, "b": 0.1}
    once = fit_mixed({"a": first, "b": second}, shares, "r")
    many = fit_mixed({"a": first, "b": np.tile(second, (20, 1))}, shares, "r")
    assert np.abs(np.sum(once.weight * many.weight, axis=1)) == pytest.approx(1.0, abs=1e-3)


def test_learning_keeps_it_orthogonal_and_keeps_more() -> None:
    passages, questions = texts(3, 400, strong=6), texts(4, 200, strong=6)
    start = np.eye(WIDTH, dtype=np.float32)
    plan = Learning(steps=60, learning_rate=2e-2, batch=16, near=4, others=50, widths=(3, 6))
    learned = learn_rotation([(questions, passages)], start, plan, 0)
    again = learn_rotation([(questions, passages)], start, plan, 0)
    assert np.array_equal(learned, again)
    assert learned @ learned.T == pytest.approx(np.eye(WIDTH), abs=1e-5)
    asked, searched = texts(5, 100, strong=6), texts(6, 300, strong=6)
    gold = (asked @ searched.T).argmax(axis=1)
    held = HeldOut(asked, searched, gold)
    plain, turned = (
        float(
            np.mean(
                (truncate(asked @ weight.T, 6) @ truncate(searched @ weight.T, 6).T).argmax(axis=1)
                == held.gold
            )
        )
        for weight in (start, learned)
    )
    assert turned > plain + 0.2


def test_no_steps_keep_the_start() -> None:
    start = Rotation.of_covariance(np.cov(texts(1, 100).T), "r").weight
    kept = learn_rotation([(texts(1, 50), texts(2, 50))], start, Learning(steps=0), 0)
    assert kept == pytest.approx(start, abs=1e-6)


def test_what_is_kept_is_a_share_of_full_width() -> None:
    random = np.random.default_rng(0)
    searched = truncate(random.standard_normal((50, 384)).astype(np.float32), 384)
    asked = searched[:20]
    told = measured(
        HeldOut(asked, searched, np.arange(20)), Rotation(np.eye(384, dtype=np.float32), "r")
    )
    assert (told["questions"], told["ndcg@10"]) == (20, 1.0)
    assert told["kept"]["256"] == {"plain": 1.0, "rotated": 1.0}


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """As after `build`, with few vectors of a model of 384 dimensions."""
    config = tmp_path / "small.toml"
    body = MODEL.config.read_text("utf-8")
    config.write_text(body.replace("steps = ", "steps = 3 # "))
    made = Work(tmp_path / "work", read_config(config, "cpu"), Settings(), tell=lambda line: None)
    random = np.random.default_rng(0)

    def some(count: int) -> FloatMatrix:
        return truncate(random.standard_normal((count, 384)).astype(np.float32), 384)

    arrays = {f"fit-{kind}": some(400) for kind in ("pages", "passages", "questions", "words")}
    for kind in ("pages", "reading"):
        arrays |= {f"{kind}-asked": some(5), f"{kind}-searched": some(9)}
        arrays[f"{kind}-gold"] = np.arange(5)
    made.examples.mkdir(parents=True)
    np.savez(made.examples / "vectors.npz", **arrays)
    told = {
        "digest": made.config.digest("build"),
        "revision": "a" * 64,
        "packages": ["postgresql-doc-15"],
        "reading": ["xquad-en"],
        "reading_sha256": "b" * 64,
        "counts": {name: len(array) for name, array in arrays.items()},
    }
    (made.examples / "manifest.json").write_text(json.dumps(told))
    return made


def test_what_is_exported_is_what_was_trained(work: Work) -> None:
    with pytest.raises(TrainingNotDone):
        MODEL.export(work)
    MODEL.train(work, None)
    MODEL.export(work)
    found = load_rotation(work.exported / "rotation.safetensors")
    assert (found.weight.shape, found.revision) == ((384, 384), "a" * 64)
    card = (work.exported / "card.md").read_text("utf-8")
    assert found.sha256 in card and "postgresql-doc-15" in card and "measure rotation" in card


def test_vectors_of_another_configuration_are_refused(work: Work, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(MODEL.config.read_text("utf-8").replace("seed = 7", "seed = 8"))
    changed = Work(work.folder, read_config(other, "cpu"), Settings())
    with pytest.raises(ExamplesMissing, match="another configuration"):
        MODEL.train(changed, None)
    (work.examples / "vectors.npz").write_bytes(b"broken")
    with pytest.raises(ExamplesMissing, match="no whole vectors"):
        MODEL.train(work, None)
