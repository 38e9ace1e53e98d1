"""Tools that change under their names are not offered and not called."""

import asyncio
from collections.abc import Callable

import pytest

from rostra.agents.mcp import McpToolset, MemoryPins, ServerConfig
from rostra.agents.tools.tool import CallContext, ToolFailure
from tests.integration.agents.mcp.peer import (
    REVISIONS,
    Served,
    closing,
    many,
)

CONTEXT = CallContext(run="r", call="r:1")


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_changed_tool_is_not_offered_until_approved_again(
    config: Callable[..., ServerConfig], revision: str
) -> None:
    pins = MemoryPins()
    async with closing(McpToolset(config(protocol=revision), pins=pins)) as toolset:
        await toolset.call("echo", {"text": "1"}, CONTEXT)
        await toolset.call("change", {}, CONTEXT)
        # Reads the list anew, whether or not the server has said so by then.
        await toolset.survey()
        assert "echo" not in {tool.name for tool in await toolset.list()}
        [problem] = toolset.problems
        assert problem.startswith("changed since approved: echo (`rostra mcp approve peer`")
        with pytest.raises(ToolFailure, match="changed since it was approved") as failure:
            await toolset.call("echo", {"text": "2"}, CONTEXT)
        assert not failure.value.began
        [changed] = seen = await toolset.waiting(["echo"])
        assert changed.info.name == "echo"
        # What was approved before can still be read.
        assert "Say it again." in (await toolset.approved())["echo"]
        assert "a copy to somebody else" in changed.told
        await toolset.approve(seen, by="ann")
        assert (await toolset.call("echo", {"text": "3"}, CONTEXT)).text == "3"
        assert "echo" in {tool.name for tool in await toolset.list()}


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_change_that_the_server_tells_of_is_seen_by_the_next_call(
    config: Callable[..., ServerConfig], revision: str
) -> None:
    async with closing(McpToolset(config(protocol=revision))) as toolset:
        await toolset.call("change", {}, CONTEXT)
        async with asyncio.timeout(60):
            while True:  # the notice may come after the result
                try:
                    await toolset.call("echo", {"text": "x"}, CONTEXT)
                except ToolFailure as failure:
                    assert not failure.began
                    break


async def test_nothing_is_approved_unasked_where_the_configuration_says_so(
    config: Callable[..., ServerConfig],
) -> None:
    async with closing(McpToolset(config(approve_first=False))) as toolset:
        assert await toolset.list() == []
        [problem] = toolset.problems
        assert problem.startswith("not approved yet: echo, add")
        with pytest.raises(ToolFailure, match="has not been approved"):
            await toolset.call("echo", {"text": "x"}, CONTEXT)
        with pytest.raises(ToolFailure, match="no tool 'nothing'"):
            await toolset.waiting(["nothing"])
        await toolset.approve(await toolset.waiting(["add"]), by="ann")
        assert [tool.name for tool in await toolset.list()] == ["add"]
        await toolset.approve(await toolset.waiting(), by="ann")
        assert len(await toolset.list()) == 15


async def test_what_is_approved_is_what_was_seen(config: Callable[..., ServerConfig]) -> None:
    async with closing(McpToolset(config(approve_first=False))) as toolset:
        seen = await toolset.waiting(["echo", "change"])
        await toolset.approve([tool for tool in seen if tool.info.name == "change"], by="ann")
        await toolset.call("change", {}, CONTEXT)
        await toolset.approve(seen, by="ann")  # As they were when somebody read them.
        await toolset.survey()
        assert [tool.name for tool in await toolset.list()] == ["change"]
        assert any("changed since approved: echo" in problem for problem in toolset.problems)


async def test_five_thousand_tools_on_pages_and_a_list_without_end() -> None:
    pages = many(5000, 250).streamable_http_app()
    async with (
        Served(pages) as served,
        closing(
            McpToolset(ServerConfig(approve_first=True, name="many", url=served.url))
        ) as toolset,
    ):
        tools = await toolset.list()
        assert [tool.name for tool in tools] == [f"tool_{n}" for n in range(5000)]
        assert (await toolset.call("tool_4999", {}, CONTEXT)).text == "tool_4999"
    endless = many(0, 100, endless=True).streamable_http_app()
    async with (
        Served(endless) as served,
        closing(
            McpToolset(
                ServerConfig(approve_first=True, name="many", url=served.url, max_tools=1000)
            )
        ) as toolset,
    ):
        assert len(await toolset.list()) == 1000
        assert toolset.problems == ("its list has no end or is too long; read 1,000 of it",)
