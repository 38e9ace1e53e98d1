"""Conversations: appended to, reopened, listed by last use."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import ChatNotFound, collapse_whitespace
from rostra.store.ratings import Rating, rating_of
from rostra.store.tables import ChatRow, CollectionRow, MessageRow, RatingRow, utc_now

_TITLE_CHARS = 120


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation without its turns."""

    id: UUID
    title: str
    collection: str
    messages: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a chat; `mode`, `found`, `citations` and `rating` are of answers only."""

    id: UUID
    role: str
    text: str
    mode: str | None
    found: bool | None
    citations: list[dict[str, Any]]
    created_at: datetime
    rating: Rating | None = None


@dataclass(frozen=True, slots=True)
class NewTurn:
    """A message to be appended."""

    role: str
    text: str
    mode: str | None = None
    found: bool | None = None
    citations: list[dict[str, Any]] = field(default_factory=list)


async def create_chat(session: AsyncSession, collection_id: UUID, title: str = "") -> UUID:
    """Makes an empty chat; an empty title is filled by the first question."""
    row = ChatRow(collection_id=collection_id, title=_short(title))
    session.add(row)
    await session.flush()
    return row.id


async def append_turns(session: AsyncSession, chat_id: UUID, turns: list[NewTurn]) -> list[UUID]:
    """Adds messages at the end of a chat; returns their ids.

    Raises:
        ChatNotFound: the chat is gone.
    """
    chat = await session.scalar(select(ChatRow).where(ChatRow.id == chat_id).with_for_update())
    if chat is None:
        raise _missing(chat_id)
    last = await session.scalar(
        select(func.max(MessageRow.ordinal)).where(MessageRow.chat_id == chat_id)
    )
    at = 0 if last is None else last + 1
    rows = [
        MessageRow(
            chat_id=chat_id,
            ordinal=at + position,
            role=turn.role,
            text=turn.text,
            mode=turn.mode,
            found=turn.found,
            citations=turn.citations,
        )
        for position, turn in enumerate(turns)
    ]
    session.add_all(rows)
    chat.updated_at = utc_now()
    chat.title = chat.title or _short(next((turn.text for turn in turns), ""))
    await session.flush()
    return [row.id for row in rows]


async def get_chat(session: AsyncSession, chat_id: UUID) -> Chat:
    """A chat by id.

    Raises:
        ChatNotFound: there is none.
    """
    found = (await session.execute(_chats().where(ChatRow.id == chat_id))).one_or_none()
    if found is None:
        raise _missing(chat_id)
    return _chat(*found)


async def list_chats(
    session: AsyncSession, limit: int = 50, offset: int = 0
) -> tuple[list[Chat], int]:
    """One page of chats, the last used first, and how many there are in all."""
    total = await session.scalar(select(func.count()).select_from(ChatRow))
    rows = await session.execute(
        _chats().order_by(ChatRow.updated_at.desc(), ChatRow.id.desc()).limit(limit).offset(offset)
    )
    return [_chat(*row) for row in rows], total or 0


async def get_turns(session: AsyncSession, chat_id: UUID, last: int = 200) -> list[Turn]:
    """The last messages of a chat, oldest first.

    Raises:
        ChatNotFound: there is no such chat.
    """
    found = await session.execute(
        select(MessageRow, RatingRow)
        .outerjoin(RatingRow, RatingRow.message_id == MessageRow.id)
        .where(MessageRow.chat_id == chat_id)
        .order_by(MessageRow.ordinal.desc())
        .limit(last)
    )
    rows = [_turn(*row) for row in found]
    if not rows:
        await get_chat(session, chat_id)
    return rows[::-1]


async def delete_chat(session: AsyncSession, chat_id: UUID) -> None:
    """Removes a chat and its messages.

    Raises:
        ChatNotFound: there is none.
    """
    await get_chat(session, chat_id)
    await session.execute(delete(ChatRow).where(ChatRow.id == chat_id))


def _chats() -> Select[ChatRow, str, int]:
    count = (
        select(func.count())
        .where(MessageRow.chat_id == ChatRow.id)
        .correlate(ChatRow)
        .scalar_subquery()
    )
    return select(ChatRow, CollectionRow.name, count).join(
        CollectionRow, CollectionRow.id == ChatRow.collection_id
    )


def _chat(row: ChatRow, collection: str, messages: int) -> Chat:
    return Chat(row.id, row.title, collection, messages, row.created_at, row.updated_at)


def _turn(row: MessageRow, rating: RatingRow | None) -> Turn:
    return Turn(
        row.id,
        row.role,
        row.text,
        row.mode,
        row.found,
        row.citations,
        row.created_at,
        rating_of(rating),
    )


def _short(title: str) -> str:
    return collapse_whitespace(title)[:_TITLE_CHARS]


def _missing(chat_id: UUID) -> ChatNotFound:
    return ChatNotFound(f"there is no chat {chat_id}")
