"""Servers as child processes: what they see, how they end, and what they may write."""

import asyncio
import os
import select
import sys
from pathlib import Path
from typing import Any

import pytest

from rostra.agents.mcp import McpToolset, ServerConfig, stdio
from rostra.agents.tools.catalog import Catalog
from rostra.agents.tools.tool import CallContext, ToolFailure
from tests.integration.agents.mcp.peer import (
    REVISIONS,
    closing,
    over_stdio,
)

CONTEXT = CallContext(run="r", call="r:1")


def script(tmp_path: Path, code: str, **settings: Any) -> ServerConfig:
    """A server over stdio whose every byte is written by hand."""
    path = tmp_path / "server.py"
    path.write_text(code, encoding="utf-8")
    return ServerConfig(
        name="peer",
        command=sys.executable,
        args=(str(path),),
        **({"approve_first": True} | settings),
    )


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_dying_child_fails_its_call_and_the_next_one_starts_another(revision: str) -> None:
    async with closing(McpToolset(over_stdio(protocol=revision))) as toolset:
        await toolset.list()
        beside = asyncio.create_task(toolset.call("slow", {}, CONTEXT))
        with pytest.raises(ToolFailure, match="exited with status 3") as failure:
            await toolset.call("die", {}, CONTEXT)
        assert failure.value.began
        with pytest.raises(ToolFailure) as other:
            await beside
        assert other.value.began
        assert (await toolset.call("echo", {"text": "new"}, CONTEXT)).text == "new"


async def test_a_child_sees_a_minimal_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "s")
    monkeypatch.setenv("HANDED_ON", "h")
    given = over_stdio(env={"GIVEN": "g"}, pass_env=("HANDED_ON",))
    async with closing(McpToolset(given)) as toolset:
        names = set((await toolset.call("environment", {}, CONTEXT)).structured["result"])
    assert {"GIVEN", "HANDED_ON", "PATH"} <= names
    assert "SECRET_TOKEN" not in names
    assert len(names) < 12


