"""Runs over the API: begun, followed, decided on, cancelled, forked and deleted."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from rostra.agents import Agents, Paused, Resumed, encode_event
from rostra.api import Pace, create_app
from rostra.core import Settings
from rostra.models import ScriptedModel
from rostra.runtime import Runtime, open_runtime
from rostra.store import (
    append_events,
    claim_run,
    create_run,
    get_run,
    open_database,
    put_memory,
    seize_run,
)
from tests.fakes import FakeEmbedder
from tests.fakes_runs import Prompts, Tools, World

Client = AsyncTestClient[Litestar]
LOCAL = "http://127.0.0.1"
RUN = {
    "id", "task", "strategy", "status", "executing", "events", "parent", "created_at", "updated_at",
}  # fmt: skip
DETAIL = {
    "model", "budget", "spent", "tools", "problems", "waiting", "answer", "error",
}  # fmt: skip


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
def app(settings: Settings, embedder: FakeEmbedder, tools: Tools) -> Litestar:
    @asynccontextmanager
    async def runtime() -> AsyncIterator[Runtime]:
        async with open_runtime(settings, ScriptedModel(["ok"], loop=True)) as opened:
            await opened.agents.close()
            opened.agents = Agents(
                opened.database, World(tools).open, model="scripted", prompts=Prompts()
            )
            yield opened

    return create_app(settings, runtime, pace=Pace(poll=0.05, beat=0.05))


def events(text: str) -> list[tuple[int | None, dict[str, Any]]]:
    """The parts of a whole stream with their numbers; it must end with `[DONE]`."""
    found: list[tuple[int | None, dict[str, Any]]] = []
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    assert blocks[-1] == "data: [DONE]"
    for block in blocks[:-1]:
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        assert set(lines) <= {"id", "data"}
        number = int(lines["id"]) if "id" in lines else None
        found.append((number, json.loads(lines["data"])))
    return found


async def start(client: Client, task: str, **fields: Any) -> dict[str, Any]:
    response = await client.post("/api/runs", json={"task": task, "strategy": "obeys"} | fields)
    assert response.status_code == 202, response.text
    run: dict[str, Any] = response.json()
    return run


async def follow(client: Client, run_id: str, **query: Any) -> list[tuple[int | None, Any]]:
    response = await client.get(f"/api/runs/{run_id}/events", params=query)
    assert response.status_code == 200, response.text
    return events(response.text)


async def test_a_run_from_its_task_to_its_answer(client: Client, tools: Tools) -> None:
    run = await start(client, "look at it")
    assert set(run) == RUN
    response = await client.get(f"/api/runs/{run['id']}/events")
    assert response.headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert response.headers["content-type"].startswith("text/event-stream")
    parts = events(response.text)
    assert [part["type"] for _, part in parts] == [
        "start", "data-tools", "start-step", "data-step", "data-usage", "finish-step",
        "reasoning-start", "reasoning-delta", "reasoning-end",
        "tool-input-start", "tool-input-available",
        "tool-output-available", "text-start", "text-delta", "text-end", "data-answer", "data-run",
        "finish",
    ]  # fmt: skip
    assert parts[0][1]["messageId"] == run["id"]
    detail = (await client.get(f"/api/runs/{run['id']}")).json()
    assert set(detail) == RUN | DETAIL
    assert (detail["status"], detail["executing"]) == ("completed", False)
    assert detail["answer"]["text"] == "It is 7."
    assert detail["spent"]["calls"] == 1
    assert detail["tools"] == ["look", "send", "hang"]
    assert (detail["waiting"], detail["error"], detail["model"]) == ([], None, "scripted")
    page = (await client.get("/api/runs")).json()
    assert page["total"] == 1
    assert set(page["items"][0]) == RUN
    assert (await client.get("/api/runs?status=failed")).json() == {"items": [], "total": 0}
    assert tools.called == ["look"]


async def test_who_comes_back_misses_nothing_and_sees_nothing_twice(client: Client) -> None:
    run = await start(client, "look look")
    whole = await follow(client, run["id"])
    numbers = [number for number, _ in whole if number is not None]
    assert numbers == sorted(set(numbers))
    for number in numbers:
        at = [number for number, _ in whole].index(number)
        assert await follow(client, run["id"], after=number) == whole[at + 1 :]
        again = await client.get(
            f"/api/runs/{run['id']}/events", headers={"Last-Event-ID": str(number)}
        )
        assert events(again.text) == whole[at + 1 :]
    # A browser asks again with the address that it was given at first.
    at = [number for number, _ in whole].index(numbers[2])
    again = await client.get(
        f"/api/runs/{run['id']}/events?after={numbers[0]}",
        headers={"Last-Event-ID": str(numbers[2])},
    )
    assert events(again.text) == whole[at + 1 :]
    again = await client.get(f"/api/runs/{run['id']}/events", headers={"Last-Event-ID": ""})
    assert events(again.text) == whole


@pytest.mark.parametrize("nonsense", ["x", "-1", "９", "1" * 40, "4294967296", "1.5"])
async def test_where_nobody_can_have_been_is_refused(client: Client, nonsense: str) -> None:
    run = await start(client, "look")
    address = f"/api/runs/{run['id']}/events"
    for refused in (
        await client.get(address, headers={"Last-Event-ID": nonsense.encode()}),
        await client.get(address, params={"after": nonsense}),
    ):
        assert refused.status_code == 400
        assert refused.headers["content-type"].startswith("application/problem+json")
        assert refused.json()["code"] == "invalid_request"


async def test_a_start_that_asks_for_events_gets_them(client: Client) -> None:
    response = await client.post(
        "/api/runs",
        json={"task": "look", "strategy": "obeys"},
        headers={"Accept": "text/event-stream"},
    )
    assert response.headers["x-vercel-ai-ui-message-stream"] == "v1"
    parts = [part for _, part in events(response.text)]
    assert (parts[0]["type"], parts[-1]["finishReason"]) == ("start", "stop")
    assert (await client.get(f"/api/runs/{parts[0]['messageId']}")).json()["status"] == "completed"


@pytest.mark.parametrize(("decision", "called"), [("approve", ["send"]), ("deny", [])])
async def test_a_call_waits_for_its_approval(
    client: Client, tools: Tools, decision: str, called: list[str]
) -> None:
    run = await start(client, "send it")
    path = f"/api/runs/{run['id']}"
    before = await follow(client, run["id"])
    assert before[-1] == (None, {"type": "finish", "finishReason": "tool-calls"})
    (approval,) = [part["data"] for _, part in before if part["type"] == "data-approval"]
    assert (approval["tool"], approval["reasons"]) == ("send", ["it changes something"])
    detail = (await client.get(path)).json()
    assert detail["status"] == "paused"
    assert detail["waiting"] == [
        {
            "call": {"id": "c0", "tool": "send", "arguments": {}},
            "effect": "write",
            "reason": "approval",
            "why": ["it changes something"],
            "decisions": ["approve", "deny"],
        }
    ]
    assert tools.called == []
    last = max(number for number, _ in before if number is not None)
    # Who waits is told at once of what follows.
    waiting = asyncio.create_task(follow(client, run["id"], after=last, wait="true"))
    for call, said in (("c9", "approve"), ("c0", "done")):
        refused = await client.post(f"{path}/approvals", json={"call": call, "decision": said})
        assert refused.status_code in (400, 409), refused.text
    answer = await client.post(
        f"{path}/approvals", json={"call": "c0", "decision": decision, "note": "n"}
    )
    assert answer.status_code == 200, answer.text
    after = await waiting
    assert after[0][1]["data"] == {"decision": decision, "by": "user", "note": "n"}
    assert after[-1][1]["finishReason"] == "stop"
    assert tools.called == called
    again = await client.post(f"{path}/approvals", json={"call": "c0", "decision": decision})
    assert again.json()["code"] == "run_conflict"


async def test_a_cancelled_run_is_over(client: Client, tools: Tools) -> None:
    run = await start(client, "hang")
    path = f"/api/runs/{run['id']}"
    await asyncio.to_thread(tools.hanging.wait)
    assert (await client.get(path)).json()["executing"]
    assert (await client.delete(path)).json()["code"] == "run_conflict"
    resumed = await client.post(f"{path}/resume")
    assert (resumed.status_code, resumed.json()["status"]) == (202, "running")
    assert (await client.post(f"{path}/cancel")).json()["status"] == "cancelled"
    parts = [part for _, part in await follow(client, run["id"])]
    assert [part["type"] for part in parts[-3:]] == ["data-run", "abort", "finish"]
    for verb in ("cancel", "resume"):
        assert (await client.post(f"{path}/{verb}")).json()["code"] == "run_conflict"
    assert (await client.delete(path)).status_code == 204
    for gone in (path, f"{path}/events", f"{path}/log"):
        assert (await client.get(gone)).json()["code"] == "run_not_found"


async def test_a_name_that_is_no_tool_is_not_approved(client: Client, tools: Tools) -> None:
    body = {"task": "send it", "strategy": "obeys", "approve": ["send", "sendd"]}
    refused = await client.post("/api/runs", json=body)
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (400, "invalid_request")
    assert "'" not in problem["detail"]
    assert problem["detail"] == "approve: this run has no tool sendd"
    assert problem["hint"] == "Did you mean send? Tools: look, send, hang."
    assert (await client.get("/api/runs")).json()["total"] == 0
    run = await start(client, "send it", approve=["send"])
    assert (await follow(client, run["id"]))[-1][1]["finishReason"] == "stop"
    assert tools.called == ["send"]
    fork = {"step": 0, "approve": ["sendd"]}
    refused = await client.post(f"/api/runs/{run['id']}/fork", json=fork)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    assert (await client.get("/api/runs")).json()["total"] == 1


async def test_names_of_a_server_that_is_away_are_told_by_the_run(
    client: Client, tools: Tools
) -> None:
    tools.problems = ("mail: its tools are left out: no answer within 1 s",)
    run = await start(client, "look", approve=["mail__send"])
    await follow(client, run["id"])
    detail = (await client.get(f"/api/runs/{run['id']}")).json()
    assert "'mail__send' is approved, and no tool is called so" in detail["problems"]
    body = {"task": "look", "strategy": "obeys", "approve": ["post__send"]}
    assert (await client.post("/api/runs", json=body)).status_code == 400


async def test_a_run_shows_why_it_stopped_and_what_goes_on_with_it(
    client: Client, app: Litestar, tools: Tools
) -> None:
    run = await start(client, "send it")
    await follow(client, run["id"])
    detail = (await client.get(f"/api/runs/{run['id']}")).json()
    assert (detail["error"], detail["model"]) == (None, "scripted")
    error = {"code": "model_unavailable", "message": "no model is set"}
    runtime: Runtime = app.state.services.runtime
    wanted = UUID(run["id"])
    async with runtime.database.write() as session:
        claim = await seize_run(session, wanted, "other", timedelta(seconds=1))
        first = (await get_run(session, wanted)).last_seq
        more = [Resumed("other", "larger"), Paused("interrupted", [], error)]
        entries = [(datetime.now(UTC), type(one).__name__, encode_event(one)) for one in more]
        await append_events(
            session, wanted, first, entries, token=claim.fencing_token, status="paused"
        )
    detail = (await client.get(f"/api/runs/{run['id']}")).json()
    assert (detail["error"], detail["model"]) == (error, "larger")


async def test_a_fork_repeats_no_call(client: Client, tools: Tools) -> None:
    run = await start(client, "look look")
    await follow(client, run["id"])
    forked = await client.post(
        f"/api/runs/{run['id']}/fork", json={"step": 1, "budget": {"steps": 5}}
    )
    assert forked.status_code == 202, forked.text
    fork = forked.json()
    assert fork["parent"] == run["id"]
    parts = [part for _, part in await follow(client, fork["id"])]
    assert parts[-1]["finishReason"] == "stop"
    assert tools.called == ["look"] * 3
    limits = (await client.get(f"/api/runs/{fork['id']}")).json()["budget"]
    assert limits["steps"] == 5
    more = {"step": 0, "budget": {"tokens": 9000}}
    forked = await client.post(f"/api/runs/{fork['id']}/fork", json=more)
    again = (await client.get(f"/api/runs/{forked.json()['id']}")).json()["budget"]
    assert again == limits | {"tokens": 9000}
    refused = await client.post(f"/api/runs/{run['id']}/fork", json={"step": 9})
    assert refused.status_code == 400


async def test_a_run_whose_server_died_is_gone_on_with(
    app: Litestar, settings: Settings, tools: Tools
) -> None:
    async with (
        await open_database(settings.resolved_database_url) as database,
        database.write() as session,
    ):
        config = {"task": "look", "strategy": "obeys", "model": "scripted"}
        left = await create_run(session, task="look", strategy="obeys", config=config)
        await claim_run(session, "dead server", timedelta(seconds=-1))
    async with AsyncTestClient(app, base_url=LOCAL) as client:
        parts = [part for _, part in await follow(client, str(left.id))]
    assert parts[-1]["finishReason"] == "stop"
    assert tools.called == ["look"]


async def test_the_log_by_page(client: Client) -> None:
    run = await start(client, "look")
    await follow(client, run["id"])
    log = (await client.get(f"/api/runs/{run['id']}/log")).json()["items"]
    assert [item["seq"] for item in log] == list(range(1, len(log) + 1))
    assert (log[0]["event"]["type"], log[-1]["event"]["type"]) == ("RunStarted", "RunEnded")
    page = (await client.get(f"/api/runs/{run['id']}/log?after=2&limit=1")).json()["items"]
    assert page == log[2:3]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"task": " "},
        {"task": "x" * 30_000},
        {"task": "x", "budget": {"steps": 0}},
        {"task": "x", "budget": {"seconds": -1}},
        {"task": "x", "tools": [""]},
        {"task": "x", "tools": ["y"] * 101},
        {"task": "x", "user": "root"},
        {"task": 7},
    ],
)
async def test_bad_tasks_are_refused(client: Client, body: dict[str, Any]) -> None:
    response = await client.post("/api/runs", json=body)
    assert response.status_code == 400, response.text
    assert response.headers["content-type"] == "application/problem+json"


async def test_what_is_not_there(client: Client) -> None:
    for run_id in (str(uuid4()), "x"):
        for verb, path, body in (
            ("GET", "", None),
            ("GET", "/events", None),
            ("GET", "/log", None),
            ("POST", "/approvals", {"call": "c", "decision": "deny"}),
            ("POST", "/cancel", None),
            ("POST", "/resume", None),
            ("POST", "/fork", {"step": 0}),
            ("DELETE", "", None),
        ):
            response = await client.request(verb, f"/api/runs/{run_id}{path}", json=body)
            assert response.json()["code"] == "run_not_found", (verb, path)
    for query in ("after=-1", "after=x", "wait=maybe"):
        assert (await client.get(f"/api/runs/{uuid4()}/events?{query}")).status_code == 400


async def test_memories_are_listed_and_deleted(client: Client, settings: Settings) -> None:
    async with (
        await open_database(settings.resolved_database_url) as database,
        database.write() as session,
    ):
        for text in ("one", "two", "three"):
            made = await put_memory(session, "", text, source="user")
        await put_memory(session, "somebody else", "secret", source="user")
    page = (await client.get("/api/memories?limit=2")).json()
    assert page["total"] == 3
    assert [item["text"] for item in page["items"]] == ["three", "two"]
    assert set(page["items"][0]) == {
        "id", "text", "source", "expires_at", "created_at", "updated_at",
    }  # fmt: skip
    assert (await client.delete(f"/api/memories/{made.id}")).status_code == 204
    for gone in (str(made.id), str(uuid4()), "x"):
        response = await client.delete(f"/api/memories/{gone}")
        assert response.json()["code"] == "memory_not_found"
    assert (await client.delete("/api/memories")).status_code == 204
    assert (await client.get("/api/memories")).json() == {"items": [], "total": 0}
