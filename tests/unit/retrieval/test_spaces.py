"""The rotation that ships, and collections that were made without it."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rostra.retrieval.rotation as rotation_module
from rostra.core import EmbeddingSpace, ModelUnavailable, Settings, SpaceMismatch
from rostra.retrieval import (
    PACKAGED_REVISION,
    SHIPPED_ROTATION,
    PassageEmbedder,
    Rotation,
    embedder_within,
    fit_rotation,
    load_embedder,
    shipped_rotation,
)
from rostra.retrieval.spaces import check_comparable
from rostra.shipped import ShippedModelBroken, is_shipped, seal
from rostra.shipped.manifest import model_folder
from rostra.store import Collection
from tests.fakes import FakeEmbedder

WIDTH = 384


def some_rotation(revision: str = PACKAGED_REVISION, width: int = WIDTH) -> Rotation:
    vectors = np.random.default_rng(5).standard_normal((2 * width, width))
    return fit_rotation(vectors.astype(np.float32), revision)


@pytest.fixture
def shipping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A room in which a rotation ships, in place of the package's own; gives its file."""
    folder = model_folder("rotation", tmp_path)
    some_rotation().save(folder / SHIPPED_ROTATION)
    (folder / "card.md").write_text("a card")
    seal("rotation", tmp_path)
    shipped_folder = rotation_module.shipped_folder
    monkeypatch.setattr(rotation_module, "is_shipped", lambda name: is_shipped(name, tmp_path))
    monkeypatch.setattr(
        rotation_module, "shipped_folder", lambda name: shipped_folder(name, tmp_path)
    )
    return folder / SHIPPED_ROTATION


def chosen(asked: Any, revision: str = PACKAGED_REVISION, dimensions: int = 128) -> Rotation | None:
    return rotation_module.rotation_for(asked, "a model", revision, WIDTH, dimensions)


def test_the_packaged_encoder_is_rotated_by_itself(shipping: Path) -> None:
    found = chosen("auto")
    assert found is not None and found.sha256 == some_rotation().sha256
    assert chosen("off") is None
    assert chosen("auto", "f" * 64) is None  # another encoder's vectors stay as they are
    assert chosen("auto", dimensions=WIDTH) is None  # nothing to be gained


def test_another_fitted_rotation_wins(shipping: Path, tmp_path: Path) -> None:
    own = Rotation(some_rotation().weight[::-1].copy(), PACKAGED_REVISION)
    own.save(tmp_path / "own")
    found = chosen(tmp_path / "own")
    assert found is not None and found.sha256 == own.sha256
    with pytest.raises(ModelUnavailable, match="another model"):
        chosen(tmp_path / "own", "f" * 64)


def test_where_none_ships_vectors_stay_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation_module, "is_shipped", lambda name: False)
    assert chosen("auto") is None


def test_a_broken_one_is_never_left_out_silently(shipping: Path) -> None:
    shipping.write_bytes(shipping.read_bytes()[:-4])
    with pytest.raises(ShippedModelBroken, match=r"rotation\.safetensors is truncated"):
        chosen("auto")
    shutil.rmtree(shipping.parent)
    with pytest.raises(ShippedModelBroken, match="is missing"):
        chosen("auto")
    assert chosen("off") is None
    assert chosen("auto", "f" * 64) is None  # others do not need it


def test_a_rotation_is_undone() -> None:
    vectors = np.random.default_rng(1).standard_normal((7, WIDTH)).astype(np.float32)
    rotation = some_rotation()
    assert rotation.undo(rotation.apply(vectors)) == pytest.approx(vectors, abs=1e-4)


@pytest.mark.parametrize("dimensions", [64, 128])
def test_older_collections_go_on_in_their_own_space(shipping: Path, dimensions: int) -> None:
    given = Settings(embedding_dtype="float32", device="cpu", embedding_dimensions=dimensions)
    rotated = load_embedder(given)
    plain = load_embedder(given.model_copy(update={"embedding_rotation": "off"}))
    assert rotated.space.rotation and not plain.space.rotation
    assert rotated.is_truncated
    # Rotated, too, a text's vector does not depend on its company.
    texts = [f"{word} moves water" for word in ("a pump", "the wind", "nobody", "a wheel")]
    together = rotated.embed_documents(texts)
    alone = np.concatenate([rotated.embed_documents([one]) for one in texts])
    assert np.array_equal(together, alone)

    older = embedder_within(rotated, plain.space)
    text = "A pump moves water."
    assert older.space == plain.space
    assert np.array_equal(older.embed_query(text), plain.embed_query(text))
    assert np.array_equal(older.embed_documents([text]), plain.embed_documents([text]))
    assert embedder_within(rotated, rotated.space) is rotated
    passages = embedder_within(PassageEmbedder(rotated), plain.space)
    assert passages.space == plain.space

    # Neither another encoder's space nor what somebody asked for gives way.
    for other in (
        replace(plain.space, revision="f" * 64),
        replace(plain.space, dimensions=96),
        replace(plain.space, rotation="f" * 64),
    ):
        assert embedder_within(rotated, other) is rotated
    assert embedder_within(plain, rotated.space) is plain
    asked = load_embedder(given.model_copy(update={"embedding_rotation": shipping}))
    assert asked.space == rotated.space
    assert embedder_within(asked, plain.space) is asked


class Rotating(FakeEmbedder):
    """Has two spaces."""

    is_truncated = False

    def within(self, space: EmbeddingSpace) -> FakeEmbedder:
        return self


def collection(name: str, space: EmbeddingSpace) -> Collection:
    fields = dict.fromkeys(Collection.__dataclass_fields__)
    return Collection(**(fields | {"name": name, "space": space}))  # type: ignore[arg-type]


def test_truncated_vectors_of_two_spaces_are_not_searched_together() -> None:
    embedder = Rotating()
    new = collection("new", embedder.space)
    old = collection("old", replace(embedder.space, rotation="1" * 64))
    check_comparable(embedder, [new, old])
    embedder.is_truncated = True
    check_comparable(embedder, [new, new])
    with pytest.raises(SpaceMismatch, match=r"'old'.*truncated") as refused:
        check_comparable(embedder, [new, old])
    assert "rostra embed apply --collection old" in str(refused.value.hint)


def test_what_ships_fits_the_packaged_encoder() -> None:
    found = shipped_rotation(PACKAGED_REVISION)
    assert found is not None
    assert found.revision == PACKAGED_REVISION
    assert found.weight.shape == (WIDTH, WIDTH)