async def test_what_a_child_writes_to_stderr_is_logged_without_its_colours(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level("INFO", logger="rostra.agents.mcp"):
        async with closing(McpToolset(over_stdio())) as toolset:
            await toolset.call("noise", {}, CONTEXT)
    assert "low on parchment" in caplog.text or "low on parchment" in capfd.readouterr().out
    assert "\x1b[31m" not in caplog.text


async def test_a_child_and_what_it_started_are_gone_after_close() -> None:
    async with closing(McpToolset(over_stdio())) as toolset:
        grandchild = int((await toolset.call("spawn", {}, CONTEXT)).text)
        handle = os.pidfd_open(grandchild)
        assert select.select([handle], [], [], 0)[0] == []
    # Readable once it is dead; the kill is sent, so that is a matter of scheduling.
    assert select.select([handle], [], [], 60)[0] == [handle]
    os.close(handle)


ANSWERS = """
import json, sys
def say(id, result):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": id, "result": result}) + "\\n")
    sys.stdout.flush()
print("Welcome to the server!", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    match asked["method"]:
        case "initialize":
            say(asked["id"], {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                "serverInfo": {"name": "raw", "version": "1"}})
        case "tools/list":
            say(asked["id"], {"tools": TOOLS})
        case "tools/call":
            CALL
        case method if "id" in asked:
            error = {"code": -32601, "message": "no such method"}
            print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": error}), flush=True)
"""


def raw(call: str, tools: list[dict[str, Any]] | None = None) -> str:
    listed = tools or [{"name": "t", "inputSchema": {"type": "object"}}]
    return ANSWERS.replace("CALL", call).replace("TOOLS", repr(listed))


async def test_lines_that_are_no_messages_are_passed_over(tmp_path: Path) -> None:
    config = script(
        tmp_path, raw('say(asked["id"], {"content": [{"type": "text", "text": "ok"}]})')
    )
    async with closing(McpToolset(config)) as toolset:
        assert (await toolset.call("t", {}, CONTEXT)).text == "ok"
        assert toolset.protocol == "2025-11-25"


@pytest.mark.parametrize(
    "answer",
    [
        {"content": "no list"},
        {"content": [], "structuredContent": "no object"},
        {},
    ],
)
async def test_an_answer_against_the_protocol_is_an_observation(
    tmp_path: Path, answer: dict[str, Any]
) -> None:
    config = script(tmp_path, raw(f'say(asked["id"], {answer!r})'))
    async with closing(McpToolset(config)) as toolset:
        result = await toolset.call("t", {}, CONTEXT)
    assert result.is_error
    assert result.text.startswith("The tool ran, but its answer is not valid")


async def test_structured_content_against_its_schema_is_an_observation(tmp_path: Path) -> None:
    tool = {
        "name": "t",
        "inputSchema": {"type": "object"},
        "outputSchema": {"type": "object", "properties": {"n": {"type": "integer"}}},
    }
    answer = {"content": [], "structuredContent": {"n": "seven"}}
    config = script(tmp_path, raw(f'say(asked["id"], {answer!r})', [tool]))
    async with closing(McpToolset(config)) as toolset:
        result = await toolset.call("t", {}, CONTEXT)
    assert result.is_error


async def test_names_that_no_model_takes_are_rewritten_and_twins_reported(tmp_path: Path) -> None:
    schema = {"type": "object"}
    odd = "files/read.text " + "x" * 100
    tools = [
        {"name": odd, "inputSchema": schema},
        {"name": "twin", "description": "one", "inputSchema": schema},
        {"name": "twin", "description": "two", "inputSchema": schema},
        {"name": "wide", "inputSchema": {"type": "object", "description": "y" * 300_000}},
        {"name": "wordy", "description": "z" * 20_000, "inputSchema": schema},
    ]
    echo = 'say(asked["id"], {"content": [{"type": "text", "text": asked["params"]["name"]}]})'
    async with closing(McpToolset(script(tmp_path, raw(echo, tools)))) as toolset:
        first, second = await toolset.list()
        assert first.name.startswith("files_read_text_x")
        assert len(first.name) <= 64
        assert (await toolset.call(first.name, {}, CONTEXT)).text == odd
        assert (second.name, second.description) == ("twin", "one")
        assert toolset.problems == (
            "two tools are named 'twin': the first in its list is kept, the other left out",
            "'wide' is left out: its schema is too large",
            "'wordy' is left out: its description is too long",
        )


async def test_a_line_without_end_ends_the_connection_only(tmp_path: Path) -> None:
    code = raw('sys.stdout.write("x" * 400_000); sys.stdout.flush()')
    config = script(tmp_path, code, max_result_bytes=100_000)
    async with closing(McpToolset(config)) as toolset:
        with pytest.raises(ToolFailure, match="more than 100,000 bytes") as failure:
            await toolset.call("t", {}, CONTEXT)
        assert failure.value.began
        assert len(await toolset.list()) == 1


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("/nonexistent/server",), "its command '/nonexistent/server': No such file or directory"),
        (("/",), "its command '/': Permission denied"),
        (("a\0b",), "its command"),
        (("echo", "usage: echo"), "exited with status 0; it wrote 'usage: echo' to stdout"),
        (("sh", "-c", "kill -9 $$"), "was killed by SIGKILL"),
        ((sys.executable, "-c", "raise SystemExit(7)"), "exited with status 7"),
        ((sys.executable, "-c", "import time; time.sleep(1000)"), "no answer within 1 s"),
    ],
)
async def test_a_command_that_is_no_server(command: tuple[str, ...], why: str) -> None:
    # Only who says nothing at all is waited for until the end, however busy the machine is.
    config = ServerConfig(
        approve_first=True,
        name="peer",
        command=command[0],
        args=command[1:],
        connect_seconds=1 if "within" in why else 60,
    )
    async with closing(McpToolset(config)) as toolset:
        with pytest.raises(ToolFailure, match=why) as failure:
            await toolset.list()
        assert not failure.value.began


@pytest.mark.parametrize("first", ["_read", "_write"])
async def test_who_notices_the_end_first_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """The writer finds the pipe closed and the reader finds its end, one before the other."""
    asked = asyncio.Event()
    second = "_write" if first == "_read" else "_read"
    real = {name: getattr(stdio, name) for name in ("_fate", first, second)}

    async def fate(*given: Any) -> Any:
        asked.set()
        return await real["_fate"](*given)

    async def once_dead(process: asyncio.subprocess.Process, *given: Any) -> None:
        await stdio._settle(process, 60)
        await real[first](process, *given)

    async def once_asked(*given: Any) -> None:
        await asked.wait()
        await real[second](*given)

    monkeypatch.setattr(stdio, "_fate", fate)
    monkeypatch.setattr(stdio, first, once_dead)
    monkeypatch.setattr(stdio, second, once_asked)
    config = ServerConfig(
        approve_first=True, name="peer", command="echo", args=("usage: echo",), connect_seconds=60
    )
    async with closing(McpToolset(config)) as toolset:
        with pytest.raises(ToolFailure) as failure:
            await toolset.list()
    assert "exited with status 0; it wrote 'usage: echo' to stdout" in str(failure.value)


