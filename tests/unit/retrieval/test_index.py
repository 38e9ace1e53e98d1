"""Indexes that follow changes against indexes built afresh, in memory and through the disk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rostra.core import FloatMatrix
from rostra.retrieval.analysis import EnglishAnalyzer
from rostra.retrieval.cache import IndexCache
from rostra.retrieval.dense import DenseIndex, DenseKind, HnswIndex, make_dense_index
from rostra.retrieval.index import (
    Changes,
    CollectionIndex,
    empty_index,
    follow,
    stale_documents,
)
from rostra.store import DocumentStamp, IndexRow
from tests.fakes import FakeEmbedder

WORDS = ("heap", "page", "tuple", "lock", "vacuum", "index", "plan", "join")
SPACE = "space"
ANALYZER = EnglishAnalyzer()
EMBEDDER = FakeEmbedder(dimensions=8)


def flat(vectors: FloatMatrix) -> DenseIndex:
    return make_dense_index(vectors, "flat")


@dataclass
class Rows:
    """What a collection's rows say, kept as plainly as can be."""

    collection_id: UUID = field(default_factory=uuid4)
    generation: int = 0
    stamps: dict[str, DocumentStamp] = field(default_factory=dict)
    chunks: dict[UUID, list[IndexRow]] = field(default_factory=dict)

    def put(self, uri: str, texts: Sequence[str]) -> None:
        self.generation += 1
        known = self.stamps.get(uri)
        document_id = known.id if known else uuid4()
        self.stamps[uri] = DocumentStamp(document_id, uri, self.generation)
        self.chunks[document_id] = [
            IndexRow(uuid4(), document_id, at, "heading" * (at % 2), text, vector)
            for at, (text, vector) in enumerate(
                zip(texts, EMBEDDER.embed_documents(texts), strict=True)
            )
        ]

    def delete(self, uri: str) -> None:
        self.generation += 1
        del self.chunks[self.stamps.pop(uri).id]

    def follow_from(self, index: CollectionIndex, random: Random) -> CollectionIndex:
        """As the platform does: only documents that are stale are read, in any order."""
        stamps = sorted(self.stamps.values(), key=lambda stamp: stamp.uri)
        rows = [row for id_ in stale_documents(index, stamps) for row in self.chunks[id_]]
        random.shuffle(rows)
        return follow(index, Changes(self.generation, stamps, rows), ANALYZER, flat)

    def fresh(self, random: Random) -> CollectionIndex:
        return self.follow_from(self.empty(), random)

    def empty(self) -> CollectionIndex:
        return empty_index(self.collection_id, SPACE, EMBEDDER.space.dimensions, flat)


def assert_same(index: CollectionIndex, other: CollectionIndex) -> None:
    assert (index.collection_id, index.space, index.generation) == (
        other.collection_id,
        other.space,
        other.generation,
    )
    assert index.table.documents == other.table.documents
    assert index.table.document.tolist() == other.table.document.tolist()
    assert index.table.ordinal.tolist() == other.table.ordinal.tolist()
    assert index.table.ids.tolist() == other.table.ids.tolist()
    assert np.array_equal(index.dense.vectors, other.dense.vectors)
    for query in (["heap"], ["vacuum", "lock", "head"], ["nothing"]):
        np.testing.assert_allclose(
            index.lexical.scores(query), other.lexical.scores(query), rtol=0, atol=1e-12
        )
    assert sorted(index.counts.vocabulary) == sorted(other.counts.vocabulary)


def assert_says(index: CollectionIndex, rows: Rows) -> None:
    """Position by position, the index says what the rows say."""
    expected = [row for uri in sorted(rows.stamps) for row in rows.chunks[rows.stamps[uri].id]]
    assert [index.table.chunk_id(at) for at in range(len(index.table))] == [
        row.chunk_id for row in expected
    ]
    for at, row in enumerate(expected):
        assert np.array_equal(index.dense.vectors[at], row.vector)
        terms = ANALYZER.terms(f"{row.context}\n{row.text}")
        assert sorted(index.counts.row(at)) == sorted(terms)


