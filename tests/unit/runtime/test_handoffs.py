"""Agents of the settings: what is wrong with them, to whom they are offered, what they can do."""

from typing import Any

import pytest

from rostra.agents import Effect, Handed, ToolInfo
from rostra.core import ConfigError, Settings
from rostra.runtime.handoffs import effect_of, load_agents, offered, tool_name

SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}
TOOLS = [
    ToolInfo("search", "", SCHEMA, Effect.READ),
    ToolInfo("files__read", "", SCHEMA, Effect.READ),
    ToolInfo("files__write", "", SCHEMA, Effect.WRITE),
]


def settings(**agents: dict[str, Any]) -> Settings:
    return Settings(agents=agents)


def agent(*tools: str, **more: Any) -> dict[str, Any]:
    return {"description": "Helps.", "tools": list(tools)} | more


@pytest.mark.parametrize(
    ("agents", "said"),
    [
        ({"a": {"tools": ["search"]}}, "agents.a.*description"),
        ({"a": {"description": "x"}}, "agents.a.*tools"),
        ({"a": agent()}, "agents.a.*tools"),
        ({"a": agent("search", shares=1)}, "agents.a.*shares"),
        ({"a": agent("search", share=0)}, "agents.a.*share"),
        ({"a": agent("search", share=1.5)}, "agents.a.*share"),
        ({"a": agent("search", approve=["x"])}, "agents.a.*approve"),
        ({"a": agent("search", strategy="magic")}, "agents.a.*magic"),
        ({"a": agent("search", options={"magic": 1})}, "agents.a.*magic"),
        ({"A b": agent("search")}, "agents.A b"),
        ({"a__b": agent("search")}, "agents.a__b"),
        ({f"a{n}": agent("search") for n in range(51)}, "51"),
    ],
)
def test_what_is_wrong_is_said(agents: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_agents(settings(**agents))


def test_an_agent_is_offered_where_patterns_name_it_and_not_to_itself() -> None:
    agents = load_agents(settings(one=agent("search"), two=agent("search")))
    assert [*offered(agents, None, None, 1)] == ["one", "two"]
    assert [*offered(agents, ["agent__one"], None, 1)] == ["one"]
    assert [*offered(agents, ["agent"], None, 1)] == ["one", "two"]
    assert [*offered(agents, ["search"], None, 1)] == []
    assert [*offered(agents, None, None, 0)] == []
    assert [*offered(agents, None, Handed("one", 1), 1)] == []
    assert [*offered(agents, None, Handed("one", 1), 2)] == ["two"]
    assert tool_name("one") == "agent__one"


@pytest.mark.parametrize(
    ("tools", "depth", "missing", "effect"),
    [
        (["search", "files__read"], 1, [], Effect.READ),
        (["search", "files"], 1, [], Effect.UNKNOWN),
        (["*"], 1, [], Effect.UNKNOWN),
        (["nothing"], 1, [], None),
        # What cannot be asked may write.
        (["search", "mail"], 1, ["mail"], Effect.UNKNOWN),
        (["search"], 1, ["mail"], Effect.READ),
        # It can hand on to one who writes, unless that is too deep.
        (["search", "agent__writer"], 1, [], Effect.READ),
        (["search", "agent__writer"], 2, [], Effect.UNKNOWN),
    ],
)
def test_what_an_agent_can_do(
    tools: list[str], depth: int, missing: list[str], effect: Effect | None
) -> None:
    agents = load_agents(settings(one=agent(*tools), writer=agent("files__write")))
    assert effect_of("one", agents, TOOLS, missing, Handed("one"), depth) == effect
