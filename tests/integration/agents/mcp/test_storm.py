"""Servers that die and come back under many calls: what a failure says of a call is true."""

import asyncio
import random

import psutil
import pytest

from rostra.agents.mcp import McpToolset, ServerConfig
from rostra.agents.tools.tool import CallContext, ToolFailure
from tests.integration.agents.mcp.peer import REVISIONS, Served, State, build, closing, over_stdio

ROUNDS = 6
CALLERS = 12


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("seed", [1, 2])
async def test_no_call_is_made_twice_and_none_that_never_began(revision: str, seed: int) -> None:
    chance, patience = random.Random(seed), random.Random(seed)
    state = State()
    outcomes: dict[str, str] = {}
    ended: asyncio.Queue[str] = asyncio.Queue()
    over = False

    async def caller(number: int, toolset: McpToolset) -> None:
        count = 0
        while not over:
            count += 1
            text = f"{number}.{count}"
            context = CallContext(run="r", call=text, timeout=patience.choice([0.01, 5, 5]))
            try:
                result = await toolset.call("echo", {"text": text}, context)
            except ToolFailure as failure:
                outcomes[text] = "began" if failure.began else "never"
                await asyncio.sleep(0)
            else:
                assert (result.text, result.is_error) == (text, False)
                outcomes[text] = "done"
            ended.put_nowait(text)

    first = Served(build(state).streamable_http_app())
    port = first.port
    async with closing(
        McpToolset(ServerConfig(approve_first=True, name="peer", url=first.url, protocol=revision))
    ) as toolset:
        served: Served | None = first
        await first.__aenter__()
        try:
            callers = [asyncio.create_task(caller(n, toolset)) for n in range(CALLERS)]
            for _ in range(ROUNDS):
                for _ in range(chance.randint(20, 60)):
                    await ended.get()
                if served is None:
                    served = await Served(build(state).streamable_http_app(), port).__aenter__()
                    continue
                served.drop()
                if chance.random() < 0.7:
                    await served.__aexit__()
                    served = None
            over = True
            await asyncio.gather(*callers)
        finally:
            over = True
            if served is not None:
                await served.__aexit__()
    assert set(outcomes.values()) >= {"done", "never"}
    assert len(state.calls) == len(set(state.calls))
    began = set(state.calls)
    assert {text for text, outcome in outcomes.items() if outcome == "done"} <= began
    assert not {text for text, outcome in outcomes.items() if outcome == "never"} & began


async def test_a_child_that_keeps_dying_leaves_nothing_behind() -> None:
    before = children()
    async with closing(McpToolset(over_stdio())) as toolset:

        async def one(number: int) -> str:
            name = "die" if number % 4 == 3 else "echo"
            arguments = {} if name == "die" else {"text": str(number)}
            try:
                result = await toolset.call(name, arguments, CallContext(run="r", call=str(number)))
            except ToolFailure as failure:
                return "began" if failure.began else "never"
            return result.text

        ended = await asyncio.gather(*(one(number) for number in range(12)))
        assert all(end in {str(number), "began"} for number, end in enumerate(ended))
        assert (await one(100)) == "100"
        assert len(children() - before) == 1
    assert children() == before


def children() -> set[psutil.Process]:
    """Processes that this one has started and that are not over."""
    return set(psutil.Process().children())


async def test_opening_and_closing_at_once_ends_well() -> None:
    before = children()
    toolsets = [McpToolset(over_stdio()) for _ in range(3)]
    lists = [asyncio.create_task(toolset.list()) for toolset in toolsets]
    await asyncio.sleep(0)
    await asyncio.gather(*(toolset.close() for toolset in toolsets))
    ended = await asyncio.gather(*lists, return_exceptions=True)
    assert all(isinstance(end, ToolFailure) and not end.began for end in ended)
    assert children() == before
