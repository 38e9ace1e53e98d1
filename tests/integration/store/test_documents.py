"""Documents, chunks and vectors: written together, replaced together, gone together."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, event, func, select

from rostra.core import CollectionNotFound, DocumentNotFound, EmbeddingSpace, new_id
from rostra.store import (
    Collection,
    Database,
    DocumentVersion,
    NewChunk,
    UnusableVector,
    chunk_records,
    collection_size,
    create_collection,
    delete_collection,
    delete_document,
    document_stamps,
    document_versions,
    get_collection,
    get_document,
    get_spans,
    get_text,
    get_vectors,
    index_rows,
    known_hashes,
    list_documents,
    move_to_space,
    open_database,
    pending_chunks,
    put_document,
    put_vectors,
)
from rostra.store.tables import ChunkRow, VectorRow


async def chunk_texts(database: Database, document_id: UUID) -> list[str]:
    async with database.read() as session:
        query = select(ChunkRow.text).where(ChunkRow.document_id == document_id)
        return list(await session.scalars(query.order_by(ChunkRow.ordinal)))


async def stored_hashes(database: Database, collection: Collection) -> set[bytes]:
    async with database.read() as session:
        query = select(VectorRow.content_hash).where(VectorRow.collection_id == collection.id)
        return {bytes(row) for row in await session.scalars(query)}


async def test_what_is_put_is_read(
    database: Database, collection: Collection, make_document: Any, put: Any
) -> None:
    text = "Größe: one.\n\nTwo \U0001f600 two.\n\nThree."
    new = make_document(
        "a.md",
        text,
        spans=[{"kind": "heading", "start": 0, "end": 5, "level": 1}],
        metadata={"year": 2020, "größe": "x", "ratio": 0.5, "draft": False, "none": None},
    )
    new = replace(new, chunks=[replace(chunk, page=7, context="Größe") for chunk in new.chunks])
    async with database.write() as session:
        document_id = await put(session, collection, new)
    async with database.read() as session:
        found = await get_document(session, document_id)
        assert (found.uri, found.title, found.collection) == ("a.md", "Title of a.md", "papers")
        assert (found.length, found.bytes, found.chunks) == (len(text), len(text.encode()), 3)
        assert found.metadata == new.metadata
        assert found.created_at.utcoffset() == found.updated_at - found.updated_at
        assert await get_spans(session, document_id) == new.spans
        assert await get_text(session, document_id) == text
        rows = await index_rows(session, collection.id, collection.space_id)
        records = await chunk_records(session, collection.id, [row.chunk_id for row in rows])
    assert sorted(row.ordinal for row in rows) == [0, 1, 2]
    for record in records.values():
        assert record.text == text[record.start : record.end]
        assert (record.page, record.context, record.uri) == (7, "Größe", "a.md")
        assert record.metadata == new.metadata
    for row in rows:
        assert row.text == records[row.chunk_id].text
        assert row.vector.dtype == np.dtype("<f4")
        assert np.linalg.norm(row.vector) == pytest.approx(1)


async def test_a_replaced_document_keeps_its_id_and_nothing_of_its_old_chunks(
    database: Database, collection: Collection, make_document: Any, put: Any
) -> None:
    old, new = make_document("a", "one\n\ntwo\n\nthree"), make_document("a", "one\n\nfour")
    async with database.write() as session:
        first = await put(session, collection, old)
    async with database.read() as session:
        before = await get_document(session, first)
        [stamp] = await document_stamps(session, collection.id)
        old_rows = await index_rows(session, collection.id, collection.space_id)
    async with database.write() as session:
        assert await put(session, collection, new) == first
    assert await chunk_texts(database, first) == ["one", "\n\nfour"]
    async with database.read() as session:
        after = await get_document(session, first)
        [later] = await document_stamps(session, collection.id)
        assert await chunk_records(session, collection.id, [r.chunk_id for r in old_rows]) == {}
    assert after.created_at == before.created_at
    assert after.updated_at > before.updated_at
    assert (stamp.generation, later.generation) == (1, 2)
    assert await stored_hashes(database, collection) == {c.content_hash for c in new.chunks}


async def test_unchanged_chunks_keep_their_vectors(
    database: Database, collection: Collection, make_document: Any, put: Any
) -> None:
    old, new = make_document("a", "one\n\ntwo"), make_document("a", "one\n\nthree")
    kept, gone = (chunk.content_hash for chunk in old.chunks)
    async with database.write() as session:
        await put(session, collection, old)
    async with database.read() as session:
        before = await get_vectors(session, collection.id, collection.space_id, [kept, gone])
    async with database.write() as session:
        # An ingest that finds a vector does not compute it, nor hand it over again.
        hashes = [chunk.content_hash for chunk in new.chunks]
        known = await known_hashes(session, collection.id, collection.space_id, hashes)
        assert known == {kept}
        await put_document(session, collection.id, new)
        fresh = {hashes[1]: np.array([0, 0, 0, 1], np.float32)}
        await put_vectors(session, collection.id, collection.space_id, fresh)
    async with database.read() as session:
        after = await get_vectors(session, collection.id, collection.space_id, [kept, *hashes])
        rows = await index_rows(session, collection.id, collection.space_id)
    assert set(after) == {kept, hashes[1]}
    assert np.array_equal(after[kept], before[kept])
    assert len(rows) == 2


async def test_a_vector_is_kept_while_another_document_names_it(
    database: Database, collection: Collection, make_document: Any, put: Any
) -> None:
    async with database.write() as session:
        a = await put(session, collection, make_document("a", "same\n\nonly a"))
        b = await put(session, collection, make_document("b", "same\n\nonly b"))
    shared = make_document("x", "same").chunks[0].content_hash
    assert len(await stored_hashes(database, collection)) == 3
    async with database.write() as session:
        assert await put(session, collection, make_document("a", "other")) == a
    assert len(await stored_hashes(database, collection)) == 3
    assert shared in await stored_hashes(database, collection)
    async with database.write() as session:
        await delete_document(session, b)
    assert await stored_hashes(database, collection) == {
        make_document("x", "other").chunks[0].content_hash
    }
    assert await chunk_texts(database, a) == ["other"]


async def test_duplicates_share_a_vector_within_a_collection_and_never_across(
    database: Database, collection: Collection, space: EmbeddingSpace, make_document: Any, put: Any
) -> None:
    async with database.write() as session:
        other = await create_collection(session, "other", space)
        for uri in ("a", "b"):
            await put(session, collection, make_document(uri, "the same text"))
        [chunk] = make_document("c", "the same text").chunks
        hashes = [chunk.content_hash]
        assert await known_hashes(session, other.id, other.space_id, hashes) == set()
        assert await get_vectors(session, other.id, other.space_id, hashes) == {}
        third = await put(session, other, make_document("a", "the same text"))
        assert await session.scalar(select(func.count()).select_from(VectorRow)) == 2
        await delete_document(session, third)
    assert await stored_hashes(database, collection) == set(hashes)
    assert await stored_hashes(database, other) == set()
    async with database.read() as session:
        assert len(await index_rows(session, collection.id, collection.space_id)) == 2


async def test_a_deleted_document_leaves_nothing(
    database: Database, collection: Collection, make_document: Any, put: Any
) -> None:
    async with database.write() as session:
        document_id = await put(session, collection, make_document("a", "one\n\ntwo"))
    async with database.write() as session:
        await delete_document(session, document_id)
    async with database.read() as session:
        for read in (get_document, get_spans, get_text):
            with pytest.raises(DocumentNotFound, match=str(document_id)):
                await read(session, document_id)
        assert (await collection_size(session, collection.id)).chunks == 0
        assert (await get_collection(session, "papers")).generation == 2
        assert await document_versions(session, collection.id) == {}
    assert await stored_hashes(database, collection) == set()
    with pytest.raises(DocumentNotFound):
        async with database.write() as session:
            await delete_document(session, document_id)
    async with database.read() as session:
        assert (await get_collection(session, "papers")).generation == 2


async def test_a_failed_replacement_leaves_the_old_document(
    database: Database, collection: Collection, make_document: Any, put: Any
) -> None:
    old = make_document("a", "one\n\ntwo")
    async with database.write() as session:
        document_id = await put(session, collection, old)
    with pytest.raises(ZeroDivisionError):
        async with database.write() as session:
            await put(session, collection, make_document("a", "three"))
            raise ZeroDivisionError
    assert await chunk_texts(database, document_id) == ["one", "\n\ntwo"]
    assert await stored_hashes(database, collection) == {c.content_hash for c in old.chunks}
    async with database.read() as session:
        assert await get_text(session, document_id) == old.text
        assert (await get_collection(session, "papers")).generation == 1


async def test_a_reader_sees_the_old_document_or_the_new(
    database: Database, collection: Collection, make_document: Any, put: Any
) -> None:
    texts = ["one\n\ntwo", "three\n\nfour\n\nfive", "six"]
    async with database.write() as session:
        document_id = await put(session, collection, make_document("a", texts[0]))
    done = asyncio.Event()

    async def write() -> None:
        for at in range(12):
            async with database.write() as session:
                await put(session, collection, make_document("a", texts[at % 3]))
        done.set()

    async def read() -> None:
        while not done.is_set():
            async with database.read() as session:
                text = await get_text(session, document_id)
                rows = await index_rows(session, collection.id, collection.space_id)
            assert "".join(row.text for row in sorted(rows, key=lambda r: r.ordinal)) == text

    await asyncio.gather(write(), read(), read())


async def test_two_writers_of_one_uri_make_one_document(
    database: Database, collection: Collection, make_document: Any, put: Any
) -> None:
    async def write(text: str) -> UUID:
        async with database.write() as session:
            written: UUID = await put(session, collection, make_document("a", text))
            return written

    ids = await asyncio.gather(*(write(f"common\n\ntext {n}\n\nend") for n in range(6)))
    assert len(set(ids)) == 1
    async with database.read() as session:
        assert (await get_document(session, ids[0])).chunks == 3
        rows = await index_rows(session, collection.id, collection.space_id)
    assert len(rows) == 3
    assert len(await stored_hashes(database, collection)) == 3


async def test_putting_into_a_collection_that_is_gone(
    database: Database, collection: Collection, make_document: Any
) -> None:
    async with database.write() as session:
        await delete_collection(session, "papers")
    with pytest.raises(CollectionNotFound):
        async with database.write() as session:
            await put_document(session, collection.id, make_document("a", "one"))


async def test_an_empty_document(
    database: Database, collection: Collection, make_document: Any, put: Any
) -> None:
    async with database.write() as session:
        document_id = await put(session, collection, make_document("a", "", chunks=[]))
    async with database.read() as session:
        assert (await get_document(session, document_id)).length == 0
        assert await get_text(session, document_id) == ""
        assert await get_text(session, document_id, 0, 5) == ""


async def test_more_chunks_than_a_statement_has_parameters(
    database: Database, collection: Collection, make_document: Any, put: Any
) -> None:
    text = "\n\n".join(f"paragraph {n}" for n in range(1_200))
    async with database.write() as session:
        document_id = await put(session, collection, make_document("a", text))
    async with database.read() as session:
        assert (await get_document(session, document_id)).chunks == 1_200
        rows = await index_rows(session, collection.id, collection.space_id, [document_id])
        assert len(await chunk_records(session, collection.id, [r.chunk_id for r in rows])) == 1_200
    async with database.write() as session:
        await put(session, collection, make_document("a", "paragraph 1"))
    assert len(await stored_hashes(database, collection)) == 1


@pytest.mark.parametrize(
    ("vector", "reason"),
    [
        ([1, 0, 0, float("nan")], "not finite"),
        ([1, 0, 0, float("inf")], "not finite"),
        ([0, -0.0, 0, 0], "of zeros"),
        ([1, 0, 0], "4 dimensions"),
        ([[1, 0, 0, 0]], "4 dimensions"),
    ],
)
async def test_a_vector_that_cannot_be_compared_is_refused(
    vector: Any, reason: str, database: Database, collection: Collection
) -> None:
    with pytest.raises((UnusableVector, ValueError), match=reason):
        async with database.write() as session:
            vectors = {b"x" * 32: np.array(vector, np.float32)}
            await put_vectors(session, collection.id, collection.space_id, vectors)
    assert await stored_hashes(database, collection) == set()


async def test_vectors_come_back_bit_by_bit_and_the_first_one_stays(
    database: Database, collection: Collection
) -> None:
    given_ = np.array([0.1, -0.0, 1e-40, 0.99], np.float32)
    async with database.write() as session:
        for vector in (given_, given_ * 2):
            vectors = {b"x" * 32: vector}
            await put_vectors(session, collection.id, collection.space_id, vectors)
    async with database.read() as session:
        found = await get_vectors(session, collection.id, collection.space_id, [b"x" * 32] * 2)
    assert found[b"x" * 32].tobytes() == given_.tobytes()


async def test_chunks_are_read_within_their_collection_only(
    database: Database, collection: Collection, space: EmbeddingSpace, make_document: Any, put: Any
) -> None:
    async with database.write() as session:
        other = await create_collection(session, "other", space)
        theirs = await put(session, other, make_document("a", "theirs"))
        await put(session, collection, make_document("a", "ours"))
    async with database.read() as session:
        [row] = await index_rows(session, other.id, other.space_id)
        ids = [row.chunk_id, new_id()]
        assert set(await chunk_records(session, other.id, ids)) == {row.chunk_id}
        assert await chunk_records(session, collection.id, ids) == {}
        assert await index_rows(session, collection.id, collection.space_id, [theirs]) == []
        assert await chunk_records(session, other.id, ids, {"uri": "b"}) == {}


async def test_moving_to_another_space(
    database: Database, collection: Collection, space: EmbeddingSpace, make_document: Any, put: Any
) -> None:
    wider = replace(space, revision="1" * 64, dimensions=5)
    async with database.write() as session:
        await put(session, collection, make_document("a", "one\n\ntwo\n\none"))
        helper = await create_collection(session, "helper", wider)
        pending = await pending_chunks(session, collection.id, helper.space_id, 100)
        assert {chunk.text.strip() for chunk in pending} == {"one", "two"}
        assert await pending_chunks(session, collection.id, collection.space_id, 100) == []
        vectors = {chunk.content_hash: np.ones(5, np.float32) for chunk in pending}
        await put_vectors(session, collection.id, helper.space_id, vectors)
        assert await pending_chunks(session, collection.id, helper.space_id, 100) == []
        assert await move_to_space(session, collection.id, wider) == 2
    async with database.read() as session:
        moved = await get_collection(session, "papers")
        assert moved.space == wider
        assert {s.generation for s in await document_stamps(session, collection.id)} == {2}
        assert await index_rows(session, collection.id, collection.space_id) == []
        rows = await index_rows(session, collection.id, moved.space_id)
        assert [row.vector.shape for row in rows] == [(5,)] * 3


async def test_paging_shows_each_document_once(
    database: Database, collection: Collection, make_document: Any
) -> None:
    uris = [f"doc{n:02}" for n in range(23)]
    async with database.write() as session:
        for uri in reversed(uris):
            await put_document(session, collection.id, make_document(uri, uri, chunks=[]))
    seen: list[str] = []
    async with database.read() as session:
        while True:
            page, total = await list_documents(session, collection.id, limit=5, offset=len(seen))
            assert total == 23
            if not page:
                break
            seen += [document.uri for document in page]
        assert await list_documents(session, collection.id, limit=0) == ([], 23)
    assert seen == uris


@pytest.mark.parametrize(
    ("part", "uris"),
    [
        ("", {"50%_of.md", "Ärzte.md", "b/x.md", "quote's.md"}),
        ("md", {"50%_of.md", "Ärzte.md", "b/x.md", "quote's.md"}),
        ("%", {"50%_of.md"}),
        ("_", {"50%_of.md"}),
        ("ÄRZTE", {"Ärzte.md"}),
        ("ärz", {"Ärzte.md"}),
        ("/", {"b/x.md"}),
        ("TITLE OF B", {"b/x.md"}),
        ("'s", {"quote's.md"}),
        ("\\", set()),
        ("\x00", set()),
        ("\udc80", set()),
        ("' OR 1=1 --", set()),
    ],
)
async def test_documents_by_a_part_of_their_name(
    part: str, uris: set[str], database: Database, collection: Collection, make_document: Any
) -> None:
    async with database.write() as session:
        for uri in ["50%_of.md", "Ärzte.md", "b/x.md", "quote's.md"]:
            await put_document(session, collection.id, make_document(uri, uri, chunks=[]))
    async with database.read() as session:
        page, total = await list_documents(session, collection.id, contains=part)
    assert {document.uri for document in page} == uris
    assert total == len(uris)


async def test_versions_say_what_a_document_was_made_from(
    database: Database, collection: Collection, make_document: Any
) -> None:
    new = make_document("a", "one", chunks=[], sha256="5" * 64, recipe="r")
    async with database.write() as session:
        document_id = await put_document(session, collection.id, new)
    async with database.read() as session:
        assert await document_versions(session, collection.id) == {
            "a": DocumentVersion(document_id, "5" * 64, "r")
        }


TEXT = "a\U0001f600é\n\U00010348b\u0301\ufffd\U0001f468\u200d\U0001f469 z"


async def test_a_slice_of_a_text_is_pythons_slice(
    database: Database, collection: Collection, make_document: Any
) -> None:
    bounds = [0, 1, 2, 5, len(TEXT) - 1, len(TEXT), len(TEXT) + 1, 2**31, 2**70]
    async with database.write() as session:
        new = make_document("a", TEXT, chunks=[])
        document_id = await put_document(session, collection.id, new)
    async with database.read() as session:
        for start in bounds:
            for end in [None, *bounds]:
                assert await get_text(session, document_id, start, end) == TEXT[start:end]


STORABLE = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
    | st.sampled_from("\U0001f600\U00010348\u0301\n")
)


def test_any_slice_of_any_text_is_pythons_slice(database_url: str, make_document: Any) -> None:
    with asyncio.Runner() as runner:
        database = runner.run(open_database(database_url))

        async def collect() -> Collection:
            space = EmbeddingSpace("test", "0", 4)
            async with database.write() as session:
                return await create_collection(session, "papers", space)

        collection = runner.run(collect())

        @given(STORABLE, st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50) | st.none())))
        def check(text: str, slices: list[tuple[int, int | None]]) -> None:
            async def run() -> None:
                chunks = [
                    NewChunk(min(start, len(text)), end, None, "", b"h" * 32)
                    for start, end in slices
                    if end is not None and start <= end <= len(text)
                ]
                new = make_document("a", text, chunks=chunks)
                async with database.write() as session:
                    document_id = await put_document(session, collection.id, new)
                async with database.read() as session:
                    for start, end in slices:
                        found = await get_text(session, document_id, start, end)
                        assert found == text[start:end]
                expected = [text[chunk.start : chunk.end] for chunk in chunks]
                assert await chunk_texts(database, document_id) == expected

            runner.run(run())

        try:
            check()
        finally:
            runner.run(database.close())


async def test_a_documents_chunks_are_found_without_going_through_all_others(
    tmp_path: Path,
) -> None:
    asked: list[tuple[str, Any]] = []

    def listen(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    async with await open_database(f"sqlite:///{tmp_path / 'rostra.db'}") as database:
        event.listen(Engine, "before_cursor_execute", listen)
        try:
            async with database.read() as session:
                assert await index_rows(session, new_id(), new_id(), [new_id()]) == []
        finally:
            event.remove(Engine, "before_cursor_execute", listen)
    (statement, parameters) = next(one for one in asked if "FROM chunks" in one[0])
    with closing(sqlite3.connect(tmp_path / "rostra.db")) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
    assert any("SEARCH chunks" in row[-1] and "(document_id=?)" in row[-1] for row in plan), plan
