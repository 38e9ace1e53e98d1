"""Calls that are given up: by their caller, for silence, and for taking too long."""

import asyncio
from collections.abc import Callable

import pytest

from rostra.agents.mcp import McpToolset, ServerConfig
from rostra.agents.tools.tool import CallContext, ToolFailure
from tests.integration.agents.mcp.peer import REVISIONS, closing

CONTEXT = CallContext(run="r", call="r:1")


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_cancelled_call_is_cancelled_at_the_server(
    config: Callable[..., ServerConfig], revision: str
) -> None:
    begun = asyncio.Event()

    async def progress(_: str) -> None:
        begun.set()

    async with closing(McpToolset(config(protocol=revision))) as toolset:
        context = CallContext(run="r", call="r:1", progress=progress)
        call = asyncio.create_task(toolset.call("slow", {}, context))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await toolset.call("was_cancelled", {}, CONTEXT)).text == "yes"


@pytest.mark.parametrize("revision", REVISIONS)
async def test_silence_and_endless_progress_end_a_call(
    config: Callable[..., ServerConfig], revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    async def progress(text: str) -> None:
        told.append(text)

    patient = config(protocol=revision)
    async with closing(McpToolset(patient)) as toolset:
        await toolset.list()
        # Short only for calls that never end: others may take their time on a busy machine.
        with monkeypatch.context() as patch:
            patch.setattr(toolset, "_config", patient.model_copy(update={"idle_seconds": 1.0}))
            with pytest.raises(ToolFailure, match=r"no sign of life for 1 s") as silent:
                await toolset.call("slow", {}, CONTEXT)
        assert silent.value.began
        assert (await toolset.call("was_cancelled", {}, CONTEXT)).text == "yes"
        context = CallContext(run="r", call="r:2", progress=progress)
        with monkeypatch.context() as patch:
            patch.setattr(toolset, "_config", patient.model_copy(update={"absolute_seconds": 2.0}))
            with pytest.raises(ToolFailure, match="did not end in time") as endless:
                await toolset.call("chatter", {}, context)
        assert endless.value.began
        # It was heard, and so it was not its silence that ended it.
        assert len(told) > 1
        assert told[0].endswith("step 1")
        assert (await toolset.call("echo", {"text": "still here"}, CONTEXT)).text == "still here"


async def test_the_caller_can_allow_less_time(config: Callable[..., ServerConfig]) -> None:
    async with closing(McpToolset(config())) as toolset:
        await toolset.list()
        with pytest.raises(ToolFailure):
            await toolset.call("slow", {}, CallContext(run="r", call="r:1", timeout=0.3))
