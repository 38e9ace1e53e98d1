"""Answers that cannot be read: they end their own request at once, and cost nothing else."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rostra.agents.mcp import McpToolset
from rostra.agents.tools.catalog import Catalog
from rostra.agents.tools.tool import CallContext, ToolFailure
from tests.integration.agents.mcp.peer import closing
from tests.integration.agents.mcp.test_stdio import raw, script

CONTEXT = CallContext(run="r", call="r:1")
# Below every deadline of a connection, far above what an answer takes.
AT_ONCE = 25
PLAIN = {"type": "object"}
WRITES = (
    "line = {line}\n"
    "            sys.stdout.buffer.write("
    'line.replace(b"ID", json.dumps(asked["id"]).encode()) + b"\\n")\n'
    "            sys.stdout.flush()"
)


def nested(levels: int) -> str:
    """Python that makes a list of so many levels."""
    return f'json.loads("[" * {levels} + "]" * {levels})'


def answering(line: str) -> str:
    """A server whose only tool answers with these bytes, given as Python; ID is the request's."""
    return raw(WRITES.format(line=line))


@pytest.mark.parametrize("value", [nested(300), nested(900), 'float("inf")', 'float("nan")'])
async def test_a_schema_that_cannot_be_read_costs_no_other_tool(tmp_path: Path, value: str) -> None:
    odd = {"name": "odd", "inputSchema": PLAIN | {"examples": "VALUE"}}
    tools = [{"name": f"good{n}", "inputSchema": PLAIN} for n in range(3)]
    code = raw("pass", [*tools[:2], odd, tools[2]]).replace("'VALUE'", value)
    async with closing(McpToolset(script(tmp_path, code))) as toolset:
        async with asyncio.timeout(AT_ONCE):
            catalog = await Catalog.open({"peer": toolset})
    assert [tool.name for tool in catalog.tools] == ["peer__good0", "peer__good1", "peer__good2"]
    assert any("odd" in problem for problem in catalog.problems)


async def test_an_output_schema_that_is_cut_is_none_that_all_results_fail(tmp_path: Path) -> None:
    tool = {"name": "t", "inputSchema": PLAIN, "outputSchema": PLAIN | {"examples": "VALUE"}}
    answer = 'say(asked["id"], {"content": [], "structuredContent": {"n": 1}})'
    code = raw(answer, [tool]).replace("'VALUE'", nested(300))
    async with closing(McpToolset(script(tmp_path, code))) as toolset:
        async with asyncio.timeout(AT_ONCE):
            assert not (await toolset.call("t", {}, CONTEXT)).is_error


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (
            """b'{"jsonrpc":"2.0","id":ID,"result":{"content":[],"structuredContent":{"x":'"""
            """ + b"[" * 300 + b"]" * 300 + b"}}}" """,
            "nested deeper than",
        ),
        (
            """b'{"result":{"content":[],"structuredContent":{"id":77,"x":'"""
            """ + b"[" * 30_000 + b"]" * 30_000 + b'}},"jsonrpc":"2.0","id":ID}'""",
            "nested deeper than",
        ),
        ("""b'{"jsonrpc":"2.0","id":ID,"result":null}'""", "result"),
        ("""b'{"jsonrpc":"2.0","id":ID}'""", "result"),
        ("""b'{"jsonrpc":"2.0","id":ID,"result":{"content":[}}'""", "no JSON"),
        ("""b'{"jsonrpc":"2.0","id":ID,"result":{"content":'""", "no JSON"),
        ("""b'{"id":ID,"result":{"content":[]}}'""", "jsonrpc"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_an_observation(
    tmp_path: Path, line: str, why: str
) -> None:
    async with closing(McpToolset(script(tmp_path, answering(line)))) as toolset:
        async with asyncio.timeout(AT_ONCE):
            result = await toolset.call("t", {}, CONTEXT)
        assert result.is_error
        assert result.text.startswith("The tool ran, but its answer is not valid: ")
        assert why in result.text
        assert "pydantic" not in result.text
        # The server has lost nothing by it.
        assert len(await toolset.list()) == 1


@pytest.mark.parametrize(
    ("said", "read"),
    [(rb"caf\xff", "caf\ufffd"), (rb"caf\\ud800", "caf\ufffd"), (rb"\\ud83d\\ude00", "\U0001f600")],
)
async def test_a_character_that_is_none_is_replaced(tmp_path: Path, said: bytes, read: str) -> None:
    line = """b'{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"SAID"}]}}'"""
    code = answering(line.replace("SAID", said.decode()))
    async with closing(McpToolset(script(tmp_path, code))) as toolset:
        async with asyncio.timeout(AT_ONCE):
            result = await toolset.call("t", {}, CONTEXT)
    assert (result.text, result.is_error) == (read, False)


async def test_a_list_that_cannot_be_read_is_told_at_once(tmp_path: Path) -> None:
    code = raw("pass").replace('say(asked["id"], {"tools"', 'say(asked["id"], [{"tools"')
    code = code.replace("}}])", "}}]])").replace("}]})", "}]}])")
    async with closing(McpToolset(script(tmp_path, code))) as toolset:
        async with asyncio.timeout(AT_ONCE):
            with pytest.raises(ToolFailure, match="its answer cannot be read: result: "):
                await toolset.list()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            [{"type": "text", "text": "a"}, {"type": "hologram", "x": 1}],
            "a\n[content of the unknown type 'hologram', not shown]",
        ),
        (
            [{"type": "image"}, {"type": "text", "text": "b"}],
            "[image that breaks the protocol (data: ",
        ),
        ([5, {"type": "text", "text": "c"}], "[content without a type, not shown]\nc"),
    ],
)
async def test_content_of_a_kind_that_is_not_known_costs_only_itself(
    tmp_path: Path, content: list[Any], text: str
) -> None:
    code = raw(f'say(asked["id"], {{"content": {content!r}}})')
    async with closing(McpToolset(script(tmp_path, code))) as toolset:
        result = await toolset.call("t", {}, CONTEXT)
    assert not result.is_error
    assert result.text.startswith(text)
    assert content[-1].get("text", "") in result.text


async def test_what_is_wrong_with_an_answer_is_said_without_the_library(tmp_path: Path) -> None:
    code = raw("""say(asked["id"], {"content": [], "structuredContent": "no object"})""")
    async with closing(McpToolset(script(tmp_path, code))) as toolset:
        result = await toolset.call("t", {}, CONTEXT)
    assert result.text == (
        "The tool ran, but its answer is not valid: "
        "structuredContent: Input should be a valid dictionary"
    )
