"""`/mcp` in this process: who is let in, and what the tools are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from litestar import Litestar
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent
from msgspec.structs import replace
from pydantic import SecretStr, ValidationError

from rostra.agents import (
    Agents,
    Answer,
    Citation,
    Claim,
    Paused,
    RunEnded,
    RunRequest,
    Spent,
    Status,
)
from rostra.api import Pace, create_app
from rostra.api.mcp import AgentTools, _standing
from rostra.core import InvalidRequest, Settings
from rostra.models import ScriptedModel
from rostra.runtime import Runtime, open_runtime
from tests.fakes import FakeEmbedder
from tests.fakes_runs import Prompts, Tools, World

ACCEPT = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
TOOLS = {"search", "read", "cite", "list_documents", "ask", "run_agent", "wait_for_agent"}
HERE = ("127.0.0.1", 40000)
ELSEWHERE = ("192.0.2.7", 40000)


def text(result: CallToolResult) -> str:
    return "".join(part.text for part in result.content if isinstance(part, TextContent))


@asynccontextmanager
async def opened(
    app: Litestar, *, client: tuple[str, int] = HERE, base: str = "http://127.0.0.1:8321"
) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app, client=client)
    async with (
        app.lifespan(),
        httpx2.AsyncClient(transport=transport, base_url=base, timeout=60) as http,
    ):
        yield http


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
async def test_both_revisions_are_served(app: Litestar, mode: Any) -> None:
    async with (
        opened(app) as http,
        Client(
            streamable_http_client("http://127.0.0.1:8321/mcp", http_client=http), mode=mode
        ) as client,
    ):
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == TOOLS
        for name, tool in tools.items():
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint is (name != "run_agent")
            assert tool.output_schema is not None
        found = await client.call_tool("list_documents", {})
        assert "no collection 'default'" in text(found)
        refused = await client.call_tool("search", {"query": " "})
        assert refused.is_error
        assert "Hint:" in text(refused)
        wrong = await client.call_tool("search", {"quarry": "x", "k": 0})
        assert text(wrong).split("\n")[1:] == [
            "query is missing.",
            "k must be at least 1, not 0.",
            "There is no argument 'quarry'. Did you mean query?",
            "The arguments of search are: query, k, collection, mode.",
        ]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_it_calls_itself_what_it_is(app: Litestar, mode: Any) -> None:
    async with (
        opened(app) as http,
        Client(
            streamable_http_client("http://127.0.0.1:8321/mcp", http_client=http), mode=mode
        ) as client,
    ):
        info = client.server_info
        assert info is not None
        assert (info.name, info.title) == ("rostra", "Rostra")
        assert info.version == version("rostra")
        assert client.instructions is not None
        for name in TOOLS:
            assert f"`{name}`" in client.instructions


async def test_an_agent_needs_a_model_and_a_run(app: Litestar) -> None:
    async with (
        opened(app) as http,
        Client(streamable_http_client("http://127.0.0.1:8321/mcp", http_client=http)) as client,
    ):
        for tool, arguments, told in (
            ("run_agent", {"task": "Count the hills."}, "model"),
            ("run_agent", {"task": " "}, "empty"),
            ("run_agent", {"task": "x", "strategy": "guess"}, "guess"),
            ("run_agent", {"task": "x" * 20_001}, "20000"),
            ("run_agent", {"task": "x", "max_steps": 0}, "at least 1"),
            ("run_agent", {"task": "x", "max_steps": 1001}, "at most 1000"),
            ("run_agent", {"task": "x", "max_tokens": 0}, "at least 1"),
            ("run_agent", {"task": "x", "max_cost": 0}, "greater than 0"),
            ("run_agent", {"task": "x", "tools": ["x" * 200]}, "at most 128 characters"),
            ("run_agent", {"task": "x", "tools": ["x"] * 101}, "at most 100"),
            (
                "run_agent",
                {"task": "x", "approve": ["send"]},
                "run_agent are: task, strategy, tools, max_steps, max_tokens, max_cost, seconds.",
            ),
            ("wait_for_agent", {"run_id": "1; DROP TABLE runs"}, "no run id"),
            ("wait_for_agent", {"run_id": "00000000-0000-0000-0000-000000000000"}, "no run"),
        ):
            result = await client.call_tool(tool, arguments)
            assert result.is_error, (tool, arguments)
            assert told in text(result)


async def test_an_agent_answers_pauses_or_goes_on_without_its_caller(
    settings: Settings, embedder: FakeEmbedder, static: Path
) -> None:
    tools = Tools()

    @asynccontextmanager
    async def runtime() -> AsyncIterator[Runtime]:
        async with open_runtime(settings, ScriptedModel(["ok"], loop=True)) as opened:
            await opened.agents.close()
            opened.agents = Agents(
                opened.database, World(tools).open, model="scripted", prompts=Prompts()
            )
            yield opened

    app = create_app(settings, runtime, static=static, pace=Pace(poll=0.05, beat=0.05))
    async with (
        opened(app) as http,
        Client(streamable_http_client("http://127.0.0.1:8321/mcp", http_client=http)) as client,
    ):

        async def call(tool: str, **arguments: Any) -> dict[str, Any]:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, text(result)
            return result.structured_content or {}

        done = await call("run_agent", task="look at it", strategy="obeys")
        assert (done["status"], bool(done["answer"]), done["note"]) == ("completed", True, None)
        again = await call("wait_for_agent", run_id=done["run_id"])
        assert again == done
        asked = await call("run_agent", task="send it", strategy="obeys")
        assert (asked["status"], asked["answer"]) == ("paused", None)
        assert asked["note"] == "approval: send (c0)"
        assert asked["model"] == done["model"] == "scripted"
        assert tools.called == ["look"]
        left = await call("run_agent", task="hang on", strategy="obeys", seconds=0)
        assert (left["status"], left["answer"]) == ("running", None)


async def test_a_run_can_be_limited(settings: Settings, embedder: FakeEmbedder) -> None:
    begun: list[RunRequest] = []

    async with open_runtime(settings, ScriptedModel(["ok"], loop=True)) as runtime:

        async def start(request: RunRequest) -> UUID:
            begun.append(request)
            raise InvalidRequest("that is enough")

        runtime.agents.start = start  # type: ignore[method-assign, assignment]
        run_agent = AgentTools(runtime).run_agent
        for given in (
            {},
            {"tools": ["search", "calculator__*"], "max_steps": 3},
            {"max_tokens": 5000, "max_cost": 0.5, "strategy": "rag"},
        ):
            with pytest.raises(InvalidRequest, match="enough"):
                await run_agent("Look.", **given)
        most = runtime.workshop.budget
    plain, few, cheap = begun
    assert (plain.tools, plain.budget) == (None, most)
    assert few.tools == ["search", "calculator__*"]
    assert few.budget == replace(most, steps=3)
    assert cheap.strategy == "rag"
    assert cheap.budget == replace(most, tokens=5000, cost=0.5)


async def test_a_limit_over_that_of_the_settings_is_refused(
    settings: Settings, embedder: FakeEmbedder, static: Path
) -> None:
    @asynccontextmanager
    async def runtime() -> AsyncIterator[Runtime]:
        async with open_runtime(settings, ScriptedModel(["ok"], loop=True)) as opened:
            yield opened

    app = create_app(settings, runtime, static=static, pace=Pace(poll=0.05, beat=0.05))
    async with (
        opened(app) as http,
        Client(streamable_http_client("http://127.0.0.1:8321/mcp", http_client=http)) as client,
    ):
        result = await client.call_tool("run_agent", {"task": "x", "max_steps": 1000})
        assert result.is_error
        assert "over the limit" in text(result)


def test_a_run_tells_how_much_of_its_answer_nothing_backs() -> None:
    backed = Claim("The sky is blue.", [Citation(1, "The sky is blue.", "c1")])
    answer = Answer("Both.", [backed, Claim("The moon is cheese."), Claim("It is old.")])
    run_id = UUID(int=7)
    told = _standing(run_id, RunEnded(Status.COMPLETED, Spent(), answer))
    assert (told.unsupported, told.quotes) == (2, ["The sky is blue."])
    assert _standing(run_id, Paused("approval", ["c1"])).unsupported == 0


def test_a_run_that_stopped_tells_why() -> None:
    error = {"code": "model_unavailable", "message": "no model is set"}
    told = _standing(UUID(int=7), Paused("interrupted", [], error))
    assert (told.status, told.note) == ("paused", "interrupted; no model is set")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:8321"}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:8321"}, 421),
        ({"origin": "http://127.0.0.1:8321"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"content-type": "text/plain"}, 400),
    ],
)
async def test_pages_of_others_are_refused(
    app: Litestar, headers: dict[str, str], status: int
) -> None:
    async with opened(app) as http:
        answer = await http.post("/mcp", headers=ACCEPT | headers, json=LIST)
        assert answer.status_code == status, answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("rostra.example", None, 200),
        ("rostra.example:443", None, 200),
        ("rostra.example", "https://rostra.example", 200),
        ("192.0.2.7:8321", "http://192.0.2.7:8321", 200),
        ("192.0.2.7:9999", None, 421),
        ("localhost:8321", None, 200),
        ("evil.example", None, 421),
        ("rostra.example.evil.example", None, 421),
        ("rostra.example", "https://evil.example", 403),
    ],
)
@pytest.mark.parametrize("listened", ["0.0.0.0", "127.0.0.1"])
async def test_further_names_are_those_that_are_set(
    settings: Settings,
    embedder: FakeEmbedder,
    static: Path,
    listened: str,
    host: str,
    origin: str | None,
    status: int,
) -> None:
    further = {"host": listened, "mcp_hosts": ("Rostra.example", "192.0.2.7:8321")}
    app = create_app(settings.model_copy(update=further), static=static)
    async with opened(app) as http:
        headers = ACCEPT | {"host": host} | ({"origin": origin} if origin else {})
        answer = await http.post("/mcp", headers=headers, json=LIST)
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize("name", ["", "*", "a b", "http://a", "a/b", "a:*", "a:1234567", "[x]"])
def test_a_further_name_is_one_of_a_host_header(name: str) -> None:
    with pytest.raises(ValidationError, match="mcp_hosts"):
        Settings(mcp_hosts=(name,))


async def test_reading_from_other_pages_is_refused_too(app: Litestar) -> None:
    """The rest of the API needs no such check, because browsers keep its answers from them."""
    async with opened(app) as http:
        answer = await http.get("/mcp", headers=ACCEPT | {"origin": "http://evil.example"})
        assert answer.status_code == 403


async def test_without_a_token_only_this_machine_is_let_in(
    settings: Settings, embedder: FakeEmbedder, static: Path
) -> None:
    app = create_app(settings.model_copy(update={"host": "0.0.0.0"}), static=static)
    async with opened(app, client=ELSEWHERE) as http:
        answer = await http.post("/mcp", headers=ACCEPT, json=LIST)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["code"] == "token_required"


@pytest.mark.parametrize("client", [HERE, ELSEWHERE])
async def test_with_a_token_nobody_is_let_in_without_it(
    settings: Settings, embedder: FakeEmbedder, static: Path, client: tuple[str, int]
) -> None:
    app = create_app(
        settings.model_copy(update={"mcp_token": SecretStr("s3cret-ü")}),
        static=static,
        pace=Pace(poll=0.05, beat=0.05),
    )
    async with opened(app, client=client) as http:
        for given in (None, "", "Bearer", "Bearer ", "Bearer s3cret", "Basic s3cret-ü", "s3cret-ü"):
            headers = dict(ACCEPT) if given is None else ACCEPT | {"authorization": given}
            sent = {name: value.encode() for name, value in headers.items()}
            answer = await http.post("/mcp", headers=sent, json=LIST)
            assert answer.status_code == 401, given
        for given in ("Bearer s3cret-ü", "bearer  s3cret-ü"):
            sent = {name: value.encode() for name, value in ACCEPT.items()}
            answer = await http.post(
                "/mcp", headers=sent | {"authorization": given.encode()}, json=LIST
            )
            assert answer.status_code == 200, given


async def test_what_is_no_message_is_refused(app: Litestar) -> None:
    async with opened(app) as http:
        for body in (b"", b"{", b"[]", b'"x"', b"\xff", b'{"jsonrpc": "1.0"}', b"[" * 100_000):
            answer = await http.post("/mcp", headers=ACCEPT, content=body)
            assert 400 <= answer.status_code < 500, body[:20]
        answer = await http.post("/mcp", headers=ACCEPT, content=b"x" * (5 * 1024 * 1024))
        assert answer.status_code == 413
        for path in ("/mcp/x", "/mcp/../mcpx"):
            assert (await http.post(path, headers=ACCEPT, json=LIST)).status_code == 404
        assert (await http.post("/mcp", headers=ACCEPT, json=LIST)).status_code == 200
