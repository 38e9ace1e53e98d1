"""Chats: turns stay in order, whoever appends at the same time."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select

from rostra.core import ChatNotFound, new_id
from rostra.store import (
    Collection,
    Database,
    NewTurn,
    append_turns,
    create_chat,
    delete_chat,
    get_chat,
    get_turns,
    list_chats,
)
from rostra.store.tables import MessageRow


async def test_turns_are_read_as_they_were_appended(
    database: Database, collection: Collection
) -> None:
    citations = [{"quote": "It is \U0001f600.", "start": 3, "end": 11, "page": None}]
    async with database.write() as session:
        chat_id = await create_chat(session, collection.id)
        first = await append_turns(session, chat_id, [NewTurn("user", "  What\nis it? ")])
    async with database.write() as session:
        answer = NewTurn("assistant", "It is \U0001f600.", "quote", True, citations)
        second = await append_turns(session, chat_id, [answer, NewTurn("user", "Why?")])
        assert await append_turns(session, chat_id, []) == []
    async with database.read() as session:
        chat = await get_chat(session, chat_id)
        turns = await get_turns(session, chat_id)
        last = await get_turns(session, chat_id, last=2)
    assert (chat.title, chat.collection, chat.messages) == ("What is it?", "papers", 3)
    assert chat.updated_at > chat.created_at
    assert [turn.id for turn in turns] == first + second
    assert [turn.role for turn in turns] == ["user", "assistant", "user"]
    assert (turns[0].mode, turns[0].found, turns[0].citations) == (None, None, [])
    assert (turns[1].mode, turns[1].found, turns[1].citations) == ("quote", True, citations)
    assert last == turns[1:]


async def test_a_given_title_stays_and_a_long_one_is_cut(
    database: Database, collection: Collection
) -> None:
    async with database.write() as session:
        given = await create_chat(session, collection.id, "Given")
        empty = await create_chat(session, collection.id)
        for chat_id in (given, empty):
            await append_turns(session, chat_id, [NewTurn("user", "long " * 100)])
    async with database.read() as session:
        assert (await get_chat(session, given)).title == "Given"
        assert 0 < len((await get_chat(session, empty)).title) <= 120


async def test_two_processes_that_append_never_share_an_ordinal(
    database: Database, collection: Collection, run_workers: Any
) -> None:
    async with database.write() as session:
        chat_id = await create_chat(session, collection.id)
    url = database.writer.url.render_as_string(hide_password=False)
    commands = [("append", url, chat_id, 15, name) for name in ("a", "b")]
    await asyncio.to_thread(run_workers, *commands)
    async with database.read() as session:
        query = select(MessageRow.ordinal).where(MessageRow.chat_id == chat_id)
        assert sorted(await session.scalars(query)) == list(range(60))
        texts = [turn.text for turn in await get_turns(session, chat_id)]
    # A question and its answer stand together, and each process's own stay in order.
    for question, answer in zip(texts[::2], texts[1::2], strict=True):
        assert question.removesuffix("q") == answer.removesuffix("a")
    for name in ("a", "b"):
        own = [text for text in texts[::2] if text.startswith(name)]
        assert own == [f"{name} {n} q" for n in range(15)]


async def test_tasks_that_append_never_share_an_ordinal(
    database: Database, collection: Collection
) -> None:
    async with database.write() as session:
        chat_id = await create_chat(session, collection.id)

    async def append(name: int) -> None:
        async with database.write() as session:
            await append_turns(session, chat_id, [NewTurn("user", f"{name}")] * 2)

    await asyncio.gather(*(append(name) for name in range(10)))
    async with database.read() as session:
        texts = [turn.text for turn in await get_turns(session, chat_id)]
    assert texts[::2] == texts[1::2]
    assert sorted(map(int, texts[::2])) == list(range(10))


async def test_chats_are_listed_by_last_use(database: Database, collection: Collection) -> None:
    async with database.write() as session:
        ids = [await create_chat(session, collection.id, str(n)) for n in range(5)]
    async with database.write() as session:
        await append_turns(session, ids[1], [NewTurn("user", "again")])
    async with database.read() as session:
        pages = [await list_chats(session, 2, offset) for offset in (0, 2, 4, 6)]
    assert [[c.title for c in page] for page, _ in pages] == [["1", "4"], ["3", "2"], ["0"], []]
    assert {total for _, total in pages} == {5}


async def test_a_deleted_chat_leaves_no_messages(
    database: Database, collection: Collection
) -> None:
    async with database.write() as session:
        gone = await create_chat(session, collection.id)
        kept = await create_chat(session, collection.id)
        for chat_id in (gone, kept):
            await append_turns(session, chat_id, [NewTurn("user", "hello")])
    async with database.write() as session:
        await delete_chat(session, gone)
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(MessageRow)) == 1
        assert len(await get_turns(session, kept)) == 1


async def test_what_is_missing_is_named(database: Database, collection: Collection) -> None:
    missing = new_id()
    for read in (get_chat, get_turns):
        async with database.read() as session:
            with pytest.raises(ChatNotFound, match=str(missing)):
                await read(session, missing)
    async with database.write() as session:
        with pytest.raises(ChatNotFound, match=str(missing)):
            await delete_chat(session, missing)
        with pytest.raises(ChatNotFound, match=str(missing)):
            await append_turns(session, missing, [NewTurn("user", "hello")])
        empty = await create_chat(session, collection.id)
        assert await get_turns(session, empty) == []