chunk_texts = st.lists(st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join), max_size=3)
changes = st.dictionaries(st.sampled_from("abcde"), st.none() | chunk_texts, max_size=4)


@given(st.lists(changes, min_size=1, max_size=5), st.randoms(use_true_random=False))
@hypothesis_settings(max_examples=60)
def test_following_any_history_gives_what_a_fresh_build_gives(
    history: list[dict[str, list[str] | None]], random: Random
) -> None:
    rows = Rows()
    index = rows.empty()
    for change in history:
        for uri, texts in change.items():
            if texts is not None:
                rows.put(uri, texts)
            elif uri in rows.stamps:
                rows.delete(uri)
        older = index
        index = rows.follow_from(older, random)
        assert_says(index, rows)
        assert_same(index, rows.fresh(random))
        assert stale_documents(index, list(rows.stamps.values())) == []


def test_an_index_does_not_change_when_a_newer_one_is_made() -> None:
    rows, random = Rows(), Random(1)
    rows.put("a", ["heap page", "lock"])
    rows.put("b", ["vacuum"])
    index = rows.fresh(random)
    before = index.dense.vectors.copy()
    rows.put("a", ["plan"])
    rows.delete("b")
    rows.follow_from(index, random)
    assert len(index.table) == 3
    assert np.array_equal(index.dense.vectors, before)
    assert np.isnan(index.lexical.scores(["vacuum"])).tolist() == [True, True, False]


def test_a_mask_allows_the_chunks_of_the_documents_named() -> None:
    rows = Rows()
    rows.put("b", ["one", "two"])
    rows.put("a", ["three"])
    rows.put("c", [])
    table = rows.fresh(Random(1)).table
    ids = {uri: stamp.id for uri, stamp in rows.stamps.items()}
    assert table.mask_of({ids["b"], uuid4()}).tolist() == [False, True, True]
    assert table.mask_of({ids["c"]}).tolist() == [False, False, False]
    assert rows.empty().table.mask_of({ids["a"]}).tolist() == []


# --- On disk -----------------------------------------------------------------------------------


@pytest.fixture
def rows() -> Rows:
    rows = Rows()
    rows.put("a", ["heap page", "lock", ""])
    rows.put("b", ["vacuum index lock"])
    rows.put("c", [])
    return rows


@pytest.fixture
def saved(rows: Rows) -> CollectionIndex:
    return rows.fresh(Random(1))


def cache(folder: Path, kind: DenseKind = "flat", analyzer: str = ANALYZER.name) -> IndexCache:
    return IndexCache(folder, analyzer, kind)


def folder_of(tmp_path: Path, index: CollectionIndex) -> Path:
    return tmp_path / str(index.collection_id) / str(index.generation)


def test_an_index_comes_back_from_disk_as_it_was(
    tmp_path: Path, rows: Rows, saved: CollectionIndex
) -> None:
    cache(tmp_path).save(saved)
    loaded = cache(tmp_path).load(saved.collection_id, SPACE)
    assert loaded is not None
    assert_same(loaded, saved)
    assert_says(loaded, rows)
    rows.put("b", ["join"])
    rows.delete("a")
    assert_same(rows.follow_from(loaded, Random(2)), rows.fresh(Random(3)))


def test_an_empty_index_comes_back_too(tmp_path: Path) -> None:
    empty = Rows().empty()
    cache(tmp_path).save(empty)
    loaded = cache(tmp_path).load(empty.collection_id, SPACE)
    assert loaded is not None
    assert_same(loaded, empty)


def test_a_graph_is_saved_and_read_and_built_when_the_settings_change(tmp_path: Path) -> None:
    rows = Rows()
    rows.put("a", [f"{one} {other}" for one in WORDS for other in WORDS])
    index = rows.fresh(Random(1))
    graph = replace(index, dense=make_dense_index(index.dense.vectors, "hnsw"))
    for written in (graph, index):
        cache(tmp_path).save(written)
        for kind in ("hnsw", "flat"):
            loaded = cache(tmp_path, kind).load(index.collection_id, SPACE)
            assert loaded is not None
            assert_same(loaded, index)
            assert isinstance(loaded.dense, HnswIndex) == (kind == "hnsw")


