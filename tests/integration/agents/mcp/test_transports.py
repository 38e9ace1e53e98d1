"""The client against real servers: both transports, both revisions, and their faults."""

import asyncio
import json
import os
import select
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.server.lowlevel import Server
from mcp.types import CallToolResult, ElicitRequest, InputRequiredResult, TextContent

from rostra.agents.events import Effect, Origin
from rostra.agents.mcp import McpToolset, MemoryPins, ServerConfig
from rostra.agents.tools.tool import CallContext, ToolFailure
from tests.integration.agents.mcp.peer import NOTE, Served, State, build, many

PEER = Path(__file__).with_name("peer.py")
REVISIONS = ("2026-07-28", "2025-11-25")
CONTEXT = CallContext(run="r", call="r:1")


@asynccontextmanager
async def closing(toolset: McpToolset) -> AsyncIterator[McpToolset]:
    try:
        yield toolset
    finally:
        await toolset.close()


def over_stdio(**settings: Any) -> ServerConfig:
    return ServerConfig(name="peer", command=sys.executable, args=(str(PEER), "stdio"), **settings)


def script(tmp_path: Path, code: str, **settings: Any) -> ServerConfig:
    """A server over stdio whose every byte is written by hand."""
    path = tmp_path / "server.py"
    path.write_text(code, encoding="utf-8")
    return ServerConfig(name="peer", command=sys.executable, args=(str(path),), **settings)


@pytest.fixture(params=["stdio", "http"])
async def config(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., ServerConfig]]:
    """Makes configurations of the peer over one transport."""
    if request.param == "stdio":
        yield over_stdio
        return
    async with Served(build().streamable_http_app()) as served:
        yield lambda **settings: ServerConfig(name="peer", url=served.url, **settings)


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
    config: Callable[..., ServerConfig], revision: str
) -> None:
    told: list[str] = []

    async def progress(text: str) -> None:
        told.append(text)

    quick = config(protocol=revision, idle_seconds=0.4, absolute_seconds=1.2)
    async with closing(McpToolset(quick)) as toolset:
        await toolset.list()
        with pytest.raises(ToolFailure, match=r"no sign of life for 0\.4 s") as silent:
            await toolset.call("slow", {}, CONTEXT)
        assert silent.value.began
        assert (await toolset.call("was_cancelled", {}, CONTEXT)).text == "yes"
        context = CallContext(run="r", call="r:2", progress=progress)
        with pytest.raises(ToolFailure, match="no sign of life in time") as endless:
            await toolset.call("chatter", {}, context)
        assert endless.value.began
        # It was heard for longer than it could have been silent.
        assert len(told) > 20
        assert told[0].endswith("step 1")
        assert (await toolset.call("echo", {"text": "still here"}, CONTEXT)).text == "still here"


async def test_the_caller_can_allow_less_time(config: Callable[..., ServerConfig]) -> None:
    async with closing(McpToolset(config())) as toolset:
        await toolset.list()
        with pytest.raises(ToolFailure):
            await toolset.call("slow", {}, CallContext(run="r", call="r:1", timeout=0.3))


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


@pytest.mark.parametrize("revision", REVISIONS)
async def test_large_results_come_whole_and_too_large_ones_fail_alone(
    config: Callable[..., ServerConfig], revision: str
) -> None:
    ten = 10 * 1024 * 1024
    async with closing(McpToolset(config(protocol=revision))) as toolset:
        assert len((await toolset.call("big", {"size": ten}, CONTEXT)).text) == ten
    async with closing(McpToolset(config(protocol=revision, max_result_bytes=200_000))) as toolset:
        with pytest.raises(ToolFailure) as failure:
            await toolset.call("big", {"size": ten}, CONTEXT)
        assert failure.value.began
        assert (await toolset.call("echo", {"text": "on"}, CONTEXT)).text == "on"


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_changed_tool_is_not_offered_until_approved_again(
    config: Callable[..., ServerConfig], revision: str
) -> None:
    pins = MemoryPins()
    async with closing(McpToolset(config(protocol=revision), pins=pins)) as toolset:
        await toolset.call("echo", {"text": "1"}, CONTEXT)
        await toolset.call("change", {}, CONTEXT)
        # The next list or call sees it, whether or not the server has said so by then.
        assert "echo" not in {tool.name for tool in await toolset.list()}
        assert toolset.problems == ("peer: changed since approved: echo",)
        with pytest.raises(ToolFailure, match="changed since it was approved") as failure:
            await toolset.call("echo", {"text": "2"}, CONTEXT)
        assert not failure.value.began
        [approved] = await toolset.approve(["echo"], by="ann")
        assert approved.info.name == "echo"
        assert (await toolset.call("echo", {"text": "3"}, CONTEXT)).text == "3"
        assert "echo" in {tool.name for tool in await toolset.list()}


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_change_that_the_server_tells_of_is_seen_by_the_next_call(
    config: Callable[..., ServerConfig], revision: str
) -> None:
    async with closing(McpToolset(config(protocol=revision))) as toolset:
        await toolset.call("change", {}, CONTEXT)
        async with asyncio.timeout(20):
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
        assert problem.startswith("peer: not approved yet: echo, add")
        with pytest.raises(ToolFailure, match="has not been approved"):
            await toolset.call("echo", {"text": "x"}, CONTEXT)
        with pytest.raises(ToolFailure, match="no tool 'nothing'"):
            await toolset.approve(["nothing"], by="ann")
        await toolset.approve(["add"], by="ann")
        assert [tool.name for tool in await toolset.list()] == ["add"]
        await toolset.approve(None, by="ann")
        assert len(await toolset.list()) == 15


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


