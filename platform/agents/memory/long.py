"""Long memory: facts about a user, kept between runs and recalled by what a task is about.

What always holds: a user's facts are recalled for that user alone; each has a source and may have
an end; the user sees and deletes every one of them. A fact is data, like any text: what a run read
somewhere becomes a fact only through a tool that is not read-only, so by the user's approval.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np

from rostra.agents.events import Effect, Origin
from rostra.agents.tools.tool import (
    CallContext,
    StaticToolset,
    ToolFailure,
    ToolInfo,
    ToolResult,
)
from rostra.core import (
    Embedder,
    FloatMatrix,
    FloatVector,
    InvalidRequest,
    collapse_whitespace,
    normalize_text,
)
from rostra.store import (
    Database,
    Memory,
    delete_memories,
    delete_memory,
    list_memories,
    put_memory,
)

MAX_FACT_CHARS = 1000
_MAX_QUERY_CHARS = 8000
_MAX_SOURCE_CHARS = 200
_MAX_FACTS = 1000
# 384 dimensions each: 3 MiB.
_MAX_VECTORS = 2000
_MAX_DAYS = 3650


class LongMemory:
    """See this module.

    Args:
        database: open for as long as this is used.
        embedder: loads or gives the embedding model, may block; None leaves recall to words alone.
        most: facts of one user; the ones longest not said again give way.
    """

    def __init__(
        self,
        database: Database,
        embedder: Callable[[], Embedder] | None = None,
        *,
        most: int = _MAX_FACTS,
    ) -> None:
        self._database = database
        self._embedder = embedder
        self._most = most
        # By text, least recently used first; facts change rarely and are read at every recall.
        self._vectors: OrderedDict[bytes, FloatVector] = OrderedDict()

    async def remember(
        self, user: str, text: str, *, source: str, keep: timedelta | None = None
    ) -> Memory:
        """Keeps a fact; one that is there gets the new source and end.

        Args:
            user: about whom.
            text: one statement, at most `MAX_FACT_CHARS` characters.
            source: who or what said so, such as `user` or `run <id>`.
            keep: for how long; None is for good.

        Raises:
            InvalidRequest: the text is empty or too long, or `keep` is not positive.
        """
        fact = collapse_whitespace(normalize_text(text))
        if not fact:
            raise InvalidRequest("a fact needs words", field="text")
        if len(fact) > MAX_FACT_CHARS:
            raise InvalidRequest(
                f"a fact has at most {MAX_FACT_CHARS} characters, not {len(fact)}", field="text"
            )
        if keep is not None and not timedelta() < keep <= timedelta(days=_MAX_DAYS):
            raise InvalidRequest(
                f"a fact is kept for more than nothing and at most {_MAX_DAYS} days", field="keep"
            )
        async with self._database.write() as session:
            return await put_memory(
                session,
                user,
                fact,
                source=normalize_text(source)[:_MAX_SOURCE_CHARS],
                expires_at=None if keep is None else datetime.now(UTC) + keep,
                most=self._most,
            )

    async def recall(self, user: str, query: str, k: int = 5) -> list[Memory]:
        """The facts that have to do with a query, best first, at most k.

        Raises:
            ModelUnavailable: the embedding model cannot be loaded.
        """
        async with self._database.read() as session:
            facts, _ = await list_memories(session, user, limit=self._most)
        if not facts or k < 1:
            return []
        asked = normalize_text(query)[:_MAX_QUERY_CHARS]
        return await asyncio.to_thread(self._best, facts, asked, k)

    async def facts(self, user: str, limit: int = 50, offset: int = 0) -> tuple[list[Memory], int]:
        """One page of a user's facts, the last said first, and how many there are in all."""
        async with self._database.read() as session:
            return await list_memories(session, user, limit, offset)

    async def forget(self, user: str, memory_id: UUID) -> None:
        """Deletes one fact.

        Raises:
            MemoryNotFound: the user has none with this id.
        """
        async with self._database.write() as session:
            await delete_memory(session, user, memory_id)

    async def forget_all(self, user: str) -> int:
        """Deletes all facts about a user; how many they were."""
        async with self._database.write() as session:
            return await delete_memories(session, user)

    def _best(self, facts: Sequence[Memory], query: str, k: int) -> list[Memory]:
        # Here, because it imports what the rest of a run does not need.
        from rostra.retrieval import TextIndex

        texts = [fact.text for fact in facts]
        if self._embedder is None:
            found = TextIndex(texts).best(query, k)
        else:
            embedder = self._embedder()
            index = TextIndex(texts, self._embed(embedder, texts))
            found = index.best(query, k, embedder.embed_query(query))
        return [facts[at] for at in found]

    def _embed(self, embedder: Embedder, texts: Sequence[str]) -> FloatMatrix:
        """The texts' vectors, computed once each; runs in threads, several at a time."""
        keys = [hashlib.sha256(text.encode()).digest() for text in texts]
        known = {key: self._vectors.get(key) for key in keys}
        missing = [at for at, key in enumerate(keys) if known[key] is None]
        if missing:
            made = embedder.embed_documents([texts[at] for at in missing])
            known |= {keys[at]: vector for at, vector in zip(missing, made, strict=True)}
        vectors = [known[key] for key in keys]
        # A dictionary's single steps are atomic; a vector that another thread drops is made again.
        for key, vector in zip(keys, vectors, strict=True):
            if vector is not None:
                self._vectors[key] = vector
        while len(self._vectors) > _MAX_VECTORS:
            self._vectors.popitem(last=False)
        return np.stack([vector for vector in vectors if vector is not None])


def memory_tools(memory: LongMemory) -> StaticToolset:
    """`recall` and `remember`, for the user that the run works for."""

    async def recall(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        facts = await memory.recall(context.user, arguments["query"], arguments.get("k", 5))
        lines = [f"{fact.text} (said by {fact.source})" for fact in facts]
        return ToolResult("\n".join(lines) or "Nothing is remembered about this.", Origin.TOOL)

    async def remember(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        days = arguments.get("days")
        keep = None if days is None else timedelta(days=days)
        try:
            fact = await memory.remember(
                context.user, arguments["fact"], source=f"run {context.run}", keep=keep
            )
        except InvalidRequest as error:
            raise ToolFailure(error.message, began=False) from None
        until = "" if fact.expires_at is None else f" until {fact.expires_at:%Y-%m-%d}"
        return ToolResult(f"Remembered{until}: {fact.text}", Origin.TOOL)

    return StaticToolset(((_RECALL, recall), (_REMEMBER, remember)))


_RECALL = ToolInfo(
    "recall",
    "Looks up what is remembered about the user from earlier conversations.",
    {
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "What it is about."},
            "k": {"type": "integer", "minimum": 1, "maximum": 20, "description": "Most facts."},
        },
        "required": ["query"],
        "additionalProperties": False,
    },
    Effect.READ,
)
_REMEMBER = ToolInfo(
    "remember",
    "Keeps one fact about the user for later conversations.",
    {
        "type": "object",
        "properties": {
            "fact": {"type": "string", "description": "One statement, understood on its own."},
            "days": {
                "type": "integer",
                "minimum": 1,
                "maximum": _MAX_DAYS,
                "description": "How long it is true; leave it out for good.",
            },
        },
        "required": ["fact"],
        "additionalProperties": False,
    },
    Effect.IDEMPOTENT,
)
