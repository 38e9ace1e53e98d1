"""Facts about users: each once, until their time is over, so many and no more."""

from datetime import UTC, datetime, timedelta

import pytest

from rostra.core import new_id
from rostra.store import (
    Database,
    MemoryNotFound,
    delete_memories,
    delete_memory,
    list_memories,
    put_memory,
)

SOON, PAST = timedelta(hours=1), timedelta(seconds=-1)


async def texts(database: Database, user: str) -> list[str]:
    async with database.read() as session:
        found, total = await list_memories(session, user)
    assert total == len(found)
    return [memory.text for memory in found]


async def test_a_fact_said_twice_is_kept_once_with_its_last_source(database: Database) -> None:
    later = datetime.now(UTC) + SOON
    async with database.write() as session:
        first = await put_memory(session, "ada", "likes tea", source="user")
        await put_memory(session, "ada", "is in Oslo", source="user")
        await put_memory(session, "bob", "likes tea", source="user")
        again = await put_memory(session, "ada", "likes tea", source="run 7", expires_at=later)
    assert (again.id, again.source, again.expires_at) == (first.id, "run 7", later)
    assert again.created_at == first.created_at
    assert again.updated_at > first.updated_at
    assert await texts(database, "ada") == ["likes tea", "is in Oslo"]
    assert await texts(database, "bob") == ["likes tea"]
    async with database.read() as session:
        page, total = await list_memories(session, "ada", limit=1, offset=1)
    assert ([memory.text for memory in page], total) == (["is in Oslo"], 2)


async def test_a_fact_whose_time_is_over_is_not_read(database: Database) -> None:
    over = datetime.now(UTC) + PAST
    async with database.write() as session:
        kept = await put_memory(session, "ada", "kept", source="user")
        await put_memory(session, "ada", "over", source="user", expires_at=over)
    assert await texts(database, "ada") == ["kept"]
    async with database.write() as session:
        # What is said again lives again.
        await put_memory(session, "ada", "over", source="user")
        assert await put_memory(session, "ada", "kept", source="user", expires_at=over) != kept
    assert await texts(database, "ada") == ["over"]


async def test_the_facts_longest_not_said_again_give_way(database: Database) -> None:
    async with database.write() as session:
        await put_memory(session, "bob", "other", source="user", most=3)
        for n in range(3):
            await put_memory(session, "ada", f"{n}", source="user", most=3)
        await put_memory(session, "ada", "0", source="user", most=3)
        await put_memory(session, "ada", "3", source="user", most=3)
    assert await texts(database, "ada") == ["3", "0", "2"]
    assert await texts(database, "bob") == ["other"]
    async with database.write() as session:
        await put_memory(session, "ada", "only", source="user", most=1)
    assert await texts(database, "ada") == ["only"]


async def test_users_delete_their_own(database: Database) -> None:
    async with database.write() as session:
        one = await put_memory(session, "ada", "one", source="user")
        await put_memory(session, "ada", "two", source="user")
        await put_memory(session, "bob", "three", source="user")
        for user, memory_id in (("bob", one.id), ("ada", new_id())):
            with pytest.raises(MemoryNotFound, match=str(memory_id)):
                await delete_memory(session, user, memory_id)
        await delete_memory(session, "ada", one.id)
    assert await texts(database, "ada") == ["two"]
    async with database.write() as session:
        assert await delete_memories(session, "ada") == 1
        assert await delete_memories(session, "ada") == 0
    assert await texts(database, "bob") == ["three"]
