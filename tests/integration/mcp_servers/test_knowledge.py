"""The knowledge server as a process of its own, against the library's client."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from click.testing import CliRunner
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, TextContent
from reportlab.pdfgen.canvas import Canvas

from mcp_servers.knowledge.__main__ import main
from rostra.core import Settings
from rostra.ingest import list_sources
from rostra.runtime import open_runtime

ROOT = Path(__file__).parents[3]
COMMAND = ("-m", "mcp_servers.knowledge")
TOOLS = {"search", "read", "cite", "list_documents", "ask"}
NOTES = """# Bridges 🌉

The Aqua Claudia carried water to Rome over arches of tufa. 🏛

# Harbours

Grain ships from Alexandria unloaded at Portus, north of the mouth of the Tiber.
"""
# Long words are one token each, so that this much text is embedded quickly.
REGISTER = "".join(f"Entry {n} {'a' * 150} 🏺\n" for n in range(150))
PAGES = ("The senate met in the Curia Julia.", "Winegrowers prune their vines in February.")

in_one_loop = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Names a data directory with a few documents, to child processes."""
    folder = tmp_path_factory.mktemp("knowledge")
    documents = folder / "documents"
    documents.mkdir()
    (documents / "notes.md").write_text(NOTES, encoding="utf-8")
    (documents / "register.txt").write_text(REGISTER, encoding="utf-8")
    canvas = Canvas(str(documents / "senate.pdf"))
    for line in PAGES:
        canvas.drawString(72, 720, line)
        canvas.showPage()
    canvas.save()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.upper().startswith("ROSTRA_")]:
            patch.delenv(name)
        settings = Settings(home=folder / "home")

    async def ingest() -> None:
        async with open_runtime(settings) as runtime:
            sources = list_sources([documents], settings).items
            report = await runtime.ingester.ingest(sources, "default")
        assert (report.documents, report.failed) == (3, [])

    # In a thread, so as not to meet the event loop of the test that asks first.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, ingest()).result()
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "ROSTRA_HOME": str(settings.home),
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(environment: dict[str, str]) -> AsyncIterator[Client]:
    """Connected over stdio to one server process, which all tests of the module share.

    What came over stdout and was no message of the protocol fails the last of them.
    """
    server = StdioServerParameters(command=sys.executable, args=[*COMMAND], env=environment)
    connected: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
    finished = asyncio.Event()
    stray: list[Exception] = []

    async def listen(message: object) -> None:
        if isinstance(message, Exception):
            stray.append(message)

    # A connection is left in the task that entered it; fixtures are torn down in another.
    async def own() -> None:
        async with Client(server, message_handler=listen, read_timeout_seconds=60) as opened:
            connected.set_result(opened)
            await finished.wait()

    owner = asyncio.create_task(own())
    await asyncio.wait([owner, connected], return_when=asyncio.FIRST_COMPLETED)
    if owner.done():
        await owner
    yield connected.result()
    finished.set()
    await owner
    assert not stray


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured result of a call that works; the client holds it against the schema."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, told(result)
    assert json.loads(told(result)) == result.structured_content
    structured: dict[str, Any] = result.structured_content
    return structured


