"""`rostra agent`: tasks for agents, and their runs.

What always holds: a call that changes something is made only after a yes at the terminal, or when
its tool was named with `--approve`; `--yes` refuses everything else. Without a terminal nobody is
asked: the run is left paused, and can be decided on and resumed.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import click
from rich.text import Text

from rostra.agents import (
    INTERRUPTED,
    Record,
    ReplayReport,
    RunRequest,
    Status,
    is_interrupted,
    outline,
    read_log,
)
from rostra.cli.ids import run_id as read_id
from rostra.cli.mcp_texts import named_prompt, pairs
from rostra.cli.output import (
    console,
    json_option,
    offset_option,
    print_json,
    print_table,
    with_runtime,
)
from rostra.cli.run_decisions import (
    WORDS,
    Decide,
    check_tools_of,
    decider,
    denied,
    may_have_happened,
    told_paused,
)
from rostra.cli.run_following import follow
from rostra.cli.run_options import Most, answer_options, budget_options, names_of
from rostra.cli.run_view import RunView, call_text, cited_documents, cleaned
from rostra.core import collapse_whitespace, normalize_text
from rostra.runtime import PromptedTask, Runtime
from rostra.store import Run, delete_run, get_run, list_runs

_GOOD = (Status.COMPLETED, Status.ABSTAINED)
_TASK_CHARS = 80
_STATUSES = [str(status) for status in Status]


@click.group("agent")
def command() -> None:
    """Give an agent a task; list, show, decide on, resume, replay, fork and cancel runs."""


@command.command("run")
@click.argument("task", required=False)
@click.option("--strategy", default="react", show_default=True, help="react, plan, rewoo, ...")
@click.option(
    "--tools",
    multiple=True,
    metavar="NAMES",
    help="Only these tools: names, servers or patterns, separated by commas.",
)
@click.option(
    "--require-evidence", is_flag=True, help="Claim nothing that no sentence is cited for."
)
@click.option("--native", is_flag=True, help="Let the model call tools in its own format.")
@click.option(
    "--samples",
    type=click.IntRange(1),
    help="Draw so many answers and give the one that most agree on; samples share the steps and "
    "have only tools that read.",
)
@click.option(
    "--prompt",
    metavar="SERVER/NAME",
    help="Take an MCP server's prompt as the task; calls that change something are then asked "
    "about whatever --approve says.",
)
@click.option(
    "--arg", "arguments", multiple=True, metavar="KEY=VALUE", help="An argument of --prompt."
)
@budget_options
@answer_options
@json_option
def run(
    task: str | None,
    strategy: str,
    tools: tuple[str, ...],
    require_evidence: bool,
    native: bool,
    samples: int | None,
    prompt: str | None,
    arguments: tuple[str, ...],
    most: Most,
    approve: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> int:
    """Have an agent work on TASK, or on a server's --prompt, and show each step.

    The exit status is 0 when it came to an answer or found that there is none.
    """
    if (task is None) == (prompt is None):
        raise click.UsageError("Give either a TASK or a --prompt.")
    if arguments and prompt is None:
        raise click.UsageError("--arg is an argument of --prompt.")
    filled = pairs(arguments, "--arg")
    flags = {"require_evidence": require_evidence, "native": native, "samples": samples}
    named = names_of(approve) or []

    async def work(runtime: Runtime) -> dict[str, Any]:
        wanted = PromptedTask(normalize_text(task or ""), [])
        if prompt is not None:
            wanted = await named_prompt(runtime, prompt, filled)
        request = RunRequest(
            task=wanted.text,
            strategy=strategy,
            tools=names_of(tools),
            budget=most.over(runtime.workshop.budget),
            options={name: value for name, value in flags.items() if value},
            approve=named,
            sources=wanted.sources,
        )
        await runtime.agents.check_approved(request, "--approve")
        run_id = await runtime.agents.start(request)
        return await _follow(runtime, run_id, decider(named, yes, as_json), as_json)

    return _report(with_runtime(work), as_json)


@command.command("resume")
@click.argument("run_id")
@answer_options
@json_option
def resume(run_id: str, approve: tuple[str, ...], yes: bool, as_json: bool) -> int:
    """Go on with a run that was interrupted, or that waits for a decision.

    Tools that the run was allowed when it began stay allowed. What has happened so far is printed
    by `rostra agent show`.
    """
    named = names_of(approve) or []

    async def work(runtime: Runtime) -> dict[str, Any]:
        wanted = read_id(run_id)
        await check_tools_of(runtime, wanted, named)
        allowed = [*named, *(await runtime.agents.request(wanted)).approve]
        seen = await read_log(runtime.database, wanted)
        await runtime.agents.resume(wanted)
        # The last event says where it stands, if nothing new comes.
        decide = decider(allowed, yes, as_json)
        return await _follow(runtime, wanted, decide, as_json, seen[:-1])

    return _report(with_runtime(work), as_json)


@command.command("decide")
@click.argument("run_id")
@click.argument("call")
@click.argument("decision", type=click.Choice(WORDS))
@click.option("--note", default="", help="Why; the model reads it.")
@json_option
def decide(run_id: str, call: str, decision: str, note: str, as_json: bool) -> int:
    """Decide on one CALL that a paused run waits for; after the last one it goes on.

    A call that needs approval takes approve or deny; one that began and whose end nobody has seen
    takes done (it has happened), retry (make it again) or deny (give it up).
    """

    async def work(runtime: Runtime) -> dict[str, Any]:
        wanted = read_id(run_id)
        seen = await read_log(runtime.database, wanted)
        await runtime.agents.decide(
            wanted,
            call,
            decision,  # type: ignore[arg-type] # checked against the run's own
            by="terminal",
            note=note,
        )
        return await _follow(runtime, wanted, decider((), False, as_json), as_json, seen)

    return _report(with_runtime(work), as_json)


@command.command("fork")
@click.argument("run_id")
@click.argument("step", type=click.IntRange(0))
@budget_options
@answer_options
@json_option
def fork(
    run_id: str,
    step: int,
    most: Most,
    approve: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> int:
    """Begin a new run with the first STEP steps of another one.

    What is not given here is as in that one: its limits, and the tools that it was allowed.
    """
    named = names_of(approve) or []

    async def work(runtime: Runtime) -> dict[str, Any]:
        changes: dict[str, Any] = {"approve": named} if named else {}
        wanted = read_id(run_id)
        await check_tools_of(runtime, wanted, named)
        origin = await runtime.agents.request(wanted)
        if most.is_given:
            changes["budget"] = most.over(origin.budget)
        made = await runtime.agents.fork(wanted, step, **changes)
        return await _follow(runtime, made, decider(named or origin.approve, yes, as_json), as_json)

    return _report(with_runtime(work), as_json)


@command.command("list")
@click.option("--status", type=click.Choice(_STATUSES))
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@offset_option
@json_option
def list_(status: str | None, limit: int, offset: int, as_json: bool) -> None:
    """List runs, the newest first."""

    async def work(runtime: Runtime) -> None:
        async with runtime.database.read() as session:
            items, total = await list_runs(session, None, status, limit, offset)
        told = [await _status(runtime, item) for item in items]
        if as_json:
            print_json({"items": items, "total": total})
            return
        print_table(
            ("id", "status", "strategy", "task", "begun"),
            (
                (
                    item.id,
                    state,
                    item.strategy,
                    collapse_whitespace(item.task)[:_TASK_CHARS],
                    item.created_at.isoformat(" ", "minutes"),
                )
                for item, state in zip(items, told, strict=True)
            ),
        )

    with_runtime(work)


@command.command("show")
@click.argument("run_id")
@json_option
def show(run_id: str, as_json: bool) -> None:
    """Print what happened in a run."""

    async def work(runtime: Runtime) -> None:
        wanted = read_id(run_id)
        records = await read_log(runtime.database, wanted)
        if as_json:
            short = await _outcome(runtime, wanted, records)
            print_json(short | {"events": records})
            return
        view = RunView()
        for record in records:
            view.show(record, await cited_documents(runtime.database, record.event))

    with_runtime(work)


@command.command("replay")
@click.argument("run_id")
@click.option("--ask-models", is_flag=True, help="Ask the models again and compare their answers.")
@json_option
def replay(run_id: str, ask_models: bool, as_json: bool) -> int:
    """Execute a run again over its log, calling no tool, and compare."""

    async def work(runtime: Runtime) -> ReplayReport:
        return await runtime.agents.replay(read_id(run_id), ask_models=ask_models)

    report = with_runtime(work)
    if as_json:
        print_json(report)
    elif report.difference is None:
        console().print(f"the same {report.events} events; {report.status}")
    else:
        told = Text("not the same", "red").append(f": {cleaned(report.difference)}", "default")
        console().print(told)
    return 0 if report.difference is None else 1


@command.command("cancel")
@click.argument("run_id")
@json_option
def cancel(run_id: str, as_json: bool) -> None:
    """End a run, wherever it is executed."""

    async def work(runtime: Runtime) -> None:
        await runtime.agents.cancel(read_id(run_id))

    with_runtime(work)
    if as_json:
        print_json({"cancelled": run_id})
    else:
        console().print("cancelled")


@command.command("delete")
@click.argument("run_id")
@json_option
def delete(run_id: str, as_json: bool) -> None:
    """Delete a run with its log."""

    async def work(runtime: Runtime) -> None:
        async with runtime.database.write() as session:
            await delete_run(session, read_id(run_id))

    with_runtime(work)
    if as_json:
        print_json({"deleted": run_id})
    else:
        console().print("deleted")


def _is_left(run: Run) -> bool:
    """Whether a run is neither ended nor executed by anybody."""
    return run.status == Status.RUNNING and not run.held


async def _follow(
    runtime: Runtime, run_id: UUID, decide: Decide, quiet: bool, seen: Sequence[Record] = ()
) -> dict[str, Any]:
    """Shows a run, but for what was `seen`, until it ends or is left paused; what came of it."""
    view = None if quiet else RunView(seen=seen)
    records = await follow(runtime, run_id, decide, view, after=len(seen))
    return await _outcome(runtime, run_id, records)


async def _status(runtime: Runtime, run: Run) -> str:
    """Where a run stands, in a word; `interrupted` if somebody has to resume it."""
    if _is_left(run):
        return INTERRUPTED
    if run.status == Status.PAUSED:
        async with runtime.database.read() as session:
            if await is_interrupted(session, run):
                return INTERRUPTED
    return run.status


async def _outcome(runtime: Runtime, run_id: UUID, records: Sequence[Record]) -> dict[str, Any]:
    async with runtime.database.read() as session:
        stored = await get_run(session, run_id)
    short = outline(records)
    return {
        "run": run_id,
        "status": stored.status,
        "task": stored.task,
        "strategy": stored.strategy,
        "answer": short.ended.answer if short.ended else None,
        "model": short.model,
        "error": short.error,
        "may_have_happened": may_have_happened(records),
        "spent": short.spent,
        "problems": short.problems,
        "waiting": short.waiting,
        "denied": denied(records),
        "not_asked": denied(records, unasked=True),
    }


def _report(outcome: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print_json(outcome)
    elif outcome["status"] == Status.PAUSED:
        told_paused(console(), outcome["run"], outcome["waiting"])
    else:
        for call in outcome["may_have_happened"]:
            told = f"nobody knows whether this has happened: {call_text(call)}"
            console().print(told, style="yellow", markup=False)
        for tool in outcome["not_asked"]:
            told = f"calls of {tool} were not allowed; with --yes, --approve {tool} allows them"
            console().print(told, style="yellow", markup=False)
        console().print(f"rostra agent show {outcome['run']}", style="dim", markup=False)
    return 0 if outcome["status"] in _GOOD else 1
