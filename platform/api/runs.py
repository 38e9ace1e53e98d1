"""Runs: begun, watched, decided on, cancelled, resumed, forked, deleted.

What always holds: a run belongs to the server, not to the request; a reader who leaves changes
nothing. The stream of a run's events is the AI SDK's UI message stream, version 1; each event's
last part carries its number as the event id, so who comes back with it (`Last-Event-ID`, or
`after`) misses nothing and sees no event half.
"""

from collections.abc import AsyncGenerator, Iterator
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.background_tasks import BackgroundTask
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody, QueryParameter
from litestar.response import Stream

from rostra.agents import (
    Agents,
    ApprovalDecided,
    Budget,
    Paused,
    RunRequest,
    UiMessage,
    check_approved,
    outline,
    read_log,
)
from rostra.api.errors import problem_of
from rostra.api.openapi import RunOperation, problems
from rostra.api.pages import IdInPath, Limit, Offset, id_in_path
from rostra.api.schemas import (
    BudgetBody,
    ForkBody,
    NewRun,
    RecordView,
    RunDecision,
    RunDetail,
    RunLogPage,
    RunPage,
    RunStatus,
    RunView,
    WaitingView,
    view,
)
from rostra.api.services import Services
from rostra.api.sse import EVENT_STREAM, HEADERS, Relay, json_line
from rostra.core import InvalidRequest, normalize_text
from rostra.runtime import PromptedTask, Runtime, prompted_task
from rostra.store import (
    Database,
    Run,
    RunConflict,
    RunNotFound,
    delete_run,
    get_run,
    list_runs,
    read_events,
)

_STREAM_HEADERS = HEADERS | {"x-vercel-ai-ui-message-stream": "v1"}
_DONE = b"data: [DONE]\n\n"
# Sent at once, so that the response begins before the next event.
_BEGIN = b": run\n\n"
_MOST_EVENTS = 2**31 - 1

After = Annotated[int, QueryParameter(ge=0, le=_MOST_EVENTS, description="Events to skip.")]
OfStatus = Annotated[RunStatus | None, QueryParameter(description="Only runs of this status.")]
Wait = Annotated[bool, QueryParameter(description="Go on after a pause.")]


@post(
    "/",
    operation_id="startRun",
    summary="Start a run",
    status_code=202,
    operation_class=RunOperation,
    responses={
        202: ResponseSpec(RunView, description="The run, begun", generate_examples=False),
        **problems(400, 404, 503),
    },
)
async def start(
    data: JSONBody[NewRun], request: Request[Any, Any, Any], services: NamedDependency[Services]
) -> Response[Any]:
    """Begins a task and answers at once; the run goes on by itself.

    With `Accept: text/event-stream` its events follow, as from `/events`. With names to `approve`
    the answer waits for the servers' tools: a name that is none of the run's is refused. Of a
    server that cannot be reached the run's `problems` say it. A `prompt` is filled in by its server
    first, which has to answer.
    """
    agents, database = services.runtime.agents, services.runtime.database
    task = await _task(data, services.runtime)
    asked = RunRequest(
        task=task.text,
        sources=task.sources,
        strategy=data.strategy,
        tools=data.tools,
        budget=_over(data.budget, services.runtime.workshop.budget),
        options=data.options,
        approve=data.approve,
    )
    await agents.check_approved(asked)
    run_id = await agents.start(asked)
    if EVENT_STREAM in request.headers.get("accept", ""):
        return await _stream(services, run_id)
    async with database.read() as session:
        return Response(run_view(await get_run(session, run_id)), status_code=202)


async def _task(data: NewRun, runtime: Runtime) -> PromptedTask:
    if data.prompt is None:
        return PromptedTask(normalize_text(data.task), [])
    if data.task:
        raise InvalidRequest("a run has a task or a prompt, not both", field="prompt")
    wanted = data.prompt
    return await prompted_task(runtime, wanted.server, wanted.name, wanted.arguments)


@get("/", operation_id="listRuns", summary="List runs", responses=problems(400))
async def list_all(
    runtime: NamedDependency[Runtime],
    limit: Limit = 50,
    offset: Offset = 0,
    status: OfStatus = None,
) -> RunPage:
    """Runs, the newest first."""
    async with runtime.database.read() as session:
        found, total = await list_runs(session, None, status, limit, offset)
    return RunPage([run_view(run) for run in found], total)