def told(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


@in_one_loop
async def test_tools_say_that_they_only_read_and_what_they_take_and_return(client: Client) -> None:
    tools = (await client.list_tools()).tools
    assert {tool.name for tool in tools} == TOOLS
    for tool in tools:
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is True
        assert tool.annotations.destructive_hint is False
        assert tool.description
        assert all("description" in field for field in tool.input_schema["properties"].values())
        assert tool.output_schema is not None
    assert client.instructions is not None
    assert "never an instruction" in client.instructions


@in_one_loop
@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
async def test_search_finds_the_passage_and_read_gives_it_again(client: Client, mode: str) -> None:
    found = await call(client, "search", query="Where did grain ships unload?", k=2, mode=mode)
    assert 1 <= len(found["hits"]) <= 2
    best = found["hits"][0]
    assert "Portus" in best["text"]
    assert best["uri"].endswith("/notes.md")
    assert best["page"] is None
    assert best["text"] == NOTES[best["start"] : best["end"]]
    again = await call(
        client, "read", document_id=best["document_id"], start=best["start"], end=best["end"]
    )
    assert again["text"] == best["text"]


@in_one_loop
async def test_pages_are_those_that_passages_and_quotes_begin_on(client: Client) -> None:
    found = await call(client, "search", query="pruning vines", k=1)
    assert [(hit["page"], hit["text"]) for hit in found["hits"]] == [(1, "\n\n".join(PAGES))]
    answer = await call(client, "ask", question="When do winegrowers prune their vines?")
    assert (2, PAGES[1]) in [(cited["page"], cited["quote"]) for cited in answer["citations"]]


@in_one_loop
async def test_read_is_bounded_and_goes_on_from_its_end(client: Client) -> None:
    listed = await call(client, "list_documents", contains="REGISTER")
    (document,) = listed["documents"]
    assert document["length"] == len(REGISTER)
    parts: list[str] = []
    at = 0
    while at < document["length"]:
        part = await call(client, "read", document_id=document["document_id"], start=at, end=10**30)
        assert (part["start"], part["length"]) == (at, len(REGISTER))
        assert 0 < len(part["text"]) == part["end"] - at <= 20_000
        parts.append(part["text"])
        at = part["end"]
    assert len(parts) == 2
    assert "".join(parts) == REGISTER
    past = await call(client, "read", document_id=document["document_id"], start=10**30)
    assert (past["text"], past["start"]) == ("", len(REGISTER))


@in_one_loop
async def test_read_by_lines_is_bounded_and_goes_on_from_its_line(client: Client) -> None:
    listed = await call(client, "list_documents", contains="register")
    name = listed["documents"][0]["document_id"]
    lines = REGISTER.splitlines(keepends=True)
    for first, last in ((1, 1), (3, 7), (150, 150), (149, 10**30)):
        part = await call(client, "read", document_id=name, start_line=first, end_line=last)
        assert part["text"] == "".join(lines[first - 1 : last])
        assert part["text"] == REGISTER[part["start"] : part["end"]]
        assert (part["start_line"], part["end_line"]) == (first, min(last, 150))
    whole = await call(client, "read", document_id=name, start_line=2)
    assert len(whole["text"]) == 20_000
    assert whole["end_line"] == 2 + whole["text"].count("\n")
    past = await call(client, "read", document_id=name, start_line=10**30)
    assert (past["text"], past["start"], past["start_line"]) == ("", len(REGISTER), None)


@in_one_loop
async def test_cite_gives_the_quote_with_its_place(client: Client) -> None:
    found = await call(client, "search", query="Where did grain ships unload?", k=1)
    hit = found["hits"][0]
    at = NOTES.index("Grain ships")
    cited = await call(
        client, "cite", document_id=hit["document_id"], start=at, end=at + len("Grain ships")
    )
    assert cited["quote"] == "Grain ships"
    assert (cited["start"], cited["end"], cited["page"]) == (at, at + 11, None)
    line = NOTES.count("\n", 0, at) + 1
    assert (cited["start_line"], cited["end_line"]) == (line, line)
    pages = await call(client, "list_documents", contains="senate")
    second = len(PAGES[0]) + 2
    cited = await call(
        client, "cite", document_id=pages["documents"][0]["document_id"], start=0, end=second
    )
    assert (cited["quote"], cited["page"]) == (PAGES[0] + "\n\n", 1)
    assert (cited["start_line"], cited["end_line"]) == (1, 2)
    cited = await call(
        client,
        "cite",
        document_id=pages["documents"][0]["document_id"],
        start=second,
        end=second + len(PAGES[1]),
    )
    assert (cited["quote"], cited["page"], cited["start_line"]) == (PAGES[1], 2, 3)
    for start, end, reason in (
        (5, 5, "not after start"),
        (0, 4_001, "Quote at most 4000"),
        (0, 3_000, "past the document's"),
    ):
        wrong = await client.call_tool(
            "cite", {"document_id": hit["document_id"], "start": start, "end": end}
        )
        assert wrong.is_error
        assert reason in told(wrong)


@in_one_loop
async def test_list_documents_by_page(client: Client) -> None:
    whole = await call(client, "list_documents")
    names = [document["uri"].rpartition("/")[2] for document in whole["documents"]]
    assert names == ["notes.md", "register.txt", "senate.pdf"]
    assert whole["total"] == 3
    page = await call(client, "list_documents", limit=1, offset=1)
    assert page == {"documents": whole["documents"][1:2], "total": 3}


@in_one_loop
async def test_ask_cites_what_the_documents_hold(client: Client) -> None:
    answer = await call(client, "ask", question="Where did grain ships from Alexandria unload?")
    assert answer["found"] is True
    assert "Portus" in answer["answer"]
    assert answer["citations"]
    for citation in answer["citations"]:
        source = await call(
            client,
            "read",
            document_id=citation["document_id"],
            start=citation["start"],
            end=citation["end"],
        )
        assert source["text"] == citation["quote"]


@in_one_loop
async def test_ask_says_when_nothing_is_found(client: Client) -> None:
    answer = await call(client, "ask", question="Which vitamins do kangaroos need?")
    assert (answer["found"], answer["citations"]) == (False, [])


def hostile() -> Iterator[tuple[str, dict[str, Any], str]]:
    """Tool, arguments, and what the error says."""
    nobody = "no collection 'nobody'"
    yield "search", {"query": "x", "collection": "nobody"}, nobody
    yield "search", {"query": "x", "collection": "nobody"}, "Collections here: default."
    yield "list_documents", {"collection": "nobody"}, nobody
    yield "ask", {"question": "x", "collection": "nobody"}, nobody
    yield "search", {"query": "x", "collection": "../\0"}, "no collection"
    yield "search", {"query": "x", "collection": "n" * 10_000}, "128 characters"
    yield "search", {"query": " \n"}, "Hint: Ask with at least one word."
    yield "ask", {"question": ""}, "empty"
    yield "search", {"query": "x" * 1_000_000}, "1000000 characters"
    yield "search", {"query": "x", "k": 0}, "at least 1"
    yield "search", {"query": "x", "k": 21}, "at most 20"
    yield "search", {"query": "x", "mode": "psychic"}, "'hybrid', 'dense' or 'lexical'"
    yield "search", {"query": ["x"]}, "must be a string"
    yield "search", {}, "query"
    yield "read", {"document_id": "1; DROP TABLE documents"}, "Hint: search and list_documents"
    yield "read", {"document_id": str(uuid4())}, "no document"
    yield "read", {"document_id": str(UUID(int=0)), "start": -1}, "at least 0"
    yield "read", {"document_id": str(UUID(int=0)), "start": 2, "end": 1}, "before start"
    yield "read", {"document_id": str(UUID(int=0)), "start_line": 0}, "at least 1"
    yield "read", {"document_id": str(UUID(int=0)), "start_line": 1, "end": 2}, "not both"
    yield "read", {"document_id": str(UUID(int=0)), "start_line": 3, "end_line": 2}, "before"
    yield "cite", {"document_id": "x", "start": 0, "end": 1}, "no document id"
    yield "cite", {"document_id": str(uuid4()), "start": 0, "end": 1}, "no document"
    yield "list_documents", {"limit": 101}, "at most 100"
    yield "list_documents", {"offset": 2**64}, "at most"
    yield "list_documents", {"contains": "%" * 501}, "500 characters"


@in_one_loop
async def test_mistakes_are_told_and_the_server_goes_on(client: Client) -> None:
    for tool, arguments, reason in hostile():
        result = await client.call_tool(tool, arguments)
        assert result.is_error, (tool, str(arguments)[:100])
        assert reason in told(result)
        assert len(told(result)) < 1_000
    assert (await call(client, "list_documents", contains="%_\0"))["total"] == 0
    assert (await call(client, "search", query="aqueduct arches", k=1))["hits"]


async def test_a_line_that_is_no_message_breaks_nothing_and_stdout_is_the_protocols(
    environment: dict[str, str],
) -> None:
    greeting = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "raw", "version": "0"},
    }
    wanted = {"name": "search", "arguments": {"query": "arches of tufa", "mode": "lexical"}}
    noisy = environment | {"ROSTRA_LOG_LEVEL": "DEBUG", "PYTHONUNBUFFERED": "1"}
    async with started(noisy) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for message in (
            {"id": 1, "method": "initialize", "params": greeting},
            {"method": "notifications/initialized"},
            "no JSON at all {",
            '{"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {"cursor": "\\ud800"}}',
            {"id": 3, "method": "tools/call", "params": wanted},
        ):
            line = message if isinstance(message, str) else json.dumps({"jsonrpc": "2.0"} | message)
            process.stdin.write(line.encode() + b"\n")
        answers: dict[Any, Any] = {}
        while 3 not in answers:
            answer = json.loads(await process.stdout.readline())
            assert answer["jsonrpc"] == "2.0"
            answers[answer.get("id")] = answer
        assert answers[1]["result"]["protocolVersion"] == "2025-11-25"
        assert "tufa" in answers[3]["result"]["structuredContent"]["hits"][0]["text"]
        process.stdin.close()
        assert await process.stdout.read() == b""
        assert await process.wait() == 0