@asynccontextmanager
async def http_process(port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PEER), "http", str(port), stdout=PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_server_that_is_killed_and_comes_back_on_its_port(revision: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = ServerConfig(name="peer", url=f"http://127.0.0.1:{port}/mcp", protocol=revision)
    begun = asyncio.Event()

    async def progress(_: str) -> None:
        begun.set()

    async with closing(McpToolset(config)) as toolset:
        async with http_process(port) as process:
            assert (await toolset.call("echo", {"text": "1"}, CONTEXT)).text == "1"
            context = CallContext(run="r", call="r:1", progress=progress)
            call = asyncio.create_task(toolset.call("slow", {}, context))
            await begun.wait()
            os.killpg(process.pid, signal.SIGKILL)
            with pytest.raises(ToolFailure) as broken:
                await call
            assert broken.value.began
            await process.wait()
            with pytest.raises(ToolFailure, match="cannot reach it") as refused:
                await toolset.call("echo", {"text": "2"}, CONTEXT)
            assert not refused.value.began
        async with http_process(port):
            assert (await toolset.call("echo", {"text": "3"}, CONTEXT)).text == "3"


async def test_a_session_that_the_server_has_forgotten_is_made_anew_unseen() -> None:
    state = State()
    async with Served(build(state).streamable_http_app()) as first:
        port = first.port
        config = ServerConfig(name="peer", url=first.url, protocol="2025-11-25")
        toolset = McpToolset(config)
        await toolset.call("echo", {"text": "1"}, CONTEXT)
    async with closing(toolset), Served(build(state).streamable_http_app(), port):
        assert (await toolset.call("echo", {"text": "2"}, CONTEXT)).text == "2"
    assert state.calls == ["1", "2"]


async def test_five_thousand_tools_on_pages_and_a_list_without_end() -> None:
    pages = many(5000, 250).streamable_http_app()
    async with (
        Served(pages) as served,
        closing(McpToolset(ServerConfig(name="many", url=served.url))) as toolset,
    ):
        tools = await toolset.list()
        assert [tool.name for tool in tools] == [f"tool_{n}" for n in range(5000)]
        assert (await toolset.call("tool_4999", {}, CONTEXT)).text == "tool_4999"
    endless = many(0, 100, endless=True).streamable_http_app()
    async with (
        Served(endless) as served,
        closing(McpToolset(ServerConfig(name="many", url=served.url, max_tools=1000))) as toolset,
    ):
        assert len(await toolset.list()) == 1000
        assert toolset.problems == ("many: its list has no end; read 1,000 of it",)


async def test_requests_to_the_person_are_refused_politely(
    config: Callable[..., ServerConfig],
) -> None:
    async with closing(McpToolset(config(protocol="2025-11-25"))) as toolset:
        asked = await toolset.call("ask", {}, CONTEXT)
        assert asked.is_error
        assert "Elicitation not supported" in asked.text
        assert (await toolset.call("echo", {"text": "on"}, CONTEXT)).text == "on"


async def test_a_result_that_asks_for_input_is_refused_politely() -> None:
    async def on_call_tool(_: Any, params: Any) -> CallToolResult | InputRequiredResult:
        if params.name == "tool_0":
            form = {"type": "object", "properties": {"word": {"type": "string"}}}
            asked = ElicitRequest.model_validate(
                {"params": {"message": "Which?", "requestedSchema": form}}
            )
            return InputRequiredResult(input_requests={"one": asked}, request_state="s")
        return CallToolResult(content=[TextContent(text="fine")])

    tools = many(2, 10)
    listed = tools.get_request_handler("tools/list")
    assert listed is not None
    server: Server[Any] = Server(
        "asks", version="1", on_list_tools=listed.handler, on_call_tool=on_call_tool
    )
    async with (
        Served(server.streamable_http_app()) as served,
        closing(McpToolset(ServerConfig(name="asks", url=served.url))) as toolset,
    ):
        asked = await toolset.call("tool_0", {}, CONTEXT)
        assert asked.is_error
        assert (await toolset.call("tool_1", {}, CONTEXT)).text == "fine"


# --- Only over stdio ---


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
    assert select.select([handle], [], [], 10)[0] == [handle]
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
        {"content": [{"type": "hologram"}]},
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
            "peer: two tools are named 'twin'",
            "peer: the schema of 'wide' is too large",
            "peer: the description of 'wordy' is too long",
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
        (("/nonexistent/server",), "No such file"),
        ((sys.executable, "-c", "raise SystemExit(7)"), "exited with status 7"),
        ((sys.executable, "-c", "import time; time.sleep(1000)"), "no answer within 1 s"),
    ],
)
async def test_a_command_that_is_no_server(command: tuple[str, ...], why: str) -> None:
    config = ServerConfig(name="peer", command=command[0], args=command[1:], connect_seconds=1)
    async with closing(McpToolset(config)) as toolset:
        with pytest.raises(ToolFailure, match=why) as failure:
            await toolset.list()
        assert not failure.value.began


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


