"""Token codes on disk: what was stored comes back to the bit, or not at all."""

from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest

from rostra.core import FloatMatrix
from rostra.retrieval.lexical import DamagedIndex
from rostra.retrieval.rerank.stored import TokenFolder
from rostra.retrieval.rerank.tokens import TokenCodec, TokenCodes, fit_directions, text_key

SPACE = "a" * 32
TEXTS = [f"text number {number}" for number in range(40)]
COLLECTION = UUID(int=7)


def vectors(text: str) -> FloatMatrix:
    generator = np.random.default_rng(int.from_bytes(text_key(text)[:4]))
    return generator.normal(size=(1 + len(text) % 5, 16)).astype(np.float32)


@pytest.fixture
def codec() -> TokenCodec:
    return TokenCodec(fit_directions(np.concatenate([vectors(text) for text in TEXTS]), 8))


@pytest.fixture
def folder(tmp_path: Path) -> TokenFolder:
    return TokenFolder(tmp_path / "tokens")


def store(folder: TokenFolder, codec: TokenCodec, texts: list[str]) -> None:
    assert codec.directions is not None
    passages = ((text_key(text), codec.encode(vectors(text))) for text in texts)
    manifest = folder.write(COLLECTION, SPACE, codec.directions, passages)
    assert manifest.passages == len(set(texts))


def assert_same(one: TokenCodes | None, other: TokenCodes) -> None:
    assert one is not None
    np.testing.assert_array_equal(one.codes, other.codes)
    np.testing.assert_array_equal(one.scales, other.scales)


def test_what_was_stored_comes_back(folder: TokenFolder, codec: TokenCodec) -> None:
    assert folder.open(COLLECTION, SPACE) is None
    assert folder.stamp(COLLECTION) == 0
    store(folder, codec, [*TEXTS, TEXTS[3]])
    stored = folder.open(COLLECTION, SPACE)
    assert stored is not None
    assert stored.codec.digest == codec.digest
    for text in TEXTS:
        assert text in stored
        assert_same(stored.get(text), codec.encode(vectors(text)))
    assert stored.get("something else") is None
    assert folder.stamp(COLLECTION) != 0


def test_the_same_texts_give_the_same_files_in_any_order(tmp_path: Path, codec: TokenCodec) -> None:
    found = []
    for name, texts in (("one", TEXTS), ("other", TEXTS[::-1])):
        store(TokenFolder(tmp_path / name), codec, texts)
        files = sorted((tmp_path / name / str(COLLECTION)).glob("*/*"))
        found.append({file.name: file.read_bytes() for file in files})
    assert found[0] == found[1]


def test_nothing_but_the_newest_is_left(folder: TokenFolder, codec: TokenCodec) -> None:
    store(folder, codec, TEXTS)
    before = folder.open(COLLECTION, SPACE)
    store(folder, codec, TEXTS[:5])
    now = folder.open(COLLECTION, SPACE)
    assert now is not None and before is not None
    assert now.get(TEXTS[9]) is None
    # Who still reads the old one can go on.
    assert_same(before.get(TEXTS[9]), codec.encode(vectors(TEXTS[9])))
    assert (
        len([path for path in (folder._folder / str(COLLECTION)).iterdir() if path.is_dir()]) == 1
    )


def test_a_write_that_fails_leaves_what_was_there(folder: TokenFolder, codec: TokenCodec) -> None:
    store(folder, codec, TEXTS)

    def broken():  # type: ignore[no-untyped-def]
        yield text_key("new"), codec.encode(vectors("new"))
        raise OSError(28, "No space left on device")

    assert codec.directions is not None
    with pytest.raises(OSError, match="No space"):
        folder.write(COLLECTION, SPACE, codec.directions, broken())
    stored = folder.open(COLLECTION, SPACE)
    assert stored is not None and stored.get("new") is None
    assert_same(stored.get(TEXTS[0]), codec.encode(vectors(TEXTS[0])))


@pytest.mark.parametrize("name", ["codes.bin", "scales.bin"])
def test_a_damaged_passage_is_told_and_the_others_are_served(
    folder: TokenFolder, codec: TokenCodec, name: str
) -> None:
    store(folder, codec, TEXTS)
    (file,) = (folder._folder / str(COLLECTION)).glob(f"*/{name}")
    content = bytearray(file.read_bytes())
    content[0] ^= 0xFF
    file.write_bytes(content)
    stored = folder.open(COLLECTION, SPACE)
    assert stored is not None
    damaged = 0
    for text in TEXTS:
        try:
            assert_same(stored.get(text), codec.encode(vectors(text)))
        except DamagedIndex:
            damaged += 1
    assert damaged == 1


@pytest.mark.parametrize(
    "name", ["codes.bin", "keys.npy", "starts.npy", "directions.npy", "*.json"]
)
def test_a_cut_file_is_not_served(folder: TokenFolder, codec: TokenCodec, name: str) -> None:
    store(folder, codec, TEXTS)
    (file,) = [path for path in (folder._folder / str(COLLECTION)).rglob(name) if path.is_file()]
    file.write_bytes(file.read_bytes()[:-1])
    assert folder.open(COLLECTION, SPACE) is None
    store(folder, codec, TEXTS)
    assert folder.open(COLLECTION, SPACE) is not None


def test_another_space_is_not_served(folder: TokenFolder, codec: TokenCodec) -> None:
    store(folder, codec, TEXTS)
    assert folder.open(COLLECTION, "b" * 32) is None


def test_collections_that_are_gone_leave_nothing(folder: TokenFolder, codec: TokenCodec) -> None:
    store(folder, codec, TEXTS)
    folder.keep_only([COLLECTION, uuid4()])
    assert folder.open(COLLECTION, SPACE) is not None
    folder.keep_only([uuid4()])
    assert folder.open(COLLECTION, SPACE) is None
    store(folder, codec, TEXTS)
    assert folder.drop(COLLECTION)
    assert not folder.drop(COLLECTION)
