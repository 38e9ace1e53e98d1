"""Runs as users know them: started, watched, decided on, cancelled, resumed, replayed, forked.

What always holds: a run belongs to the server, not to the request that started it; its log is in
the database before anybody is told of it. Of all processes over one database, one executes a run;
one that dies loses it after `lease`, and another goes on from its log. Closing gives unfinished
runs back.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from rostra.agents.approvals import check_approved_of
from rostra.agents.decisions import FITTING, Decision, waits_for, write_decision
from rostra.agents.driver import Prompts, RunRequest, started
from rostra.agents.events import (
    ApprovalDecided,
    ModelAsked,
    Paused,
    Record,
    Resumed,
    RunEnded,
    RunStarted,
    Status,
)
from rostra.agents.executor import Executor, Terms
from rostra.agents.replay import OpenParts, OpenReplay, ReplayReport, replay_run, retold
from rostra.agents.rows import MODEL, is_interrupted, model_of, request_of, status_of
from rostra.agents.stored_log import StoredLogs
from rostra.core import InvalidRequest
from rostra.store import (
    Database,
    RunClaim,
    RunConflict,
    RunLog,
    change_config,
    claim_run,
    create_run,
    get_run,
    lock_run,
    seize_run,
)

_MAX_TASK = 20_000


class Agents:
    """All runs over one database.

    Args:
        database: open.
        open_parts: what to execute a run with; connects to servers, so it may take its time.
        check: raises `InvalidRequest` for a request that can never be executed.
        model: name of the main model, for the log.
        prompts: the library.
        durable: let logs survive the death of the machine too.
        lease: how long a process that says nothing keeps a run.
        most_runs: that this process executes at once.
        trace_content: put tasks, arguments and results into spans too.
        open_replay: what to replay a run with; as a new run where None.
    """

    def __init__(
        self,
        database: Database,
        open_parts: OpenParts,
        *,
        check: Callable[[RunRequest], None] = lambda _: None,
        model: str = "",
        prompts: Prompts,
        durable: bool = False,
        lease: timedelta = timedelta(seconds=30),
        most_runs: int = 256,
        trace_content: bool = False,
        open_replay: OpenReplay | None = None,
    ) -> None:
        self._database = database
        self._open_parts = open_parts
        self._open_replay = open_replay
        self._check = check
        self._model = model
        self._prompts = prompts
        self._log = RunLog(database, durable=durable)
        self._logs = StoredLogs(database, self._log)
        self._lease = lease
        self._executor = Executor(
            database,
            self._logs,
            open_parts,
            model=model,
            prompts=prompts,
            terms=Terms(lease, most_runs, trace_content),
        )

    # --- What users do ---

    async def start(
        self, request: RunRequest, *, run_id: UUID | None = None, parent: UUID | None = None
    ) -> UUID:
        """Begins a run and returns at once.

        Args:
            run_id: of the new run; where there is one of this id already, nothing happens.
            parent: the run that waits for it.

        Raises:
            InvalidRequest: no task, too long a task, an unknown strategy or option.
            Overloaded: too many runs are executed here.
            RunConflict: the parent has ended.
        """
        if run_id is not None and await self._status(run_id) is not None:
            return run_id
        if not request.task.strip():
            raise InvalidRequest("the task is empty", field="task")
        if len(request.task) > _MAX_TASK:
            raise InvalidRequest(
                f"the task has {len(request.task):,} characters, {_MAX_TASK:,} are allowed",
                field="task",
            )
        self._check(request)
        self._executor.make_room()
        async with self._database.write() as session:
            if parent is not None:
                # Held until the new run is there, so that who ends the parent finds it.
                status = Status((await lock_run(session, parent)).status)
                if run_id is not None and await status_of(session, run_id) is not None:
                    return run_id
                if status.ended:
                    raise RunConflict(f"run {parent} has ended: it is {status}")
            run = await create_run(
                session,
                task=request.task,
                strategy=request.strategy,
                config=self._config(request),
                user=request.user,
                parent=parent,
                run_id=run_id,
            )
            claim = await claim_run(session, self._executor.owner, self._lease, run.id)
        if claim is None:
            raise RuntimeError("a run was taken before it was told of")
        first = started(request, self._model, self._prompts, parent)
        await self._logs.append(claim, [Record(1, datetime.now(UTC), first)])
        self._executor.spawn(claim)
        return run.id

    async def check_approved(self, request: RunRequest, option: str = "approve") -> None:
        """Refuses names of tools to approve that a run of this request surely would not have.

        Connects to the servers that it needs, as the run does.

        Args:
            option: what the names were given as.

        Raises:
            InvalidRequest: there is such a name; or the request can never be executed.
        """
        if request.approve:
            self._check(request)
            async with self._open_parts(request) as parts:
                check_approved_of(request.approve, parts, option)

    async def wait(self, run_id: UUID) -> Record:
        """Waits until a run ends or pauses; its last event."""
        last: Record | None = None
        async for record in self.events(run_id):
            last = record
            if isinstance(record.event, RunEnded):
                return record
            if isinstance(record.event, Paused) and not await self._logs.goes_on(
                run_id, record.seq
            ):
                return record
        if last is None:
            raise RuntimeError("a run has no events")
        return last

    async def decide(
        self, run_id: UUID, call: str, decision: Decision, *, by: str = "", note: str = ""
    ) -> None:
        """A person's word on a call that a paused run waits for; the last one lets it go on.

        Raises:
            RunNotFound: there is no such run.
            RunConflict: it does not wait for this call.
            InvalidRequest: a decision that does not fit what it waits for.
            RostraError: it is the last one, and the run could not go on here; nothing is written.
        """
        request = await self.request(run_id)
        async with self._database.write() as session:
            paused = waits_for(await self._logs.read(run_id))
            if paused is None or call not in paused.calls:
                raise RunConflict(f"run {run_id} does not wait for a decision on {call!r}")
            if decision not in (fitting := FITTING[paused.reason]):
                raise InvalidRequest(
                    f"{decision!r} is no decision here", hint=f"Say {' or '.join(fitting)}."
                )
            if len(paused.calls) == 1:
                self._check(request)
            told = await write_decision(
                session, self._logs, run_id, ApprovalDecided(call, decision, by, note)
            )
        for one, last in told.items():
            self._logs.tell(one)
            if last:
                await self.resume(one)

    async def resume(self, run_id: UUID) -> bool:
        """Executes a run that nobody executes; False when there is nothing to do.

        From now on it is a run of this process's model.

        Raises:
            RunNotFound: there is no such run.
            RostraError: it could not go on here, such as without a model; it is left as it is.
        """
        async with self._database.write() as session:
            run = await lock_run(session, run_id)
            if not Status(run.status).ended and not run.held:
                self._check(request_of(run))
            if run.status == Status.PAUSED and await is_interrupted(session, run):
                claim: RunClaim | None = await seize_run(
                    session, run_id, self._executor.owner, self._lease
                )
            else:
                claim = await claim_run(session, self._executor.owner, self._lease, run_id)
            if claim is not None and model_of(claim.run) != self._model:
                await change_config(session, claim, **{MODEL: self._model})
        if claim is None:
            return False
        self._executor.spawn(claim)
        return True

    async def request(self, run_id: UUID) -> RunRequest:
        """What a run was asked to do.

        Raises:
            RunNotFound: there is no such run.
        """
        async with self._database.read() as session:
            return request_of(await get_run(session, run_id))

    def executes(self, run_id: UUID) -> bool:
        """Whether a run is executed here."""
        return self._executor.executes(run_id)

    async def interrupt(self, run_id: UUID) -> bool:
        """Stops a run that is executed here, as its user wishes: it waits until it is resumed.

        False where it is not executed here, or has come to its end or a pause by itself.
        """
        return await self._executor.interrupt(run_id)

    async def cancel(self, run_id: UUID) -> None:
        """Ends a run wherever it is executed; a call that is being made may still happen.

        Raises:
            RunNotFound: there is no such run.
            RunConflict: it has ended.
        """
        await self._executor.cancel(run_id)

    async def fork(self, run_id: UUID, steps: int, **changes: Any) -> UUID:
        """Begins a new run with the first `steps` steps of another one.

        Args:
            changes: fields of `RunRequest` that differ, such as `budget`.

        Raises:
            RunNotFound: there is no such run.
            InvalidRequest: it has fewer steps.
            Overloaded: too many runs are executed here.
        """
        records = await self._logs.read(run_id)
        self._executor.make_room()
        asked = [record.seq for record in records if isinstance(record.event, ModelAsked)]
        if not 0 <= steps <= len(asked):
            raise InvalidRequest(f"run {run_id} has {len(asked)} steps, not {steps}", field="step")
        upto = asked[steps] - 1 if steps < len(asked) else _last_effect(records)
        async with self._database.write() as session:
            origin = await get_run(session, run_id)
            request = msgspec.structs.replace(request_of(origin), **changes)
            if request.handed is not None:
                alone = msgspec.structs.replace(request.handed, call="")
                request = msgspec.structs.replace(request, handed=alone)
            self._check(request)
            run = await create_run(
                session,
                task=request.task,
                strategy=request.strategy,
                config=self._config(request),
                user=request.user,
                parent=run_id,
            )
            claim = await claim_run(session, self._executor.owner, self._lease, run.id)
            if claim is None:
                raise RuntimeError("a run was taken before it was told of")
            kept = [_forked(records[0], request, run_id), *records[1:upto]]
            await self._logs.append_within(session, claim, kept)
        self._executor.spawn(claim)
        return run.id

    async def replay(self, run_id: UUID, *, ask_models: bool = False) -> ReplayReport:
        """Executes a run again over its log and compares; no tool is called.

        Args:
            ask_models: ask the models again too, and compare their answers.

        Raises:
            RunNotFound: there is no such run.
        """
        request = await self.request(run_id)
        records = await self._logs.read(run_id)
        open_parts = self._open_parts
        if self._open_replay is not None:
            open_parts = partial(self._open_replay, retold(records, ask_models))
        return await replay_run(
            str(run_id),
            request,
            records,
            open_parts,
            ask_models=ask_models,
        )

    def events(self, run_id: UUID, after: int = 0) -> AsyncIterator[Record]:
        """Events from number `after + 1` on, as they come; ends with the run.

        A paused run is waited for: leave when you have seen enough.

        Raises:
            RunNotFound: there is no such run.
        """
        return self._logs.watch(run_id, after)

    async def recover(self) -> None:
        """Takes over runs of this process's model whose process died, until cancelled."""
        await self._executor.recover()

    async def close(self) -> None:
        """Gives unfinished runs back and ends."""
        await self._executor.close()
        await self._log.close()

    def _config(self, request: RunRequest) -> dict[str, Any]:
        """What the row of a run has: the request, and whose it is."""
        return {**msgspec.to_builtins(request), MODEL: self._model}

    async def _status(self, run_id: UUID) -> Status | None:
        async with self._database.read() as session:
            return await status_of(session, run_id)


def _forked(first: Record, request: RunRequest, origin: UUID) -> Record:
    """How a fork began: as its origin, but for what is asked of it alone."""
    if not isinstance(first.event, RunStarted):
        raise RuntimeError("a log does not begin with the run's start")
    begun = msgspec.structs.replace(first.event, budget=request.budget, parent=str(origin))
    return msgspec.structs.replace(first, event=begun)


def _last_effect(records: Sequence[Record]) -> int:
    """Number of the last event before the run ended or paused."""
    kept = [
        record.seq
        for record in records
        if not isinstance(record.event, RunEnded | Paused | Resumed | ApprovalDecided)
    ]
    return kept[-1]