def test_saving_again_replaces_and_keeps_only_the_newest(
    tmp_path: Path, rows: Rows, saved: CollectionIndex
) -> None:
    cache(tmp_path).save(saved)
    cache(tmp_path).save(saved)
    rows.put("d", ["plan"])
    newer = rows.follow_from(saved, Random(1))
    cache(tmp_path).save(newer)
    assert [path.name for path in (tmp_path / str(saved.collection_id)).iterdir()] == [
        str(newer.generation)
    ]
    loaded = cache(tmp_path).load(saved.collection_id, SPACE)
    assert loaded is not None
    assert_same(loaded, newer)


def test_nothing_saved_and_dropped(tmp_path: Path, saved: CollectionIndex) -> None:
    assert cache(tmp_path).load(saved.collection_id, SPACE) is None
    cache(tmp_path).save(saved)
    cache(tmp_path).drop(saved.collection_id)
    assert cache(tmp_path).load(saved.collection_id, SPACE) is None
    cache(tmp_path).drop(saved.collection_id)


FILES = (
    "vectors.npy",
    "chunks.npz",
    "terms.npz",
    "vocabulary.json",
    "documents.json",
    "manifest.json",
)
DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "one bit": lambda path: path.write_bytes(
        path.read_bytes()[:20] + bytes([path.read_bytes()[20] ^ 4]) + path.read_bytes()[21:]
    ),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_file_is_not_served(
    tmp_path: Path, saved: CollectionIndex, name: str, damage: Callable[[Path], object]
) -> None:
    cache(tmp_path).save(saved)
    damage(folder_of(tmp_path, saved) / name)
    assert cache(tmp_path).load(saved.collection_id, SPACE) is None


@pytest.mark.parametrize(
    "change",
    [{"format": 0}, {"chunks": 3}, {"documents": "three"}, {"collection_id": str(UUID(int=7))}],
    ids=str,
)
def test_a_manifest_of_something_else_is_not_served(
    tmp_path: Path, saved: CollectionIndex, change: dict[str, object]
) -> None:
    cache(tmp_path).save(saved)
    path = folder_of(tmp_path, saved) / "manifest.json"
    manifest = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode(manifest | change))
    assert cache(tmp_path).load(saved.collection_id, SPACE) is None


def test_an_index_of_another_space_or_analyzer_is_not_served(
    tmp_path: Path, saved: CollectionIndex
) -> None:
    cache(tmp_path).save(saved)
    assert cache(tmp_path).load(saved.collection_id, "other space") is None
    assert cache(tmp_path, analyzer="other-1").load(saved.collection_id, SPACE) is None


def test_what_a_killed_writer_left_is_not_served(tmp_path: Path, saved: CollectionIndex) -> None:
    cache(tmp_path).save(saved)
    folder = folder_of(tmp_path, saved)
    folder.rename(folder.with_name(f".{uuid4()}"))
    assert cache(tmp_path).load(saved.collection_id, SPACE) is None
    (folder.parent / "12").mkdir()
    (folder.parent / "a file").write_text("")
    assert cache(tmp_path).load(saved.collection_id, SPACE) is None
    cache(tmp_path).save(saved)
    loaded = cache(tmp_path).load(saved.collection_id, SPACE)
    assert loaded is not None
    assert_same(loaded, saved)


def test_a_full_disk_leaves_the_older_index_and_no_rubbish(
    tmp_path: Path, rows: Rows, saved: CollectionIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache(tmp_path).save(saved)
    rows.put("d", ["plan"])
    newer = rows.follow_from(saved, Random(1))

    def no_space(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", no_space)
        with pytest.raises(OSError, match="No space"):
            cache(tmp_path).save(newer)
    parent = tmp_path / str(saved.collection_id)
    assert [path.name for path in parent.iterdir()] == [str(saved.generation)]
    loaded = cache(tmp_path).load(saved.collection_id, SPACE)
    assert loaded is not None
    assert_same(loaded, saved)