async def test_http_serves_both_revisions_and_refuses_other_sites(
    environment: dict[str, str],
) -> None:
    async with started(environment, "--http", "--port", "0") as process:
        url = await announced(process)
        for mode in ("2026-07-28", "legacy"):
            async with Client(url, mode=mode, read_timeout_seconds=60) as client:
                assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS
                assert (await call(client, "list_documents"))["total"] == 3
                assert (await client.call_tool("search", {"query": ""})).is_error
        async with httpx.AsyncClient(timeout=60) as http:
            for header, status in (
                ({"host": "evil.example"}, 421),
                ({"origin": "https://evil.example"}, 403),
            ):
                headers = {"accept": "application/json, text/event-stream"} | header
                answer = await http.post(url, headers=headers, json={})
                assert answer.status_code == status
        process.send_signal(signal.SIGINT)
        stdout, stderr = await process.communicate()
        assert stdout == b""
        assert b"Traceback" not in stderr
        assert process.returncode == 0


@asynccontextmanager
async def started(environment: dict[str, str], *arguments: str) -> AsyncIterator[Process]:
    """A server process; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *COMMAND, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def announced(process: Process) -> str:
    """The address that the server says it serves."""
    assert process.stderr is not None
    seen = b""
    while line := await process.stderr.readline():
        if line.startswith(b"serving "):
            return line.removeprefix(b"serving ").decode().strip()
        seen += line
    raise AssertionError(f"the server ended: {seen.decode()}")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_only_this_machine_reaches_the_port(host: str) -> None:
    result = CliRunner().invoke(main, ["--http", "--host", host])
    assert result.exit_code == 2
    assert "loopback" in result.stderr
    assert result.stdout == ""


def test_a_wrong_setting_is_named_on_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROSTRA_DENSE_WEIGHT", "2")
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 1
    assert "dense_weight" in result.stderr
    assert result.stdout == ""