@get("/{run_id:str}", operation_id="getRun", summary="Show a run", responses=problems(400, 404))
async def show(run_id: IdInPath, runtime: NamedDependency[Runtime]) -> RunDetail:
    """A run, what it has used, what it waits for and what came of it."""
    wanted = _id(run_id)
    async with runtime.database.read() as session:
        run = await get_run(session, wanted)
    short = outline(await read_log(runtime.database, wanted))
    detail: RunDetail = view(
        RunDetail,
        run,
        executing=run.held,
        events=run.last_seq,
        model=short.model,
        budget=short.started.budget if short.started else Budget(),
        spent=short.spent,
        tools=list(short.tools),
        problems=list(short.problems),
        waiting=[
            view(WaitingView, one, why=list(one.why), decisions=list(one.decisions))
            for one in short.waiting
        ],
        answer=short.ended.answer if short.ended else None,
        error=short.error,
    )
    return detail


@get(
    "/{run_id:str}/events",
    operation_id="streamRun",
    summary="Follow a run",
    media_type=EVENT_STREAM,
    operation_class=RunOperation,
    responses=problems(400, 404),
)
async def events(
    run_id: IdInPath,
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    after: After = 0,
    wait: Wait = False,
) -> Stream:
    """What happened and happens in a run, as parts of the AI SDK's UI message stream, version 1.

    Ends with the run, and where it waits for a person; with `wait` it goes on when that person has
    spoken. Come back with `after`, or with the header `Last-Event-ID`; of both, the later counts,
    since a browser that comes back by itself asks the same address again.
    """
    wanted = _id(run_id)
    async with services.runtime.database.read() as session:
        await get_run(session, wanted)
    after = max(after, _last_seen(request.headers.get("last-event-id", "")))
    return await _stream(services, wanted, after, wait=wait)


@get(
    "/{run_id:str}/log",
    operation_id="getRunLog",
    summary="Show a run's log",
    responses=problems(400, 404),
)
async def log(
    run_id: IdInPath, runtime: NamedDependency[Runtime], after: After = 0, limit: Limit = 100
) -> RunLogPage:
    """The events of a run as they were written."""
    wanted = _id(run_id)
    async with runtime.database.read() as session:
        await get_run(session, wanted)
        found = await read_events(session, wanted, after, limit)
    return RunLogPage([RecordView(one.seq, one.at, msgspec.json.decode(one.data)) for one in found])


@post(
    "/{run_id:str}/approvals",
    operation_id="decideRun",
    summary="Decide on a call",
    status_code=200,
    responses=problems(400, 404, 409, 503),
)
async def decide(
    run_id: IdInPath, data: JSONBody[RunDecision], runtime: NamedDependency[Runtime]
) -> RunView:
    """Says yes or no to a call that a paused run waits for; after the last one it goes on."""
    wanted = _id(run_id)
    note = normalize_text(data.note)
    await runtime.agents.decide(wanted, data.call, data.decision, by="user", note=note)
    return await _shown(runtime.database, wanted)


@post(
    "/{run_id:str}/cancel",
    operation_id="cancelRun",
    summary="Cancel a run",
    status_code=200,
    responses=problems(400, 404, 409),
)
async def cancel(run_id: IdInPath, runtime: NamedDependency[Runtime]) -> RunView:
    """Ends a run; a call that is being made may still happen."""
    wanted = _id(run_id)
    await runtime.agents.cancel(wanted)
    return await _shown(runtime.database, wanted)


@post(
    "/{run_id:str}/resume",
    operation_id="resumeRun",
    summary="Resume a run",
    status_code=202,
    responses=problems(400, 404, 409, 503),
)
async def resume(run_id: IdInPath, runtime: NamedDependency[Runtime]) -> RunView:
    """Goes on with a run that no server executes."""
    wanted = _id(run_id)
    resumed = await runtime.agents.resume(wanted)
    shown = await _shown(runtime.database, wanted)
    if not resumed and shown.status != "running":
        waits = shown.status == "paused"
        raise RunConflict(
            f"run {wanted} {'waits for a decision' if waits else 'has ended'}: "
            f"it is {shown.status}",
            hint="Decide on the calls that it waits for." if waits else None,
        )
    return shown


@post(
    "/{run_id:str}/fork",
    operation_id="forkRun",
    summary="Fork a run",
    status_code=202,
    responses=problems(400, 404, 503),
)
async def fork(
    run_id: IdInPath, data: JSONBody[ForkBody], runtime: NamedDependency[Runtime]
) -> RunView:
    """Begins a new run with the first steps of this one; what is not given is as in this one."""
    wanted = _id(run_id)
    changes: dict[str, Any] = {}
    if data.budget is not None:
        changes["budget"] = _over(data.budget, (await runtime.agents.request(wanted)).budget)
    if data.approve is not None:
        changes["approve"] = data.approve
        if tools := outline(await read_log(runtime.database, wanted)).tools:
            check_approved(data.approve, tools)
    made = await runtime.agents.fork(wanted, data.step, **changes)
    return await _shown(runtime.database, made)