async def test_a_child_that_died_is_told_of_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody has told of its end by then."""

    async def never(process: asyncio.subprocess.Process, *_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(stdio, "_read", never)
    monkeypatch.setattr(stdio, "_write", never)
    dies = ("-c", "exit 7")
    config = ServerConfig(
        approve_first=True, name="peer", command="sh", args=dies, connect_seconds=3
    )
    async with closing(McpToolset(config)) as toolset:
        with pytest.raises(ToolFailure, match="exited with status 7"):
            await toolset.list()


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    config = ServerConfig(name="peer", command=sys.executable, cwd=tmp_path / "gone")
    async with closing(McpToolset(config)) as toolset:
        with pytest.raises(ToolFailure, match=r"its folder '.*/gone': No such file"):
            await toolset.list()


async def test_giving_up_while_a_server_starts_leaves_no_child(tmp_path: Path) -> None:
    born = tmp_path / "pid"
    os.mkfifo(born)
    code = (
        "import os, sys, time\n"
        f"open({str(born)!r}, 'w').write(str(os.getpid()))\n"
        "time.sleep(1000)\n"
    )
    toolset = McpToolset(script(tmp_path, code))
    listing = asyncio.create_task(toolset.list())
    pid = int(await asyncio.to_thread(born.read_text))
    listing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listing
    await toolset.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


# Enough for a reader that asks; then, colours and a bell with its last words.
DIES = """
import sys
sys.stderr.write("noise " * 100_000 + "\\n")
sys.stderr.write("\x1b[1;31mModuleNotFoundError\x1b[0m: No module\x07 named 'tablets'\\n")
"""


async def test_a_child_that_dies_at_its_start_has_its_last_words_told(tmp_path: Path) -> None:
    async with closing(McpToolset(script(tmp_path, DIES + "sys.exit(1)"))) as toolset:
        with pytest.raises(ToolFailure) as failure:
            await toolset.list()
        told = str(failure.value)
        assert "exited with status 1" in told
        assert told.endswith("ModuleNotFoundError: No module named 'tablets'")
        assert len(told) < 2_300
        assert all(c.isprintable() or c == "\n" for c in told)
        assert not failure.value.began
        catalog = await Catalog.open({"peer": toolset})
        (problem,) = catalog.problems
        assert problem.startswith("peer: its tools are left out: cannot be used: exited with")
        assert problem.endswith("No module named 'tablets'")


async def test_a_crash_at_import_shows_its_traceback(tmp_path: Path) -> None:
    async with closing(McpToolset(script(tmp_path, "import no_such_module_at_all"))) as toolset:
        with pytest.raises(ToolFailure, match="No module named 'no_such_module_at_all'"):
            await toolset.list()


async def test_what_a_child_said_that_never_answers_is_told() -> None:
    # A shell, which has said it long before its time is over.
    config = ServerConfig(
        approve_first=True,
        name="peer",
        command="sh",
        args=("-c", "echo waiting for the scribe >&2; exec sleep 1000"),
        connect_seconds=2,
    )
    async with closing(McpToolset(config)) as toolset:
        with pytest.raises(ToolFailure, match=r"no answer within 2 s.*\n.*waiting for the scribe"):
            await toolset.list()


async def test_the_last_words_of_a_child_that_dies_in_a_call_are_told(tmp_path: Path) -> None:
    code = raw('sys.stderr.write("out of ink\\n"); sys.exit(3)')
    async with closing(McpToolset(script(tmp_path, code))) as toolset:
        with pytest.raises(ToolFailure, match="exited with status 3") as failure:
            await toolset.call("t", {}, CONTEXT)
        assert "out of ink" in str(failure.value)
        assert failure.value.began
        # A new child has nothing to do with what the old one said.
        assert len(await toolset.list()) == 1


async def test_a_child_that_dies_silently_has_no_words_made_up(tmp_path: Path) -> None:
    async with closing(McpToolset(script(tmp_path, "raise SystemExit(7)"))) as toolset:
        with pytest.raises(ToolFailure) as failure:
            await toolset.list()
    assert str(failure.value) == "Server 'peer' cannot be used: exited with status 7."


async def test_a_grandchild_that_holds_stderr_does_not_delay_the_news(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "subprocess.Popen(['sleep', '1000'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)\n"
        "sys.exit('gone')"
    )
    async with closing(McpToolset(script(tmp_path, code, connect_seconds=100))) as toolset:
        async with asyncio.timeout(60):
            with pytest.raises(ToolFailure, match=r"exited with status 1.*\n.*gone"):
                await toolset.list()


async def test_a_tool_that_is_none_costs_no_other(tmp_path: Path) -> None:
    good = {"name": "good", "inputSchema": {"type": "object"}}
    tools = [
        {"name": "listed\x1b[31m", "inputSchema": {"type": "array"}},
        good,
        {"name": "bare"},
        5,
        {"name": "endless", "inputSchema": {"type": "object", "maximum": "INF"}},
        good | {"name": "also"},
    ]
    config = script(tmp_path, raw("pass", tools).replace("'INF'", "float('inf')"))
    async with closing(McpToolset(config)) as toolset:
        assert [tool.name for tool in await toolset.list()] == ["good", "endless", "also"]
        assert [problem.split(" is left out: ")[0] for problem in toolset.problems] == [
            "'listed [31m'",
            "'bare'",
            "a tool without a name",
        ]
        assert "object" in toolset.problems[0]
        catalog = await Catalog.open({"peer": toolset})
        assert [tool.name for tool in catalog.tools] == ["peer__good", "peer__also"]
        assert any("endless" in problem for problem in catalog.problems)
