"""Conversations: questions asked one after another of one collection, stored and continued.

What always holds: question and answer are stored together, once the answer is complete; an answer
that was broken off leaves no trace in the chat.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from rostra.answer.answerer import Answerer, Question
from rostra.answer.events import Answer, AnswerEvent, Done
from rostra.core import ChatMessage, QueryStrategyName, Role, normalize_text
from rostra.store import (
    DEFAULT_COLLECTION,
    Database,
    Filters,
    NewTurn,
    append_turns,
    create_chat,
    get_chat,
    get_collection,
    get_turns,
)

# Turns that a follow-up question is read with.
_HISTORY_TURNS = 6


def read_turns(turns: Sequence[tuple[str, str]]) -> tuple[ChatMessage, ...]:
    """What a follow-up question is read with: the last turns before it.

    Args:
        turns: (role, text), oldest first.
    """
    return tuple(ChatMessage(Role(role), text) for role, text in turns[-_HISTORY_TURNS:])


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a finished answer was put; follows `Done`."""

    chat_id: UUID
    message_id: UUID


class Conversations:
    """Asks within chats. Safe to share between tasks."""

    def __init__(self, database: Database, answerer: Answerer) -> None:
        self._database = database
        self._answerer = answerer

    async def ask(
        self,
        question: str,
        *,
        collection: str | None = None,
        chat_id: UUID | None = None,
        passages: int | None = None,
        filters: Filters | None = None,
        expand: tuple[QueryStrategyName, ...] | None = None,
    ) -> AsyncGenerator[AnswerEvent | Stored, None]:
        """Streams an answer and stores the turn; without a chat a new one begins.

        Args:
            question: the new question.
            collection: name; within a chat, that chat's own unless given.
            chat_id: the chat to continue.
            passages: how many passages to answer from.
            filters: on documents' metadata.
            expand: query strategies; None takes the setting.

        Raises:
            ChatNotFound: there is no such chat.
            CollectionNotFound: there is no such collection.
            InvalidRequest: the question is empty or too long.
        """
        question = normalize_text(question)
        history: tuple[ChatMessage, ...] = ()
        async with self._database.read() as session:
            if chat_id is not None:
                collection = collection or (await get_chat(session, chat_id)).collection
                turns = await get_turns(session, chat_id, last=_HISTORY_TURNS)
                history = read_turns([(turn.role, turn.text) for turn in turns])
            target = await get_collection(session, collection or DEFAULT_COLLECTION)
        asked = Question(question, (target.name,), history, filters, passages, expand)
        answer: Answer | None = None
        async with aclosing(self._answerer.stream(asked)) as events:
            async for event in events:
                if isinstance(event, Done):
                    answer = event.answer
                yield event
        if answer is None:
            raise RuntimeError("an answer's stream ended without its end")
        async with self._database.write() as session:
            if chat_id is None:
                chat_id = await create_chat(session, target.id, question)
            ids = await append_turns(
                session,
                chat_id,
                [
                    NewTurn(Role.USER, question),
                    NewTurn(
                        Role.ASSISTANT,
                        answer.answer,
                        answer.mode,
                        answer.found,
                        [_plain(asdict(citation)) for citation in answer.citations],
                    ),
                ],
            )
        yield Stored(chat_id, ids[-1])


def _plain(citation: dict[str, Any]) -> dict[str, Any]:
    return citation | {"document_id": str(citation["document_id"])}
