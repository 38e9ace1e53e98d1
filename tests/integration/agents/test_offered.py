"""What the platform offers to runs by its settings: other agents, and Python in a sandbox."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import pytest

from mcp_servers import SandboxRunner
from rostra.agents import (
    RUN_PYTHON,
    Budget,
    Effect,
    Equipped,
    Outcome,
    Paused,
    Record,
    RunEnded,
    RunRequest,
    ToolEnded,
    ToolStarted,
    outline,
    read_log,
)
from rostra.cli import doctor
from rostra.cli.main import run as run_command
from rostra.core import ChatMessage, GenerationOptions, InvalidRequest, Settings
from rostra.models import ScriptedModel
from rostra.runtime import Runtime, open_runtime
from rostra.store import list_runs
from tests.agent_parts import final
from tests.integration.mcp_servers.sandboxed import needs_sandbox
from tests.ports import refusing_port

SUMS = {"description": "Calculates.", "tools": ["calculator"], "share": 0.5}
NOTES = {"description": "Keeps facts.", "tools": ["remember", "recall"]}
BUDGET = Budget(steps=10, seconds=60, calls=20)


def act(tool: str, **arguments: Any) -> str:
    return json.dumps({"thought": "next", "action": [{"tool": tool, "args": arguments}]})


def model(**scripts: Sequence[str]) -> ScriptedModel:
    """Says the n-th line of the script that the task's first word names."""

    def say(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
        said = sum(message.role == "assistant" for message in messages)
        task = next(message.content for message in messages if message.role == "user")
        lines = scripts[task.split()[0].lower()]
        return lines[min(said, len(lines) - 1)]

    return ScriptedModel(say)


def given(settings: Settings, **more: Any) -> Settings:
    return settings.model_copy(update=more)


async def log_of(runtime: Runtime, run_id: UUID) -> list[Record]:
    return await read_log(runtime.database, run_id)


def all_of(kind: type[Any], records: list[Record]) -> list[Any]:
    return [record.event for record in records if isinstance(record.event, kind)]


async def test_an_agent_of_the_settings_works_on_a_task(settings: Settings) -> None:
    scripts = {
        "ask": [act("agent__sums", task="Multiply 8 and 1600."), final("It is 12800.", 1)],
        "multiply": [
            act("calculator__calculate", expression="8 * 1600"),
            final("The product is 12800.", 1),
        ],
    }
    chosen = given(settings, agents={"sums": SUMS, "notes": NOTES})
    async with open_runtime(chosen, model(**scripts)) as runtime:
        run_id = await runtime.agents.start(RunRequest(task="Ask for it.", budget=BUDGET))
        end = (await runtime.agents.wait(run_id)).event
        assert isinstance(end, RunEnded)
        assert end.answer is not None, end.error
        records = await log_of(runtime, run_id)
        (equipped,) = all_of(Equipped, records)
        effects = {tool.name: tool.effect for tool in equipped.tools}
        assert (effects["agent__sums"], effects["agent__notes"]) == (Effect.READ, Effect.UNKNOWN)
        assert RUN_PYTHON not in effects, "nobody gave a sandbox"
        (result,) = all_of(ToolEnded, records)
        assert "The product is 12800." in result.text
        for one in (run_id, await child_of(runtime, run_id)):
            assert (await runtime.agents.replay(one)).difference is None
        child = await log_of(runtime, await child_of(runtime, run_id))
        (own,) = all_of(Equipped, child)
        assert {tool.source for tool in own.tools} == {"calculator"}


async def child_of(runtime: Runtime, run_id: UUID) -> UUID:
    async with runtime.database.read() as session:
        runs, _ = await list_runs(session)
    (child,) = [run.id for run in runs if run.parent == run_id]
    return child


async def test_an_agent_that_changes_something_asks_through_the_run_that_waits(
    settings: Settings,
) -> None:
    scripts = {
        "ask": [act("agent__notes", task="Keep this."), final("Kept.")],
        "keep": [act("remember", fact="The sky is blue."), final("Kept.")],
    }
    chosen = given(settings, agents={"notes": NOTES})
    async with open_runtime(chosen, model(**scripts)) as runtime:
        request = RunRequest(task="Ask for it.", tools=["agent__notes"], budget=BUDGET)
        run_id = await runtime.agents.start(request)
        tools = []
        for _ in range(2):
            paused = (await runtime.agents.wait(run_id)).event
            assert isinstance(paused, Paused)
            (asked,) = outline(await log_of(runtime, run_id)).waiting
            tools.append(asked.call.tool)
            decision = "approve" if asked.call.tool == "agent__notes" else "deny"
            await runtime.agents.decide(run_id, asked.call.id, decision)  # type: ignore[arg-type] # a literal
        assert tools == ["agent__notes", "remember"]
        assert isinstance((await runtime.agents.wait(run_id)).event, RunEnded)
        child = await log_of(runtime, await child_of(runtime, run_id))
        assert [one.outcome for one in all_of(ToolEnded, child)] == [Outcome.DENIED]


@needs_sandbox
async def test_code_works_on_what_tools_give(settings: Settings) -> None:
    code = """
import tools
total = 0
for number in range(3):
    found = tools.call("calculator__calculate", expression=f"{number} * 100")
    total += 1 if str(number * 100) in str(found) else 0
try:
    tools.call("remember", fact="The code was here.")
except tools.ToolError as error:
    print(error)
try:
    open("/etc/passwd")
except OSError as error:
    print(type(error).__name__)
total
"""
    scripts = {"compute": [act(RUN_PYTHON, code=code), final("It is so.", 1)]}
    async with open_runtime(settings, model(**scripts), SandboxRunner()) as runtime:
        run_id = await runtime.agents.start(RunRequest(task="Compute it.", budget=BUDGET))
        end = (await runtime.agents.wait(run_id)).event
        assert isinstance(end, RunEnded)
        assert end.spent.calls == 4
        records = await log_of(runtime, run_id)
        (text,) = [one.text for one in all_of(ToolEnded, records) if ">" not in one.key]
        first, second, last = text.splitlines()
        assert "remember cannot be called from here" in first
        assert second in ("FileNotFoundError", "PermissionError")
        assert last == "3"
        called = [one.call.tool for one in all_of(ToolStarted, records)]
        assert called == [RUN_PYTHON] + ["calculator__calculate"] * 3
        assert (await runtime.agents.replay(run_id)).difference is None


@needs_sandbox
async def test_python_can_be_switched_off(settings: Settings) -> None:
    off = given(settings, agent_python=False)
    async with open_runtime(off, model(do=[final("No.")]), SandboxRunner()) as runtime:
        run_id = await runtime.agents.start(
            RunRequest(task="Do it.", tools=["recall", RUN_PYTHON], budget=BUDGET)
        )
        await runtime.agents.wait(run_id)
        (equipped,) = all_of(Equipped, await log_of(runtime, run_id))
        assert [tool.name for tool in equipped.tools] == ["recall"]


class NoSandbox(SandboxRunner):
    """As on a machine without user namespaces."""

    async def unavailable(self) -> str | None:
        return "it cannot be made here"


async def test_without_a_sandbox_there_is_no_python(settings: Settings) -> None:
    async with open_runtime(settings, model(do=[final("No.")]), NoSandbox()) as runtime:
        run_id = await runtime.agents.start(
            RunRequest(task="Do it.", tools=["recall", RUN_PYTHON], budget=BUDGET)
        )
        await runtime.agents.wait(run_id)
        (equipped,) = all_of(Equipped, await log_of(runtime, run_id))
        assert [tool.name for tool in equipped.tools] == ["recall"]


@needs_sandbox
def test_the_command_offers_both(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    tmp_path: Any,
) -> None:
    script = tmp_path / "script.jsonl"
    lines = [act(RUN_PYTHON, code="6 * 7"), final("It is 42.", 1)]
    script.write_text("\n".join(json.dumps({"text": line}) for line in lines))
    config = tmp_path / "rostra.toml"
    config.write_text('[agents.sums]\ndescription = "Calculates."\ntools = ["calculator"]\n')
    monkeypatch.setenv("ROSTRA_CONFIG", str(config))
    monkeypatch.setenv("ROSTRA_CHAT_SCRIPT", str(script))
    wanted = f"{RUN_PYTHON},agent__sums"
    assert run_command(["agent", "run", "What is 6 * 7?", "--tools", wanted, "--json"]) == 0
    found = json.loads(capfdbinary.readouterr().out)
    assert found["answer"]["claims"][0]["evidence"][0]["quote"] == "42"
    assert run_command(["agent", "show", found["run"], "--json"]) == 0
    events = json.loads(capfdbinary.readouterr().out)["events"]
    (tools,) = [one["event"]["tools"] for one in events if one["event"]["type"] == "Equipped"]
    assert {tool["name"] for tool in tools} == {RUN_PYTHON, "agent__sums"}


@pytest.mark.parametrize(
    ("switched_on", "why", "status", "said"),
    [
        (True, None, "ok", "can run"),
        (True, "it cannot be made here", "warning", "cannot be made here"),
        (False, None, "ok", "switched off"),
    ],
)
async def test_the_doctor_says_whether_it_works(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    switched_on: bool,
    why: str | None,
    status: str,
    said: str,
) -> None:
    async def unavailable(_: SandboxRunner) -> str | None:
        return why

    monkeypatch.setattr(SandboxRunner, "unavailable", unavailable)
    found = await doctor._sandbox(given(settings, agent_python=switched_on))
    assert (found.status, said in found.detail) == (status, True)


@needs_sandbox
async def test_whether_it_works_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runner, probed = SandboxRunner(), list[str]()
    run = runner._sandbox.run

    async def counted(code: str, *more: Any, **named: Any) -> Any:
        probed.append(code)
        return await run(code, *more, **named)

    monkeypatch.setattr(runner._sandbox, "run", counted)
    assert await asyncio.gather(runner.unavailable(), runner.unavailable()) == [None, None]
    assert len(probed) == 1


async def test_a_run_limited_to_a_server_that_is_away_says_so(settings: Settings) -> None:
    with refusing_port() as port:
        await _limited_to_a_server_that_is_away(settings, port)


async def _limited_to_a_server_that_is_away(settings: Settings, port: int) -> None:
    away = {"servers": {"norm": {"url": f"http://127.0.0.1:{port}/mcp"}}}
    async with open_runtime(given(settings, mcp=away), model(say=[final("Nothing.")])) as runtime:
        request = RunRequest(
            task="Say it.", tools=["norm__note"], approve=["norm__note"], budget=BUDGET
        )
        await runtime.agents.check_approved(request)
        run_id = await runtime.agents.start(request)
        assert isinstance((await runtime.agents.wait(run_id)).event, RunEnded)
        (equipped,) = all_of(Equipped, await log_of(runtime, run_id))
        assert not equipped.tools
        assert equipped.problems[0].startswith("norm: its tools are left out: ")
        for wrong in ({"approve": ["other__note"]}, {"tools": ["nosuch"]}):
            with pytest.raises(InvalidRequest, match="no tool"):
                await runtime.agents.check_approved(msgspec.structs.replace(request, **wrong))


async def test_samples_have_no_tool_that_changes_something(settings: Settings) -> None:
    async with open_runtime(settings, model(say=[final("Yes.")])) as runtime:
        request = RunRequest(task="Say it.", budget=BUDGET, approve=["remember"])
        await runtime.agents.check_approved(request)
        several = msgspec.structs.replace(request, options={"samples": 2})
        with pytest.raises(InvalidRequest, match="this run has no tool remember"):
            await runtime.agents.check_approved(several)
        run_id = await runtime.agents.start(msgspec.structs.replace(several, approve=[]))
        assert isinstance((await runtime.agents.wait(run_id)).event, RunEnded)
        (equipped,) = all_of(Equipped, await log_of(runtime, run_id))
        assert {tool.effect for tool in equipped.tools} == {Effect.READ}
        only = msgspec.structs.replace(several, tools=["remember"])
        with pytest.raises(InvalidRequest, match="only read"):
            await runtime.agents.check_approved(only)
