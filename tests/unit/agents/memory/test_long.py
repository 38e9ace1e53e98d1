"""Long memory: kept, recalled, ended and deleted, each user's apart."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from rostra.agents.events import Effect
from rostra.agents.memory.long import MAX_FACT_CHARS, LongMemory, memory_tools
from rostra.agents.tools.tool import CallContext, ToolFailure
from rostra.core import InvalidRequest
from rostra.store import Database, MemoryNotFound, open_database
from tests.fakes import FakeEmbedder


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with await open_database(f"sqlite:///{tmp_path / 'm.db'}") as opened:
        yield opened


async def fill(memory: LongMemory) -> None:
    for text in ("Ada drinks green tea", "Ada lives in Oslo", "The pump is noisy"):
        await memory.remember("ada", text, source="user")
    await memory.remember("bob", "Bob drinks green tea", source="user")


@pytest.mark.parametrize("hybrid", [False, True])
async def test_facts_are_recalled_by_what_they_are_about(database: Database, hybrid: bool) -> None:
    embedder = FakeEmbedder()
    memory = LongMemory(database, (lambda: embedder) if hybrid else None)
    assert await memory.recall("ada", "tea") == []
    await fill(memory)
    found = await memory.recall("ada", "which green tea?", k=1)
    assert [fact.text for fact in found] == ["Ada drinks green tea"]
    assert {fact.user for fact in await memory.recall("bob", "green tea pump Oslo")} == {"bob"}
    assert await memory.recall("carol", "green tea") == []
    if hybrid:
        assert len(embedder.embedded) == 4
        await memory.recall("ada", "Oslo")
        assert len(embedder.embedded) == 4  # each fact once


async def test_what_is_forgotten_or_over_is_not_recalled(database: Database) -> None:
    memory = LongMemory(database)
    await fill(memory)
    (tea,) = await memory.recall("ada", "tea")
    with pytest.raises(MemoryNotFound):
        await memory.forget("bob", tea.id)
    await memory.forget("ada", tea.id)
    assert await memory.recall("ada", "tea") == []
    kept = await memory.remember("ada", "tea\n is  over", source="user", keep=timedelta(days=1))
    assert kept.text == "tea is over"
    assert kept.expires_at is not None
    facts, total = await memory.facts("ada", limit=1)
    assert ([fact.text for fact in facts], total) == (["tea is over"], 3)
    assert await memory.forget_all("ada") == 3
    assert (await memory.facts("bob"))[1] == 1


async def test_memory_is_bounded(database: Database) -> None:
    memory = LongMemory(database, most=3)
    for n in range(6):
        await memory.remember("ada", f"tea number {n}", source="user")
    assert len(await memory.recall("ada", "tea", k=10)) == 3


@pytest.mark.parametrize(
    ("text", "keep"),
    [
        (" \n", None),
        ("x" * (MAX_FACT_CHARS + 1), None),
        ("tea", timedelta()),
        ("tea", timedelta(days=-1)),
        ("tea", timedelta(days=99999)),
    ],
)
async def test_bad_facts_are_refused(database: Database, text: str, keep: timedelta | None) -> None:
    with pytest.raises(InvalidRequest):
        await LongMemory(database).remember("ada", text, source="user", keep=keep)


async def test_hostile_text_is_stored_as_text(database: Database) -> None:
    memory = LongMemory(database)
    kept = await memory.remember("ada", "tea\0 \ud800 'x'; --", source="s\0")
    assert "\0" not in kept.text + kept.source
    assert await memory.recall("ada", "tea\0\ud800") == [kept]


async def test_runs_recall_and_remember_for_their_user(database: Database) -> None:
    memory = LongMemory(database)
    await fill(memory)
    tools = memory_tools(memory)
    effects = {info.name: info.effect for info in await tools.list()}
    assert effects == {"recall": Effect.READ, "remember": Effect.IDEMPOTENT}
    context = CallContext(str(uuid4()), "1", user="ada")
    result = await tools.call("recall", {"query": "tea"}, context)
    assert result.text == "Ada drinks green tea (said by user)"
    await tools.call("remember", {"fact": "Ada has a boat", "days": 2}, context)
    (boat,) = await memory.recall("ada", "boat")
    assert boat.source == f"run {context.run}"
    assert boat.expires_at is not None
    with pytest.raises(ToolFailure):
        await tools.call("remember", {"fact": " "}, context)
    nothing = await tools.call("recall", {"query": "zebra"}, context)
    assert nothing.text == "Nothing is remembered about this."
