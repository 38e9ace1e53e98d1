"""What indexes read of a collection that moved on."""

from typing import Any
from uuid import UUID

import pytest

from rostra.store import (
    Collection,
    Database,
    changes,
    delete_document,
    get_collection,
    matching_ids,
    packed_ids,
    removals_are_known,
    removed_documents,
    stamps_of,
    written_documents,
)


async def put_all(database: Database, collection: Collection, put: Any, make: Any) -> list[UUID]:
    async with database.write() as session:
        return [await put(session, collection, make(uri, f"text of {uri}")) for uri in "abcd"]


async def test_documents_written_since_stand_by_generation(
    database: Database, collection: Collection, make_document: Any, put: Any
) -> None:
    ids = await put_all(database, collection, put, make_document)
    async with database.write() as session:
        await put(session, collection, make_document("b", "rewritten"))
    async with database.read() as session:
        every = await written_documents(session, collection.id)
        late = await written_documents(session, collection.id, 3)
        none = await written_documents(session, collection.id, 5)
        stamps = await stamps_of(session, collection.id, [ids[1], UUID(int=7), ids[0]])
    assert every.ids.tolist() == packed_ids([ids[0], ids[2], ids[3], ids[1]]).tolist()
    assert every.generations.tolist() == [1, 3, 4, 5]
    assert (late.ids.tolist(), late.generations.tolist()) == (every.ids[2:].tolist(), [4, 5])
    assert len(none) == 0
    assert none.ids.shape == (0, 16)
    assert {(one.id, one.uri, one.generation) for one in stamps} == {
        (ids[0], "a", 1),
        (ids[1], "b", 5),
    }


async def test_documents_deleted_since_are_in_the_log_until_it_is_pruned(
    database: Database,
    collection: Collection,
    make_document: Any,
    put: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changes, "LOGGED", 2)
    ids = await put_all(database, collection, put, make_document)
    for number, document_id in enumerate(ids[:3]):
        async with database.write() as session:
            await delete_document(session, document_id)
        async with database.read() as session:
            now = await get_collection(session, collection.name)
            assert now.generation == 5 + number
            # All that the log is asked for by an index that is not too old.
            for since in range(now.generation + 1):
                if removals_are_known(now.generation, since):
                    found = await removed_documents(session, collection.id, since)
                    gone = ids[max(0, since - 4) : number + 1]
                    assert found.tolist() == packed_ids(gone).tolist()
    assert not removals_are_known(7, 4)
    async with database.read() as session:
        assert len(await removed_documents(session, collection.id, 0)) == 2


async def test_ids_of_documents_that_pass_filters(
    database: Database, collection: Collection, make_document: Any, put: Any
) -> None:
    ids = await put_all(database, collection, put, make_document)
    async with database.read() as session:
        found = await matching_ids(session, collection.id, {"uri": ["b", "d", "x"]})
        nothing = await matching_ids(session, UUID(int=7), {"uri": ["b"]})
    assert sorted(one.tobytes() for one in found) == sorted(ids[at].bytes for at in (1, 3))
    assert nothing.shape == (0, 16)
