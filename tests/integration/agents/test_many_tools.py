"""A run with more tools than a prompt holds: found by meaning too, and no evidence for anything."""

import json
from typing import Any

import pytest

from rostra.agents import (
    Decided,
    Equipped,
    ModelAsked,
    RunEnded,
    RunRequest,
    ToolEnded,
    read_log,
)
from rostra.core import Settings
from rostra.models import ScriptedModel
from rostra.runtime import open_runtime
from tests.agent_parts import final
from tests.fakes import FakeEmbedder

SEARCH_TOOLS = "search_tools"
FIND = json.dumps(
    {"thought": "t", "action": [{"tool": SEARCH_TOOLS, "args": {"query": "topic 7"}}]}
)


def agents(count: int) -> dict[str, dict[str, Any]]:
    return {
        f"helper{at}": {"description": f"Knows all about topic {at}.", "tools": ["search"]}
        for at in range(count)
    }


async def events_of(settings: Settings, monkeypatch: pytest.MonkeyPatch, *said: str) -> Any:
    embedder = FakeEmbedder()
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: embedder)
    async with open_runtime(settings, ScriptedModel(list(said))) as runtime:
        request = RunRequest(
            task="What is topic 7?", budget=runtime.workshop.budget, tools=["search", "agent__*"]
        )
        run_id = await runtime.agents.start(request)
        end = (await runtime.agents.wait(run_id)).event
        assert isinstance(end, RunEnded)
        replay = await runtime.agents.replay(run_id)
        assert replay.difference is None
        return embedder, [one.event for one in await read_log(runtime.database, run_id)]


async def test_tools_are_found_by_meaning_and_are_no_evidence(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = settings.model_copy(update={"agents": agents(30)})
    embedder, events = await events_of(
        many, monkeypatch, FIND, final("Helper 7 knows.", 1), final("I do not know.")
    )
    (equipped,) = [one for one in events if isinstance(one, Equipped)]
    assert len(equipped.tools) == 32
    # Each once, though they are chosen from, searched and chosen from again.
    assert len(embedder.embedded) == len(set(embedder.embedded)) == 31
    assert any("topic 7" in text for text in embedder.embedded)
    (found,) = [one for one in events if isinstance(one, ToolEnded)]
    assert "agent__helper7" in found.text
    mistakes = [one.error for one in events if isinstance(one, Decided) and one.error]
    assert len(mistakes) == 1, "no sentence has the number 1"
    assert len([one for one in events if isinstance(one, ModelAsked)]) == 3


async def test_of_few_tools_none_is_embedded(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = settings.model_copy(update={"agents": agents(5)})
    embedder, events = await events_of(few, monkeypatch, final("I do not know."))
    assert not embedder.embedded
    (equipped,) = [one for one in events if isinstance(one, Equipped)]
    assert SEARCH_TOOLS not in {tool.name for tool in equipped.tools}
