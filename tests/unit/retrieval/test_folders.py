"""Who keeps an index, who has a copy, and what is left when a process ends or is killed."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest

from rostra.retrieval import cloning
from rostra.retrieval.analysis import EnglishAnalyzer, UnicodeAnalyzer
from rostra.retrieval.collection import Changes, CollectionWriter, Identity
from rostra.retrieval.dense import DenseOptions, live
from rostra.retrieval.dense import rows as dense_rows
from rostra.retrieval.folders import IndexFolders, OpenIndex
from rostra.store import DocumentStamp, IndexRow, packed_ids
from tests.fakes import FakeEmbedder

EMBEDDER = FakeEmbedder(dimensions=8)
NOTHING = packed_ids([])


@pytest.fixture
def identity() -> Identity:
    return Identity(uuid4(), "space", 8)


def folders(tmp_path: Path, kind: str = "flat") -> IndexFolders:
    options = DenseOptions(kind=kind, train_at=4)  # type: ignore[arg-type]
    return IndexFolders(tmp_path / "indexes", EnglishAnalyzer(), options)


def put(writer: CollectionWriter, document: UUID, texts: Sequence[str], generation: int) -> None:
    stamp = DocumentStamp(document, f"uri {document}", generation)
    rows = [
        IndexRow(uuid4(), document, at, "", text, vector)
        for at, (text, vector) in enumerate(
            zip(texts, EMBEDDER.embed_documents(texts), strict=True)
        )
    ]
    writer.take_in(Changes(NOTHING, [stamp], rows[::-1]))
    writer.reached(generation)


def found(opened: OpenIndex, term: str) -> list[tuple[str, int]]:
    """Chunks that a term finds, and the first of those that its vector finds."""
    index = opened.writer.snapshot()
    positions, _ = index.lexical.search([term], 10, None, index.table.tie)
    nearest, _ = index.dense.search(EMBEDDER.embed_query(term), 1, None, index.table.tie)
    return [
        (str(index.table.chunk_id(int(at))), int(index.table.tie[at]))
        for at in (*positions, *nearest)
    ]


def test_one_keeps_an_index_and_another_has_a_copy_of_what_was_flushed(
    tmp_path: Path, identity: Identity
) -> None:
    kept = folders(tmp_path).open(identity)
    put(kept.writer, uuid4(), ["vacuum lock", "heap"], 1)
    kept.writer.flush()
    said = found(kept, "vacuum")
    assert len(said) == 2
    put(kept.writer, uuid4(), ["vacuum"], 2)

    copy = folders(tmp_path).open(identity)
    assert (kept.is_kept, copy.is_kept) == (True, False)
    assert not folders(tmp_path).may_keep(identity.collection_id)
    assert (copy.writer.generation, found(copy, "vacuum")) == (1, said)
    # Neither sees what the other writes.
    put(copy.writer, uuid4(), ["vacuum index"], 2)
    copy.writer.flush()
    kept.writer.flush()
    assert len(found(kept, "vacuum")) == len(found(copy, "vacuum")) == 3
    assert (len(found(kept, "index")), len(found(copy, "index"))) == (1, 2)
    copy.writer.verify()
    copy.close()
    assert not copy.root.exists()
    kept.close()

    again = folders(tmp_path).open(identity)
    assert (again.is_kept, again.writer.generation) == (True, 2)
    again.writer.verify()
    assert len(found(again, "vacuum")) == 3
    again.close()


@pytest.mark.parametrize("kind", ["flat", "int8"])
def test_full_files_are_shared_and_the_last_ones_copied(
    tmp_path: Path, identity: Identity, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense_rows, "FILE_BYTES", 64)
    monkeypatch.setattr(live, "FILE_BYTES", 64)
    monkeypatch.setitem(live.DenseWriter.__init__.__kwdefaults__, "file_bytes", 64)
    kept = folders(tmp_path, kind).open(identity)
    for number in range(5):
        put(kept.writer, uuid4(), [f"vacuum {number}"], number + 1)
    kept.writer.improve()
    kept.writer.flush()
    copy = folders(tmp_path, kind).open(identity)
    shared, own = [], []
    for path in (copy.writer.folder / "dense").iterdir():
        (shared if path.stat().st_nlink > 1 else own).append(path.name)
    assert sorted(name[-8:] for name in shared if "vectors" in name) == ["rs-00000", "rs-00001"]
    assert [name[-8:] for name in own if "vectors" in name] == ["rs-00002"]
    assert found(copy, "vacuum") == found(kept, "vacuum")
    for number in range(5, 9):
        put(copy.writer, uuid4(), [f"other {number}"], number + 1)
        put(kept.writer, uuid4(), [f"vacuum {number}"], number + 1)
    for one in (copy, kept):
        one.writer.flush()
        one.writer.verify()
    copy.close()
    kept.close()


def test_what_is_replaced_while_it_is_copied_is_copied_again(
    tmp_path: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = folders(tmp_path).open(identity)
    put(kept.writer, uuid4(), ["vacuum"], 1)
    kept.writer.flush()
    link = os.link

    def replaced(*names: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        put(kept.writer, uuid4(), ["vacuum"], 2)
        kept.writer.flush()
        kept.writer._lexical.merge(everything=True)
        kept.writer.flush()
        link(*names)

    monkeypatch.setattr(cloning.os, "link", replaced)
    copy = folders(tmp_path).open(identity)
    assert (copy.writer.generation, len(found(copy, "vacuum"))) == (2, 3)
    copy.close()
    kept.close()


@pytest.mark.parametrize(
    "change", [{"space": "other"}, {"dimensions": 9}, {"collection_id": UUID(int=5)}], ids=str
)
def test_an_index_of_something_else_is_not_used(
    tmp_path: Path, identity: Identity, change: dict[str, object]
) -> None:
    opened = folders(tmp_path).open(identity)
    put(opened.writer, uuid4(), ["vacuum"], 1)
    opened.writer.flush()
    opened.close()
    other = folders(tmp_path).open(replace(identity, **change))  # type: ignore[arg-type]
    assert (len(other.writer), other.writer.generation) == (0, 0)
    other.close()


def test_an_index_of_another_analyzer_is_not_used(tmp_path: Path, identity: Identity) -> None:
    opened = folders(tmp_path).open(identity)
    put(opened.writer, uuid4(), ["vacuum"], 1)
    opened.writer.flush()
    opened.close()
    other = IndexFolders(tmp_path / "indexes", UnicodeAnalyzer(), DenseOptions()).open(identity)
    assert len(other.writer) == 0
    other.close()


def test_what_killed_processes_and_older_versions_left_is_removed(
    tmp_path: Path, identity: Identity
) -> None:
    first = folders(tmp_path).open(identity)
    copy = folders(tmp_path).open(identity)
    root = first.root
    shutil.copytree(copy.root, root / "guest-killed")
    (root / "17").mkdir()
    (root / "17" / "vectors.npy").write_bytes(b"old")
    (root / ".aside").mkdir()
    put(first.writer, uuid4(), ["vacuum"], 1)
    first.writer.flush()
    first.close()
    second = folders(tmp_path).open(identity)
    assert sorted(path.name for path in root.iterdir()) == sorted(
        [copy.root.name, "index.lock", "manifest.json", second.writer.folder.name]
    )
    assert len(second.writer) == 1
    second.close()
    copy.close()


def test_writing_anew_drops_what_is_gone_and_a_crash_before_its_end_costs_nothing(
    tmp_path: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = folders(tmp_path, "int8")
    opened = index.open(identity)
    documents = [uuid4() for _ in range(8)]
    for number, document in enumerate(documents):
        put(opened.writer, document, [f"vacuum {number}", "lock"], number + 1)
    opened.writer.take_in(Changes(packed_ids(documents[:5]), [], []))
    opened.writer.reached(9)
    opened.writer.flush()
    said = found(opened, "vacuum")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("rostra.retrieval.collection.write_table", full)
        with pytest.raises(OSError, match="space"):
            index.compact(opened)
    assert sorted(path.name for path in opened.root.iterdir() if path.is_dir()) == [
        opened.writer.folder.name
    ]
    index.compact(opened)
    # What comes now is not in it: its generation says so.
    put(opened.writer, documents[7], ["zebra"], 10)
    opened.writer.flush()
    opened.close()
    again = index.open(identity)
    assert (len(again.writer), again.writer.generation) == (6, 9)
    assert found(again, "vacuum") == said
    ids, generations = again.writer.known()
    assert {one.tobytes() for one in ids} == {one.bytes for one in documents[5:]}
    assert generations.tolist() == [6, 7, 8]
    again.writer.verify()
    again.close()


def test_without_a_place_to_write_indexes_are_built_elsewhere(
    tmp_path: Path, identity: Identity
) -> None:
    (tmp_path / "indexes").write_text("a file where a folder should be")
    opened = folders(tmp_path).open(identity)
    assert not opened.is_kept
    put(opened.writer, uuid4(), ["vacuum"], 1)
    assert len(found(opened, "vacuum")) == 2
    opened.close()
    assert not opened.root.exists()


def test_a_chunk_whose_stored_vector_is_of_no_use_is_left_out(
    tmp_path: Path, identity: Identity
) -> None:
    opened = folders(tmp_path).open(identity)
    document = uuid4()
    stamp = DocumentStamp(document, "a", 1)
    vectors = [np.zeros(8, np.float32), EMBEDDER.embed_query("lock"), np.full(8, np.nan)]
    rows = [
        IndexRow(uuid4(), document, at, "", "lock", np.asarray(vector, np.float32))
        for at, vector in enumerate(vectors)
    ]
    opened.writer.take_in(Changes(NOTHING, [stamp], rows))
    assert [one for one, _ in found(opened, "lock")] == [str(rows[1].chunk_id)] * 2
    opened.close()