# --- Only over HTTP ---


async def answering(
    reply: bytes | None,
) -> tuple[asyncio.Server, str]:
    """A server that gives every request the same reply; None: none at all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            ]
            await reader.readexactly(sum(lengths))
            if reply is None:
                await reader.read()
            else:
                writer.write(reply)
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"


def reply(status: str, body: bytes, kind: str = "text/html", extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return (head + extra + "Connection: close\r\n\r\n").encode() + body


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "no answer within 1 s"),
        (b"", "no answer"),
        (reply("200 OK", b"<html>hello</html>"), "content type"),
        (reply("200 OK", b"{", "application/json"), "parse"),
        (reply("200 OK", b"x", "application/json", "Content-Encoding: gzip\r\n"), "compressed"),
        (reply("401 Unauthorized", b"no"), "asks for a login"),
        (reply("404 Not Found", b"no"), "nothing at its URL"),
        (reply("500 Internal Server Error", b"boom"), "HTTP 500"),
        (reply("302 Found", b"", extra="Location: http://127.0.0.1:9/\r\n"), "Redirect"),
    ],
)
async def test_a_url_that_is_no_server(answer: bytes | None, why: str) -> None:
    server, url = await answering(answer)
    async with (
        server,
        closing(McpToolset(ServerConfig(name="peer", url=url, connect_seconds=1))) as toolset,
    ):
        with pytest.raises(ToolFailure, match=f"(?i){why}") as failure:
            await toolset.list()
        assert not failure.value.began


async def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/mcp"
    async with closing(McpToolset(ServerConfig(name="peer", url=url))) as toolset:
        with pytest.raises(ToolFailure, match="cannot reach it") as failure:
            await toolset.list()
        assert not failure.value.began


class Meddling:
    """An app that answers calls of `echo` with a bare HTTP error, and passes on the rest."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers") or ())
        if headers.get(b"mcp-name") != b"echo":
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 502, "headers": []})
        await send({"type": "http.response.body", "body": b"bad gateway"})


async def test_a_failing_request_leaves_the_others_alone() -> None:
    async with (
        Served(Meddling(build().streamable_http_app())) as served,
        closing(McpToolset(ServerConfig(name="peer", url=served.url))) as toolset,
    ):
        begun = asyncio.Event()

        async def progress(_: str) -> None:
            begun.set()

        context = CallContext(run="r", call="r:1", progress=progress)
        beside = asyncio.create_task(toolset.call("chatter", {}, context))
        await begun.wait()
        with pytest.raises(ToolFailure, match="HTTP 502") as failure:
            await toolset.call("echo", {"text": "x"}, CONTEXT)
        assert failure.value.began
        assert not beside.done()
        beside.cancel()
        assert (await toolset.call("add", {"a": 1, "b": 1}, CONTEXT)).structured == {"total": 2}


async def test_a_call_says_which_call_it_is() -> None:
    seen: list[Any] = []

    async def on_call_tool(context: Any, params: Any) -> CallToolResult:
        seen.append(dict(context.meta or {}))
        return CallToolResult(content=[TextContent(text=json.dumps(params.arguments))])

    listed = many(1, 1).get_request_handler("tools/list")
    assert listed is not None
    server: Server[Any] = Server(
        "keys", version="1", on_list_tools=listed.handler, on_call_tool=on_call_tool
    )
    async with (
        Served(server.streamable_http_app()) as served,
        closing(McpToolset(ServerConfig(name="keys", url=served.url))) as toolset,
    ):
        await toolset.call("tool_0", {"a": [1, None]}, CallContext(run="r", call="r:7"))
    assert seen[0]["rostra/call"] == "r:7"