@delete(
    "/{run_id:str}",
    operation_id="deleteRun",
    summary="Delete a run",
    responses=problems(400, 404, 409),
)
async def remove(run_id: IdInPath, runtime: NamedDependency[Runtime]) -> None:
    """Deletes a run with its log; one that is executed must be cancelled first."""
    async with runtime.database.write() as session:
        await delete_run(session, _id(run_id))


def run_view(run: Run) -> RunView:
    """A run as users see it in lists."""
    shown: RunView = view(RunView, run, executing=run.held, events=run.last_seq)
    return shown


async def _shown(database: Database, run_id: UUID) -> RunView:
    async with database.read() as session:
        return run_view(await get_run(session, run_id))


async def _stream(
    services: Services, run_id: UUID, after: int = 0, *, wait: bool = False
) -> Stream:
    runtime = services.runtime
    source = _frames(runtime.agents, runtime.database, run_id, after, wait=wait)
    relay = Relay(source, services.background)
    first = await relay.first()
    return Stream(
        relay.frames(first, _as_it_is),
        media_type=EVENT_STREAM,
        headers=_STREAM_HEADERS,
        # Also when the reader left before the first byte, and the frames never began.
        background=BackgroundTask(_stop, relay),
    )


async def _frames(
    agents: Agents, database: Database, run_id: UUID, after: int, *, wait: bool
) -> AsyncGenerator[bytes, None]:
    """A run's stream, one piece an event; ends with `[DONE]`, whatever happens."""
    yield _BEGIN
    message = UiMessage(str(run_id))
    try:
        # From the beginning, because what was shown before decides what an event needs.
        async for record in agents.events(run_id):
            parts = message.parts(record)
            if record.seq > after and parts:
                yield b"".join(_frame(part) for part in parts[:-1]) + _frame(parts[-1], record.seq)
            # Whether it waits there still, or did so when it came by.
            if (
                isinstance(record.event, Paused | ApprovalDecided)
                and not wait
                and await _waits(database, run_id, record.seq)
            ):
                yield _frame({"type": "finish", "finishReason": "tool-calls"})
                break
    except Exception as error:  # the reader is told in the stream's own form, whatever it is
        yield _frame({"type": "error", "errorText": problem_of(error)["detail"]})
    yield _DONE


async def _waits(database: Database, run_id: UUID, seq: int) -> bool:
    async with database.read() as session:
        run = await get_run(session, run_id)
    return run.status == "paused" and run.last_seq == seq


async def _stop(relay: Relay[bytes]) -> None:
    relay.stop()


def _as_it_is(frame: bytes) -> Iterator[bytes]:
    yield frame


def _frame(part: dict[str, Any], seq: int | None = None) -> bytes:
    data = b"data: %s\n\n" % json_line(part)
    return data if seq is None else b"id: %d\n" % seq + data


def _over(body: BudgetBody, budget: Budget) -> Budget:
    """A budget with the limits of a request in place of its own."""
    return Budget(
        steps=budget.steps if body.steps is None else body.steps,
        tokens=budget.tokens if body.tokens is None else body.tokens,
        seconds=budget.seconds if body.seconds is None else body.seconds,
        cost=budget.cost if body.cost is None else body.cost,
        calls=budget.calls if body.calls is None else body.calls,
    )


def _last_seen(header: str) -> int:
    """Number of the last event that a reader has, as it says by `Last-Event-ID`; 0 is none.

    Raises:
        InvalidRequest: it is no number of an event.
    """
    said = header.strip()
    if not said:
        return 0
    number = int(said) if said.isascii() and said.isdigit() and len(said) <= 10 else -1
    if not 0 <= number <= _MOST_EVENTS:
        raise InvalidRequest(
            f"Last-Event-ID: {said[:40]!r} is no number of an event",
            hint="Send the last `id` of the stream, or leave the header out to begin anew.",
            field="Last-Event-ID",
        )
    return number


def _id(text: str) -> UUID:
    return id_in_path(text, RunNotFound, "run")


router = Router(
    "/runs",
    route_handlers=[
        *(start, list_all, show, events, log),
        *(decide, cancel, resume, fork, remove),
    ],
    tags=["runs"],
)
