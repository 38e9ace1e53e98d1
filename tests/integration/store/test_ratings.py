"""Ratings: of answers only, one each, gone with their message; and the questions they are about."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select

from rostra.core import new_id
from rostra.store import (
    Collection,
    Database,
    MessageNotFound,
    NewTurn,
    NotAnAnswer,
    RatingValue,
    answered_questions,
    append_turns,
    create_chat,
    delete_chat,
    delete_rating,
    get_turns,
    put_rating,
)
from rostra.store.tables import RatingRow

UP, DOWN = RatingValue.UP, RatingValue.DOWN


async def chat_with(database: Database, collection: Collection, *words: str) -> tuple[UUID, ...]:
    """A chat with a question and an answer for each word; its id and those of the answers."""
    async with database.write() as session:
        chat_id = await create_chat(session, collection.id)
        answers = []
        for word in words:
            turns = [NewTurn("user", f"{word}?"), NewTurn("assistant", f"{word}!", "quote", True)]
            answers.append((await append_turns(session, chat_id, turns))[1])
    return chat_id, *answers


async def test_a_rating_is_read_with_its_turn_and_the_last_word_counts(
    database: Database, collection: Collection
) -> None:
    chat_id, first, second = await chat_with(database, collection, "one", "two")
    async with database.write() as session:
        await put_rating(session, chat_id, first, UP)
    async with database.write() as session:
        last = await put_rating(session, chat_id, first, DOWN, "too short \U0001f641")
    async with database.read() as session:
        turns = await get_turns(session, chat_id)
    assert [turn.rating for turn in turns] == [None, last, None, None]
    assert (last.value, last.note) == (DOWN, "too short \U0001f641")
    async with database.write() as session:
        await delete_rating(session, chat_id, first)
        await delete_rating(session, chat_id, second)  # has none
    async with database.read() as session:
        assert {turn.rating for turn in await get_turns(session, chat_id)} == {None}


async def test_only_answers_of_the_chat_can_be_rated(
    database: Database, collection: Collection
) -> None:
    chat_id, answer = await chat_with(database, collection, "one")
    other, _ = await chat_with(database, collection, "two")
    async with database.write() as session:
        question = (await get_turns(session, chat_id))[0].id
        with pytest.raises(NotAnAnswer):
            await put_rating(session, chat_id, question, UP)
        with pytest.raises(NotAnAnswer):
            await delete_rating(session, chat_id, question)
        for chat, message in ((chat_id, new_id()), (other, answer), (new_id(), answer)):
            with pytest.raises(MessageNotFound, match=str(message)):
                await put_rating(session, chat, message, UP)
            with pytest.raises(MessageNotFound, match=str(message)):
                await delete_rating(session, chat, message)
        assert await session.scalar(select(func.count()).select_from(RatingRow)) == 0


async def test_a_deleted_chat_leaves_no_ratings(database: Database, collection: Collection) -> None:
    gone, rated = await chat_with(database, collection, "one")
    kept, other = await chat_with(database, collection, "two")
    async with database.write() as session:
        await put_rating(session, gone, rated, UP)
        await put_rating(session, kept, other, DOWN)
        await delete_chat(session, gone)
    async with database.read() as session:
        assert (await session.scalars(select(RatingRow.message_id))).all() == [other]


async def test_those_who_rate_at_once_leave_one_rating(
    database: Database, collection: Collection
) -> None:
    chat_id, answer = await chat_with(database, collection, "one")

    async def rate(number: int) -> None:
        async with database.write() as session:
            await put_rating(session, chat_id, answer, (UP, DOWN)[number % 2], str(number))

    await asyncio.gather(*(rate(number) for number in range(8)))
    async with database.read() as session:
        rating = (await get_turns(session, chat_id))[1].rating
    assert rating is not None
    assert rating.value == (UP, DOWN)[int(rating.note) % 2]


async def test_answered_questions_come_with_answer_rating_and_what_went_before(
    database: Database, collection: Collection
) -> None:
    chat_id, *answers = await chat_with(database, collection, "a", "b", "c", "d", "e")
    async with database.write() as session:
        await put_rating(session, chat_id, answers[4], DOWN, "no")
        # Neither a question nobody answered nor an answer nobody asked for is one of these.
        await append_turns(session, chat_id, [NewTurn("user", "left alone")])
        await append_turns(session, await create_chat(session, collection.id), [
            NewTurn("assistant", "unasked"),
        ])  # fmt: skip
    async with database.read() as session:
        found = await answered_questions(session)
    assert [(one.question, one.answer) for one in found] == [(f"{w}?", f"{w}!") for w in "abcde"]
    assert [one.answer_id for one in found] == answers
    assert {(one.chat_id, one.collection, one.found) for one in found} == {
        (chat_id, "papers", True)
    }
    assert found[0].history == []
    assert found[1].history == [("user", "a?"), ("assistant", "a!")]
    assert found[4].history == [
        (role, f"{word}{mark}")
        for word in "bcd"
        for role, mark in (("user", "?"), ("assistant", "!"))
    ]
    assert [one.rating and (one.rating.value, one.rating.note) for one in found] == [
        *[None] * 4,
        (DOWN, "no"),
    ]


async def test_answered_questions_are_chosen_by_rating_time_and_collection(
    database: Database, collection: Collection
) -> None:
    chat_id, *answers = await chat_with(database, collection, "a", "b", "c")
    async with database.write() as session:
        await put_rating(session, chat_id, answers[0], DOWN)
        await put_rating(session, chat_id, answers[2], UP)

    async def chosen(**how: object) -> str:
        async with database.read() as session:
            found = await answered_questions(session, **how)  # type: ignore[arg-type]
        return "".join(one.answer[0] for one in found)

    assert await chosen(rated=DOWN) == "a"
    assert await chosen(rated=UP) == "c"
    assert await chosen(limit=2) == "bc"
    assert await chosen(limit=1, rated=DOWN) == "a"
    assert await chosen(collection="papers") == "abc"
    assert await chosen(collection="others") == ""
    async with database.read() as session:
        second = (await answered_questions(session))[1].asked_at
    assert await chosen(since=second) == "bc"
    assert await chosen(since=second + timedelta(days=1)) == ""
