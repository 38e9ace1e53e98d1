"""`rostra agent`: runs begun, asked about, listed, shown, replayed, forked, resumed, cancelled."""

import asyncio
import io
import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from rich.console import Console

from rostra.agents import (
    Agents,
    ApprovalDecided,
    Effect,
    Outcome,
    PlannedCall,
    Record,
    RunEvent,
    RunRequest,
    ToolEnded,
    ToolStarted,
    encode_event,
)
from rostra.cli import run_following
from rostra.cli.main import run
from rostra.cli.run_decisions import may_have_happened
from rostra.cli.run_view import RunView
from rostra.core import Settings
from rostra.models import ScriptedModel, Turn
from rostra.runtime import Runtime
from rostra.runtime.agents import Workshop
from rostra.store import (
    Run,
    append_events,
    claim_run,
    create_run,
    get_run,
    open_database,
    seize_run,
)
from tests.agent_parts import expire
from tests.fakes_runs import Prompts, Tools, World

Invoke = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
def invoke(
    settings: Settings,
    tools: Tools,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Invoke:
    """Runs a command line over the small world of runs; status, parsed or raw stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Workshop, "open", lambda _, request: World(tools).open(request))
    monkeypatch.setattr(
        Workshop, "open_replay", lambda _, told, request: World(tools).open(request)
    )
    monkeypatch.setattr(
        Workshop, "open_replay", lambda _, told, request: World(tools).open(request)
    )
    monkeypatch.setattr(Workshop, "check", lambda *_: None)

    def call(*arguments: str) -> tuple[int, Any, str]:
        status = run(["agent", *arguments])
        out, err = capfdbinary.readouterr()
        text = out.decode()
        assert "Traceback" not in text + err.decode()
        return status, json.loads(text) if "--json" in arguments else text, err.decode()

    return call


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """A terminal at standard input; what is given is typed on it."""
    master, slave = os.openpty()
    with os.fdopen(slave, "r") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield lambda text: (os.write(master, text.encode()), None)[1]
        os.close(master)


def test_a_run_is_shown_step_by_step(invoke: Invoke, tools: Tools) -> None:
    status, text, _ = invoke("run", "look at it")
    assert status == 0
    lines = [line.split() for line in text.splitlines() if line.strip()]
    words = [line[0] for line in lines]
    assert words[:6] == ["task", "tools", "step", "thought", "call", "result"]
    assert "look()" in text
    assert "It is 7. [1]" in text
    assert "[1] look gave 7.  look" in text
    assert "completed" in text
    assert tools.called == ["look"]


def test_a_run_as_json_and_what_is_done_with_it(invoke: Invoke, tools: Tools) -> None:
    status, made, _ = invoke("run", "look look", "--json")
    assert status == 0
    assert (made["status"], made["answer"]["text"]) == ("completed", "It is 7.")
    assert made["spent"]["steps"] == made["spent"]["calls"] == 2
    _, listed, _ = invoke("list", "--json")
    assert [item["id"] for item in listed["items"]] == [made["run"]]
    assert made["run"] in invoke("list")[1]
    assert invoke("list", "--status", "failed", "--json")[1] == {"items": [], "total": 0}
    _, shown, _ = invoke("show", made["run"], "--json")
    assert [event["seq"] for event in shown["events"]] == list(range(1, len(shown["events"]) + 1))
    assert shown["events"][-1]["event"]["type"] == "RunEnded"
    assert "It is 7." in invoke("show", made["run"])[1]
    status, replayed, _ = invoke("replay", made["run"], "--json")
    assert (status, replayed["difference"], replayed["status"]) == (0, None, "completed")
    assert "the same" in invoke("replay", made["run"])[1]
    assert tools.called == ["look", "look"]
    status, forked, _ = invoke("fork", made["run"], "1", "--max-steps", "5", "--json")
    assert (status, forked["status"]) == (0, "completed")
    assert tools.called == ["look"] * 3
    assert invoke("cancel", made["run"], "--json")[1]["error"]["code"] == "run_conflict"
    assert invoke("delete", made["run"])[0] == 0
    status, gone, _ = invoke("show", made["run"], "--json")
    assert (status, gone["error"]["code"]) == (2, "run_not_found")


@pytest.mark.parametrize(
    ("options", "status", "called"),
    [
        (["--yes"], 0, []),
        (["--yes", "--approve", "send"], 0, ["send"]),
        (["--approve", "send"], 0, ["send"]),
        (["--approve", "look"], 1, []),
        ([], 1, []),
    ],
)
def test_what_changes_something_is_allowed_by_name_alone(
    invoke: Invoke, tools: Tools, options: list[str], status: int, called: list[str]
) -> None:
    found, made, _ = invoke("run", "send it", *options, "--json")
    assert found == status
    assert tools.called == called
    assert made["status"] == ("completed" if status == 0 else "paused")
    if status:
        (waiting,) = made["waiting"]
        assert (waiting["call"]["tool"], waiting["why"]) == ("send", ["it changes something"])


@pytest.mark.parametrize(
    ("typed", "called"), [("y\n", ["send"]), ("YES\n", ["send"]), ("n\n", []), ("\n", [])]
)
def test_a_person_is_asked_at_the_terminal(
    invoke: Invoke,
    tools: Tools,
    terminal: Callable[[str], None],
    typed: str,
    called: list[str],
) -> None:
    terminal(typed)
    status, text, _ = invoke("run", "send it")
    assert status == 0
    assert "Allow this call? [y/N]" in text
    assert "send()" in text
    assert tools.called == called


def test_a_run_left_paused_is_resumed_later(
    invoke: Invoke, tools: Tools, terminal: Callable[[str], None]
) -> None:
    _, made, _ = invoke("run", "look send", "--json")
    assert made["status"] == "paused"
    status, text, _ = invoke("show", made["run"])
    assert "paused" in text
    terminal("y\n")
    status, text, _ = invoke("resume", made["run"])
    assert status == 0
    assert "completed" in text
    assert tools.called == ["look", "send"]
    status, again, _ = invoke("resume", made["run"], "--json")
    assert (status, again["status"]) == (0, "completed")
    assert tools.called == ["look", "send"]


def test_a_paused_run_can_be_cancelled(invoke: Invoke) -> None:
    _, made, _ = invoke("run", "send", "--json")
    assert invoke("cancel", made["run"])[0] == 0
    assert invoke("show", made["run"], "--json")[1]["status"] == "cancelled"


def test_an_interrupted_run_says_how_to_go_on(invoke: Invoke, tools: Tools) -> None:
    # Ctrl-C once the tool is being called.
    def interrupt() -> None:
        tools.hanging.wait()
        os.kill(os.getpid(), signal.SIGINT)

    # A shell that runs the tests in the background has them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=interrupt).start()
        status, _, err = invoke("run", "look hang")
    finally:
        signal.signal(signal.SIGINT, before)
    assert status == 130
    assert "rostra agent resume" in err
    _, listed, _ = invoke("list", "--json")
    (item,) = listed["items"]
    assert (item["status"], item["held"]) == ("paused", False)
    assert "interrupted" in invoke("list")[1]


def test_what_tools_write_does_not_steer_the_terminal(invoke: Invoke, tools: Tools) -> None:
    tools._result = "\x1b[2J\x9b31m [bold]x[/] \u202e" + "line\n" * 50
    _, text, _ = invoke("run", "look")
    assert "\x1b" not in text
    assert "\x9b" not in text
    assert "\u202e" not in text
    assert "[bold]x[/]" in text
    assert text.count("line\n") < 20


def test_errors_are_one_line(invoke: Invoke) -> None:
    for arguments in (("show", "x"), ("resume", str(uuid4())), ("cancel", str(uuid4()))):
        status, answer, err = invoke(*arguments, "--json")
        assert (status, answer["error"]["code"]) == (2, "run_not_found")
        assert err.startswith("error: ")
    assert invoke("run", " ", "--json")[1]["error"]["code"] == "invalid_request"
    assert invoke("run", "x", "--max-steps", "0", "--json")[0] == 2


@pytest.mark.parametrize(
    ("name", "hint"), [("nosuch", "look, send, hang"), ("sned", "Did you mean send?")]
)
def test_a_tool_that_is_not_there_cannot_be_allowed(
    invoke: Invoke, tools: Tools, name: str, hint: str
) -> None:
    status, answer, err = invoke("run", "send it", "--approve", f"look,{name}", "--json")
    assert (status, answer["error"]["code"]) == (2, "invalid_request")
    assert name in answer["error"]["message"]
    assert hint in answer["error"]["hint"]
    assert "look" not in answer["error"]["message"]
    assert name in err
    assert invoke("list", "--json")[1]["total"] == 0
    _, made, _ = invoke("run", "send it", "--json")
    for command in (("resume", made["run"]), ("fork", made["run"], "0")):
        status, answer, _ = invoke(*command, "--approve", name, "--json")
        assert (status, answer["error"]["code"]) == (2, "invalid_request")
    assert invoke("list", "--json")[1]["total"] == 1
    assert tools.called == []


def test_what_was_decided_is_said_of_which_call(
    invoke: Invoke, terminal: Callable[[str], None]
) -> None:
    _, text, _ = invoke("run", "send it", "--yes")
    assert "decision  not allowed send(): It was not allowed beforehand" in text
    assert "calls of send were not allowed; with --yes, --approve send allows them" in text
    _, made, _ = invoke("run", "send it", "--yes", "--json")
    assert made["denied"] == ["send"]
    _, text, _ = invoke("run", "send it", "--yes", "--approve", "send")
    assert "not allowed" not in text
    terminal("y\n")
    assert "decision  allowed send()" in invoke("run", "send it")[1]
    terminal("n\n")
    _, text, _ = invoke("run", "send it")
    assert "decision  not allowed send()\n" in text
    assert "--approve" not in text  # Who says no at the terminal knows.


def test_a_run_that_waits_says_what_decides_this_one_call(invoke: Invoke, tools: Tools) -> None:
    _, text, _ = invoke("run", "send and send")
    assert "--approve" not in text  # It would allow whatever comes later too.
    assert "it changes something" in text
    told = next(line for line in text.splitlines() if "rostra agent decide" in line)
    approve, deny = (one.split("rostra agent ")[1].split() for one in told.split("  |  "))
    assert (approve[0], approve[2:], deny[3]) == ("decide", ["c0", "approve"], "deny")
    status, text, _ = invoke(*approve)
    assert (status, tools.called) == (1, ["send"])
    assert "rostra agent decide" in text
    status, left, _ = invoke(*deny[:2], "c1", "done", "--json")
    assert (status, left["error"]["code"]) == (2, "invalid_request")
    status, left, _ = invoke(*deny[:2], "c1", "deny", "--note", "one is enough", "--json")
    assert (status, left["status"], tools.called) == (0, "completed", ["send"])
    assert invoke(*deny)[0] == 2


def test_a_replay_that_differs_says_so_as_text(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, made, _ = invoke("run", "look", "--json")
    monkeypatch.setattr(
        "tests.fakes_runs.ScriptedModel",
        lambda script, loop: ScriptedModel(["[/bold] [red]x \x1b[31m"], loop=loop),
    )
    status, text, _ = invoke("replay", made["run"], "--ask-models")
    assert status == 1
    assert "not the same: " in text
    assert "[/bold] [red]x" in text
    assert "\x1b" not in text


def test_an_answer_without_a_source_is_marked(invoke: Invoke) -> None:
    _, text, _ = invoke("run", "just say it")
    assert "It is 7. [no source]" in text
    assert "1 of 1 statements without a source" in text
    _, made, _ = invoke("run", "just say it", "--json")
    assert made["answer"]["unsupported"] == 1
    assert made["answer"]["claims"] == [{"text": "It is 7.", "unsupported": True}]
    _, made, _ = invoke("run", "look", "--json")
    assert "unsupported" not in made["answer"]


def test_tokens_that_nobody_counted_are_marked(
    invoke: Invoke, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text, _ = invoke("run", "look")
    assert "about" not in text
    monkeypatch.setattr(
        "tests.fakes_runs.ScriptedModel",
        lambda script, loop: ScriptedModel([Turn("ok", usage={})], loop=loop),
    )
    _, text, _ = invoke("run", "look")
    assert re.search(r"step +about \d+ tokens", text)
    assert re.search(r"1 steps, about \d+ tokens", text)
    _, made, _ = invoke("run", "look", "--json")
    assert made["spent"]["estimated"] is True


def test_results_of_calls_side_by_side_say_whose_they_are() -> None:
    out = io.StringIO()
    view = RunView(Console(file=out, width=100))
    calls = [PlannedCall(f"c{at}", name, {}) for at, name in enumerate(("look", "find"))]
    events: list[RunEvent] = [
        *(ToolStarted(f"{at}", call, Effect.READ) for at, call in enumerate(calls)),
        *(ToolEnded(f"{at}", call.id, Outcome.OK, "seen") for at, call in enumerate(calls)),
        ToolStarted("2", PlannedCall("c2", "look", {}), Effect.READ),
        ToolEnded("2", "c2", Outcome.OK, "seen"),
    ]
    for seq, event in enumerate(events, 1):
        view.show(Record(seq, datetime.now(UTC), event))
    results = [line.split() for line in out.getvalue().splitlines() if "result" in line]
    assert results == [
        *(["result", f"{name}:", "seen"] for name in ("look()", "find()")),
        ["result", "seen"],
    ]


def test_a_run_that_another_process_holds_is_waited_for(
    invoke: Invoke, settings: Settings, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process has died just now, so that nobody may touch it before its lease is over."""

    async def leave() -> UUID:
        async with await open_database(settings.resolved_database_url) as database:
            config = msgspec.to_builtins(RunRequest(task="look at it"))
            async with database.write() as session:
                run = await create_run(session, task="look at it", strategy="react", config=config)
                assert await claim_run(session, "other:17", timedelta(hours=1), run.id)
            return run.id

    standing = run_following._standing

    async def over_when_seen(runtime: Runtime, run_id: UUID) -> Run | None:
        run = await standing(runtime, run_id)
        if run is not None and run.holder == "other:17":
            await expire(runtime.database)
        return run

    monkeypatch.setattr(run_following, "_standing", over_when_seen)
    run_id = asyncio.run(leave())
    status, text, err = invoke("resume", str(run_id))
    assert status == 0
    assert "completed" in text
    assert "another process (other:17) holds this run until" in err
    assert tools.called == ["look"]


def test_an_interrupted_run_is_resumed(invoke: Invoke, tools: Tools, settings: Settings) -> None:
    async def leave() -> UUID:
        async with await open_database(settings.resolved_database_url) as database:
            agents = Agents(database, World(tools).open, prompts=Prompts())
            run_id = await agents.start(RunRequest(task="look hang"))
            await asyncio.to_thread(tools.hanging.wait)
            assert await agents.interrupt(run_id)
            await agents.close()
            return run_id

    run_id = asyncio.run(leave())
    assert "interrupted" in invoke("list")[1]
    tools.go_on.set()
    status, text, _ = invoke("resume", str(run_id))
    assert status == 0
    assert "resumed" in text
    assert tools.called == ["look", "hang", "hang"]


def test_what_may_have_happened_is_told_at_the_end(invoke: Invoke, settings: Settings) -> None:
    _, made, _ = invoke("run", "send it", "--json")
    run_id = UUID(made["run"])

    async def die_in_the_call() -> None:
        async with (
            await open_database(settings.resolved_database_url) as database,
            database.write() as session,
        ):
            run = await get_run(session, run_id)
            held = await seize_run(session, run_id, "me", timedelta(minutes=1))
            call = PlannedCall(made["waiting"][0]["call"]["id"], "send", {})
            event = ToolStarted("3", call, Effect.WRITE)
            entry = (datetime.now(UTC), "ToolStarted", encode_event(event))
            await append_events(session, run_id, run.last_seq, [entry], token=held.fencing_token)

    asyncio.run(die_in_the_call())
    assert invoke("cancel", str(run_id))[0] == 0
    status, text, _ = invoke("resume", str(run_id))
    assert status == 1
    assert "nobody knows whether this has happened: send()" in text


def test_what_a_run_may_cost_and_how_many_samples_it_draws(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunRequest] = []
    monkeypatch.setattr(Workshop, "check", lambda _, request: asked.append(request))
    options = ("--max-cost", "0.25", "--samples", "3", "--json")
    status, made, _ = invoke("run", "look", *options)
    assert (status, made["model"]) == (0, "")
    assert asked[-1].budget.cost == 0.25
    assert asked[-1].options == {"samples": 3}
    assert invoke("fork", made["run"], "0", "--max-cost", "0.5", "--json")[0] == 0
    assert asked[-1].budget.cost == 0.5
    assert invoke("run", "look", "--max-cost", "0", "--json")[0] == 2
    assert invoke("run", "look", "--samples", "0", "--json")[0] == 2


def test_a_fork_keeps_the_limits_that_are_not_named(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunRequest] = []
    monkeypatch.setattr(Workshop, "check", lambda _, request: asked.append(request))
    most = ("--max-cost", "0.3", "--max-tokens", "100000", "--max-seconds", "50")
    _, made, _ = invoke("run", "look", *most, "--json")
    assert invoke("fork", made["run"], "0", "--max-steps", "6", "--json")[0] == 0
    budget = asked[-1].budget
    assert (budget.steps, budget.cost, budget.tokens, budget.seconds) == (6, 0.3, 100_000, 50)
    assert invoke("fork", made["run"], "0", "--max-seconds", "60", "--json")[0] == 0
    assert (asked[-1].budget.seconds, asked[-1].budget.cost) == (60, 0.3)


@pytest.mark.parametrize("option", ["--max-cost", "--max-seconds"])
@pytest.mark.parametrize("amount", ["nan", "inf"])
def test_limits_are_numbers(invoke: Invoke, option: str, amount: str) -> None:
    status, answer, err = invoke("run", "look", option, amount, "--json")
    assert (status, answer["error"]["code"]) == (2, "usage")
    assert "is no amount" in err
    assert invoke("list", "--json")[1]["total"] == 0


def test_what_a_person_said_has_happened_is_no_open_question(invoke: Invoke) -> None:
    call = PlannedCall("c0", "send", {})
    events: list[RunEvent] = [
        ToolStarted("1", call, Effect.WRITE),
        ApprovalDecided("c0", "done", attempts=1),
        ToolEnded("1", "c0", Outcome.UNKNOWN, "The call happened; its result is lost."),
        ToolStarted("2", PlannedCall("c1", "send", {}), Effect.WRITE),
        ToolEnded("2", "c1", Outcome.UNKNOWN, "The run ended during this call."),
    ]
    records = [Record(seq, datetime.now(UTC), event) for seq, event in enumerate(events, 1)]
    assert [one.id for one in may_have_happened(records)] == ["c1"]


@pytest.mark.parametrize("verb", ["resume", "fork"])
def test_what_a_run_was_allowed_holds_when_it_goes_on(
    invoke: Invoke, tools: Tools, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    # What somebody had read influenced the task, so that each call is asked about all the same.
    begin = Agents.start

    async def influenced(agents: Agents, request: RunRequest) -> UUID:
        return await begin(agents, msgspec.structs.replace(request, sources=["tool:web"]))

    monkeypatch.setattr(Agents, "start", influenced)
    _, made, _ = invoke("run", "send it", "--approve", "send", "--json")
    assert (made["status"], tools.called) == ("paused", [])
    step = ["0"] if verb == "fork" else []
    _, text, _ = invoke(verb, made["run"], *step, "--yes")
    assert tools.called == ["send"]
    assert "were not allowed" not in text


def test_a_run_that_goes_on_shows_what_is_new(invoke: Invoke) -> None:
    _, made, _ = invoke("run", "look send", "--json")
    for arguments in (("resume", made["run"]), ("decide", made["run"], "c1", "approve")):
        _, text, _ = invoke(*arguments)
        words = [line.split()[0] for line in text.splitlines() if line.strip()]
        assert not {"task", "tools", "thought"} & set(words)
        assert "look gave" not in text.split("completed")[0].split("It is 7.")[0]
    assert "decision  allowed send()" in text
    assert "result" in words
