"""Rotations: orthogonal, deterministic, and what they are for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import save_file

from rostra.core import FloatMatrix, InvalidRequest, ModelUnavailable, Settings
from rostra.retrieval import Rotation, fit_rotation, load_embedder, load_rotation, truncate
from rostra.retrieval.embed import reshape_vectors
from tests.fakes import packaged_embedder

WIDTH = 32


def corpus(seed: int, count: int) -> FloatMatrix:
    """Unit vectors that vary in a few directions far more than in others, round a mean of 1."""
    mixing = np.linalg.qr(np.random.default_rng(1).normal(size=(WIDTH, WIDTH)))[0]
    random = np.random.default_rng(seed)
    spread = random.normal(size=(count, WIDTH)) * 0.7 ** np.arange(WIDTH)
    return truncate((spread @ mixing + 0.05).astype(np.float32), WIDTH)


@pytest.fixture(scope="module")
def fitted() -> Rotation:
    return fit_rotation(corpus(2, 500), "revision")


def test_is_orthogonal_and_leaves_cosines_as_they_were(fitted: Rotation) -> None:
    assert fitted.weight.dtype == np.float32
    np.testing.assert_allclose(fitted.weight @ fitted.weight.T, np.eye(WIDTH), atol=1e-5)
    vectors = corpus(3, 100)
    rotated = reshape_vectors(vectors, WIDTH, fitted)
    np.testing.assert_allclose(rotated @ rotated.T, vectors @ vectors.T, atol=1e-5)


def test_truncated_it_keeps_more_of_the_cosines_than_plain_truncation(fitted: Rotation) -> None:
    vectors = corpus(3, 200)
    exact = vectors @ vectors.T
    for dimensions in (4, 8, 16):
        plain = reshape_vectors(vectors, dimensions, None)
        rotated = reshape_vectors(vectors, dimensions, fitted)
        assert rotated.shape == (200, dimensions)
        np.testing.assert_allclose(np.linalg.norm(rotated, axis=1), 1, atol=1e-6)
        lost = np.abs(rotated @ rotated.T - exact).mean()
        assert lost < 0.5 * np.abs(plain @ plain.T - exact).mean()


def test_puts_the_most_variance_first(fitted: Rotation) -> None:
    variance = fitted.apply(corpus(2, 500)).var(axis=0)
    assert (np.diff(variance) <= 1e-6).all()


def test_equal_corpora_give_equal_rotations(fitted: Rotation) -> None:
    again = fit_rotation(corpus(2, 500), "revision")
    assert np.array_equal(again.weight, fitted.weight)
    assert again.sha256 == fitted.sha256
    assert fit_rotation(corpus(4, 500), "revision").sha256 != fitted.sha256


@pytest.mark.parametrize("vectors", [corpus(2, 2 * WIDTH - 1), np.zeros((0, 0), np.float32)])
def test_too_few_passages_are_refused(vectors: FloatMatrix) -> None:
    with pytest.raises(InvalidRequest, match="at least"):
        fit_rotation(vectors, "revision")


def test_save_and_load(fitted: Rotation, tmp_path: Path) -> None:
    fitted.save(tmp_path / "new" / "rotation.safetensors")
    loaded = load_rotation(tmp_path / "new" / "rotation.safetensors")
    assert np.array_equal(loaded.weight, fitted.weight)
    assert (loaded.revision, loaded.sha256) == ("revision", fitted.sha256)


def _folder(path: Path, _: Rotation) -> None:
    path.mkdir()


def _truncated(path: Path, fitted: Rotation) -> None:
    fitted.save(path)
    path.write_bytes(path.read_bytes()[:-100])


def _flipped(path: Path, fitted: Rotation) -> None:
    fitted.save(path)
    path.write_bytes(b"\xff" + path.read_bytes()[1:])


def _holds(
    make: Callable[[FloatMatrix], npt.NDArray[Any]], name: str = "linear.weight"
) -> Callable[[Path, Rotation], None]:
    def write(path: Path, fitted: Rotation) -> None:
        matrix = np.ascontiguousarray(make(fitted.weight))
        save_file({name: matrix}, path, {"revision": "revision"})

    return write


DAMAGES: dict[str, Callable[[Path, Rotation], object]] = {
    "missing": lambda path, _: None,
    "folder": _folder,
    "empty": lambda path, _: path.write_bytes(b""),
    "truncated": _truncated,
    "flipped": _flipped,
    "named otherwise": _holds(lambda weight: weight, name="other"),
    "oblong": _holds(lambda weight: weight[:10]),
    "scaled": _holds(lambda weight: weight * 1.1),
    "not a number": _holds(lambda weight: np.full_like(weight, np.nan)),
    "a vector": _holds(lambda weight: weight[0]),
    "integers": _holds(lambda weight: (100 * weight).astype(np.int32)),
    "of no size": _holds(lambda weight: weight[:0, :0]),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_file_is_a_typed_error_with_its_path(
    damage: Callable[[Path, Rotation], object], fitted: Rotation, tmp_path: Path
) -> None:
    path = tmp_path / "one.safetensors"
    damage(path, fitted)
    with pytest.raises(ModelUnavailable, match=r"rotation file .*one\.safetensors"):
        load_rotation(path)


def full_width_rotation(revision: str) -> Rotation:
    matrix = np.linalg.qr(np.random.default_rng(6).normal(size=(384, 384)))[0]
    return Rotation(np.ascontiguousarray(matrix, np.float32), revision)


def test_a_rotation_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rotation"
    full_width_rotation("f" * 64).save(path)
    with pytest.raises(ModelUnavailable, match="fitted for another model") as refused:
        load_embedder(Settings(embedding_rotation=path))
    assert refused.value.hint


def test_as_a_module_it_gives_the_same_vectors_through_truncate_dim(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    plain = packaged_embedder()
    rotation = full_width_rotation(plain.space.revision)
    rotation.save(tmp_path / "rotation")
    ours = load_embedder(
        Settings(
            embedding_dtype="float32",
            embedding_rotation=tmp_path / "rotation",
            embedding_dimensions=64,
            device="cpu",
        )
    )
    assert ours.space.dimensions == 64
    assert ours.space.rotation == rotation.sha256
    assert ours.space.fingerprint != plain.space.fingerprint
    modules = [*plain.model, rotation.as_module()]
    theirs = SentenceTransformer(modules=modules, truncate_dim=64, device="cpu")
    texts = ["An index can be built without blocking writes.", "Vacuum reclaims storage.", ""]
    expected = theirs.encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(ours.embed_documents(texts), expected, atol=1e-5)
    np.testing.assert_allclose(ours.embed_query(texts[0]), expected[0], atol=1e-5)
