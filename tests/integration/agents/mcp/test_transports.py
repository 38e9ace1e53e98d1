"""The client against a real server, over both transports and in both revisions."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rostra.agents.events import Effect, Origin
from rostra.agents.mcp import McpToolset, ServerConfig
from rostra.agents.tools.tool import CallContext, ToolFailure
from tests.integration.agents.mcp.peer import (
    NOTE,
    REVISIONS,
    closing,
)

CONTEXT = CallContext(run="r", call="r:1")


@pytest.mark.parametrize("revision", REVISIONS)
async def test_tools_resources_and_prompts(
    config: Callable[..., ServerConfig], revision: str
) -> None:
    async with closing(
        McpToolset(config(protocol=revision, trust="annotations", cites=True, deny=("d*",)))
    ) as toolset:
        tools = {tool.name: tool for tool in await toolset.list()}
        assert toolset.protocol == revision
        assert "die" not in tools
        assert toolset.problems == ()
        assert tools["echo"].effect is Effect.READ
        assert tools["add"].effect is Effect.UNKNOWN
        assert tools["add"].parameters["required"] == ["a", "b"]
        assert tools["echo"].source == "peer"

        said = await toolset.call("echo", {"text": "ψ 🏛"}, CONTEXT)
        assert (said.text, said.is_error, said.origin) == ("ψ 🏛", False, Origin.TOOL)
        assert (await toolset.call("add", {"a": 2, "b": 3}, CONTEXT)).structured == {"total": 5}
        refused = await toolset.call("refuse", {}, CONTEXT)
        assert refused.is_error
        assert "no such city: Atlantis" in refused.text
        wrong = await toolset.call("add", {"a": "x"}, CONTEXT)
        assert wrong.is_error

        found = await toolset.call("find", {"query": "grain"}, CONTEXT)
        assert found.origin is Origin.DOCUMENT
        [span] = found.documents
        assert (span.document_id, span.start, span.end) == ("d1", 10, 10 + len(NOTE))
        assert found.text[span.at : span.at + span.end - span.start] == NOTE
        assert "longer than it says" in found.text

        uris = {(item.uri, item.template) for item in await toolset.resources()}
        assert uris == {("memo://note", False), ("memo://{name}/page", True)}
        assert NOTE in (await toolset.read_resource("memo://note")).text
        assert "page of 7" in (await toolset.read_resource("memo://7/page")).text
        [prompt] = await toolset.prompts()
        assert (prompt.name, prompt.arguments) == ("greet", (("name", True),))
        assert await toolset.get_prompt("greet", {"name": "Ann"}) == (
            ("user", "Say hello to Ann."),
        )
        with pytest.raises(ToolFailure, match="memo://none"):
            await toolset.read_resource("memo://none")
    with pytest.raises(ToolFailure, match="closed") as failure:
        await toolset.call("echo", {"text": "late"}, CONTEXT)
    assert not failure.value.began


async def test_the_newest_common_revision_is_taken(config: Callable[..., ServerConfig]) -> None:
    async with closing(McpToolset(config())) as toolset:
        await toolset.list()
        assert toolset.protocol == "2026-07-28"


async def test_many_calls_side_by_side_some_given_up(config: Callable[..., ServerConfig]) -> None:
    async with closing(McpToolset(config())) as toolset:
        calls = [
            asyncio.create_task(toolset.call("echo", {"text": str(number)}, CONTEXT))
            for number in range(40)
        ]
        slow = [asyncio.create_task(toolset.call("slow", {}, CONTEXT)) for _ in range(10)]
        results = await asyncio.gather(*calls)
        assert [result.text for result in results] == [str(number) for number in range(40)]
        for call in slow:
            call.cancel()
        ended = await asyncio.gather(*slow, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended)
        assert (await toolset.call("echo", {"text": "after"}, CONTEXT)).text == "after"


async def test_binary_parts_and_files_are_described(config: Callable[..., ServerConfig]) -> None:
    async with closing(McpToolset(config())) as toolset:
        result = await toolset.call("mixed", {}, CONTEXT)
    assert result.text == (
        "first\n[image, image/png, 1,008 bytes, not shown]\n"
        f"[resource memo://a]\n{NOTE}\n"
        "[resource memo://b, application/zip, 4 bytes, not shown]\n"
        "[resource memo://c (c): more of it]"
    )
    assert result.size is not None
    assert result.size > 1008


async def test_requests_to_the_person_are_refused_politely(
    config: Callable[..., ServerConfig],
) -> None:
    async with closing(McpToolset(config(protocol="2025-11-25"))) as toolset:
        asked = await toolset.call("ask", {}, CONTEXT)
        assert asked.is_error
        assert "Elicitation not supported" in asked.text
        assert (await toolset.call("echo", {"text": "on"}, CONTEXT)).text == "on"


@pytest.mark.parametrize(
    "arguments",
    [{"text": float("nan")}, {"text": "\ud800"}, {"text": {1, 2}}, {"text": b"bytes"}],
)
async def test_arguments_that_are_no_json_end_no_connection(
    config: Callable[..., ServerConfig], arguments: dict[str, Any]
) -> None:
    async with closing(McpToolset(config(protocol="2025-11-25"))) as toolset:
        beside = asyncio.create_task(toolset.call("slow", {}, CONTEXT))
        with pytest.raises(ToolFailure, match="cannot be sent as JSON") as failure:
            await toolset.call("echo", arguments, CONTEXT)
        assert not failure.value.began
        assert (await toolset.call("echo", {"text": "on"}, CONTEXT)).text == "on"
        assert not beside.done()
        beside.cancel()


async def test_resources_as_tools(config: Callable[..., ServerConfig]) -> None:
    async with closing(McpToolset(config(offer_resources=True))) as toolset:
        tools = {tool.name: tool for tool in await toolset.list()}
        assert tools["read_resource"].effect is Effect.UNKNOWN
        listed = await toolset.call("list_resources", {}, CONTEXT)
        assert "memo://note note: A note." in listed.text
        assert "memo://{name}/page (a template: fill in the braces)" in listed.text
        assert NOTE in (await toolset.call("read_resource", {"uri": "memo://note"}, CONTEXT)).text
        for wrong in ({"uri": "memo://none"}, {"uri": 7}):
            with pytest.raises(ToolFailure):
                await toolset.call("read_resource", wrong, CONTEXT)
