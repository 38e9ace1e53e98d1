"""`POST /api/runs` with a prompt of an MCP server as the task."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from rostra.api import create_app
from rostra.core import Settings
from rostra.models import ScriptedModel
from rostra.runtime import Runtime, open_runtime
from tests.agent_parts import final
from tests.integration.agents.mcp.test_stdio import raw

# A prompt with an argument, one without text, and one that nobody answers.
PROMPT = """
        case "prompts/get" if asked["params"]["name"] == "sum":
            text = "Say " + asked["params"].get("arguments", {}).get("what", "?")
            content = {"type": "text", "text": text}
            say(asked["id"], {"messages": [{"role": "user", "content": content}]})
        case "prompts/get" if asked["params"]["name"] == "empty":
            say(asked["id"], {"messages": []})
        case "prompts/get":
            pass
        case "tools/call":"""
CODE = raw("pass").replace('        case "tools/call":', PROMPT.removeprefix("\n"))


@pytest.fixture
async def client(settings: Settings, tmp_path: Path) -> AsyncIterator[AsyncTestClient[Litestar]]:
    path = tmp_path / "norm.py"
    path.write_text(CODE, encoding="utf-8")
    norm = {
        "command": sys.executable,
        "args": [str(path)],
        "idle_seconds": 2,
        "approve_first": True,
    }
    off = {"enabled": False, "command": "none"}
    own = settings.model_copy(update={"mcp": {"servers": {"norm": norm, "calculator": off}}})

    @asynccontextmanager
    async def runtime() -> AsyncIterator[Runtime]:
        async with open_runtime(own, ScriptedModel([final("Done.")], loop=True)) as opened:
            yield opened

    async with AsyncTestClient(
        create_app(own, runtime), base_url="http://127.0.0.1"
    ) as opened_client:
        yield opened_client


async def start(client: AsyncTestClient[Litestar], **body: Any) -> tuple[int, dict[str, Any]]:
    response = await client.post("/api/runs", json=body)
    return response.status_code, response.json()


async def test_a_prompt_is_the_task_and_its_servers_word(
    client: AsyncTestClient[Litestar],
) -> None:
    prompt = {"server": "norm", "name": "sum", "arguments": {"what": "it"}}
    status, run = await start(client, prompt=prompt, tools=["norm__t"])
    assert (status, run["task"]) == (202, "Say it")
    await client.get(f"/api/runs/{run['id']}/events")  # until its end
    log = (await client.get(f"/api/runs/{run['id']}/log")).json()
    asked = [one["event"] for one in log["items"] if one["event"]["type"] == "ModelAsked"]
    assert asked
    assert all(one["sources"] == ["tool:norm/sum"] for one in asked)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "invalid_request"),
        ({"task": "x", "prompt": {"server": "norm", "name": "sum"}}, 400, "invalid_request"),
        ({"prompt": {"server": "norm", "name": "empty"}}, 400, "invalid_request"),
        ({"prompt": {"server": "nobody", "name": "sum"}}, 404, "mcp_server_not_found"),
        ({"prompt": {"server": "norm", "name": "mute"}}, 503, "mcp_server_unavailable"),
        ({"prompt": {"server": "norm"}}, 400, None),
        ({"prompt": {"server": "norm", "name": "sum", "arguments": {"what": 7}}}, 400, None),
        ({"prompt": {"server": "norm", "name": "sum", "more": 1}}, 400, None),
    ],
)
async def test_prompts_that_are_no_task(
    client: AsyncTestClient[Litestar], body: dict[str, Any], status: int, code: str | None
) -> None:
    found, problem = await start(client, **body)
    assert found == status, problem
    if code is not None:
        assert problem["code"] == code
    assert (await client.get("/api/runs")).json()["total"] == 0
