"""What people think of answers, and the questions that those were answers to.

What always holds: only answers are rated, each at most once; the last word counts; a rating goes
with its message. A question is the message right before its answer, since both are stored together.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from rostra.core import InvalidRequest, NotFound
from rostra.store.tables import ChatRow, CollectionRow, MessageRow, RatingRow, utc_now

_HISTORY_TURNS = 6


class MessageNotFound(NotFound):
    """A chat has no message with this id."""

    code = "message_not_found"


class NotAnAnswer(InvalidRequest):
    """A message is a question; only answers are rated."""

    code = "not_an_answer"


class RatingValue(StrEnum):
    """A thumb."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Rating:
    """What somebody thinks of an answer; `note` is in their own words, or empty."""

    value: RatingValue
    note: str
    rated_at: datetime


@dataclass(frozen=True, slots=True)
class AnsweredQuestion:
    """A question that was asked in a chat, with the answer that it got.

    Attributes:
        answer_id: of the answer's message.
        history: (role, text) of the last messages before the question, oldest first.
    """

    chat_id: UUID
    collection: str
    answer_id: UUID
    question: str
    answer: str
    mode: str | None
    found: bool | None
    citations: list[dict[str, Any]]
    rating: Rating | None
    asked_at: datetime
    history: list[tuple[str, str]]


async def put_rating(
    session: AsyncSession, chat_id: UUID, message_id: UUID, value: RatingValue, note: str = ""
) -> Rating:
    """Rates an answer; an earlier rating of it is replaced.

    Args:
        session: a writing session.

    Raises:
        MessageNotFound: the chat is gone or has no such message.
        NotAnAnswer: the message is a question.
    """
    await _find_answer(session, chat_id, message_id)
    rating = Rating(RatingValue(value), note, utc_now())
    said = {"value": rating.value.value, "note": note, "rated_at": rating.rated_at}
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    query = make(RatingRow).values(message_id=message_id, **said)
    await session.execute(query.on_conflict_do_update(index_elements=["message_id"], set_=said))
    return rating


async def delete_rating(session: AsyncSession, chat_id: UUID, message_id: UUID) -> None:
    """Takes the rating of an answer back; one that has none stays without.

    Raises:
        MessageNotFound, NotAnAnswer: as for `put_rating`.
    """
    await _find_answer(session, chat_id, message_id)
    await session.execute(delete(RatingRow).where(RatingRow.message_id == message_id))


async def answered_questions(
    session: AsyncSession,
    *,
    rated: RatingValue | None = None,
    since: datetime | None = None,
    collection: str | None = None,
    limit: int = 1000,
) -> list[AnsweredQuestion]:
    """The questions asked last, with their answers, oldest first.

    Args:
        rated: only those whose answer is rated so.
        since: only those answered then or later; aware.
        collection: only those of chats about this one.
        limit: at most so many.
    """
    asked = aliased(MessageRow)
    query = (
        select(MessageRow, asked.text, RatingRow, CollectionRow.name)
        .join(
            asked,
            (asked.chat_id == MessageRow.chat_id) & (asked.ordinal == MessageRow.ordinal - 1),
        )
        .join(ChatRow, ChatRow.id == MessageRow.chat_id)
        .join(CollectionRow, CollectionRow.id == ChatRow.collection_id)
        .outerjoin(RatingRow, RatingRow.message_id == MessageRow.id)
        .where(MessageRow.role == "assistant", asked.role == "user")
        .order_by(MessageRow.created_at.desc(), MessageRow.id.desc())
        .limit(limit)
    )
    if rated is not None:
        query = query.where(RatingRow.value == rated.value)
    if since is not None:
        query = query.where(MessageRow.created_at >= since)
    if collection is not None:
        query = query.where(CollectionRow.name == collection)
    found = []
    for row, question, rating, name in (await session.execute(query)).all():
        found.append(
            AnsweredQuestion(
                chat_id=row.chat_id,
                collection=name,
                answer_id=row.id,
                question=question,
                answer=row.text,
                mode=row.mode,
                found=row.found,
                citations=row.citations,
                rating=rating_of(rating),
                asked_at=row.created_at,
                history=await _before(session, row.chat_id, row.ordinal - 1),
            )
        )
    return found[::-1]


def rating_of(row: RatingRow | None) -> Rating | None:
    """A row as a rating; None for none."""
    return None if row is None else Rating(RatingValue(row.value), row.note, row.rated_at)


async def _find_answer(session: AsyncSession, chat_id: UUID, message_id: UUID) -> None:
    # Held until the rating is written, so that it does not outlive its message.
    role = await session.scalar(
        select(MessageRow.role)
        .where(MessageRow.id == message_id, MessageRow.chat_id == chat_id)
        .with_for_update()
    )
    if role is None:
        raise MessageNotFound(f"chat {chat_id} has no message {message_id}")
    if role != "assistant":
        raise NotAnAnswer(f"message {message_id} is a question", hint="Rate its answer.")


async def _before(session: AsyncSession, chat_id: UUID, ordinal: int) -> list[tuple[str, str]]:
    if ordinal <= 0:
        return []
    rows = await session.execute(
        select(MessageRow.role, MessageRow.text)
        .where(MessageRow.chat_id == chat_id, MessageRow.ordinal < ordinal)
        .order_by(MessageRow.ordinal.desc())
        .limit(_HISTORY_TURNS)
    )
    return [(role, text) for role, text in rows][::-1]
