"""The runs that one process executes: claimed, driven, kept alive, given back.

What always holds: of all processes over one database, one executes a run; one that says nothing for
`lease` loses it. Whatever goes wrong in an execution ends or stops its run alone, and stands in its
log.
"""

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from rostra.agents.driver import Parts, Prompts, RunRequest, drive, internal, started
from rostra.agents.endings import closing, lost_calls
from rostra.agents.errors import BudgetSpent, ReplayDiverged, RunGivenUp
from rostra.agents.events import INTERRUPTED, Equipped, Paused, Record, RunEnded, Status
from rostra.agents.handing import open_children
from rostra.agents.journal import Journal, MemoryLog
from rostra.agents.replay import OpenParts
from rostra.agents.rows import MODEL, parent_of, request_of, status_of
from rostra.agents.stored_log import ClaimedLog, StoredLogs
from rostra.agents.telemetry import RunTracer, TracedLog
from rostra.core import Overloaded, RostraError, get_logger
from rostra.store import (
    Database,
    LostLease,
    RunClaim,
    RunConflict,
    RunNotFound,
    claim_run,
    heartbeat_run,
    release_run,
    seize_run,
)

log = get_logger(__name__)

# Executions that neither ended nor paused; one that kills its process is not tried for ever.
_MOST_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Terms:
    """How a process executes runs.

    Attributes:
        lease: how long a process that says nothing keeps a run.
        most_runs: that are executed at once.
        trace_content: put tasks, arguments and results into spans too.
    """

    lease: timedelta
    most_runs: int
    trace_content: bool


class Executor:
    """See this module.

    Args:
        database: open.
        logs: of all runs in it.
        open_parts: what to execute a run with.
        model: name of the main model.
        prompts: the library.
    """

    def __init__(
        self,
        database: Database,
        logs: StoredLogs,
        open_parts: OpenParts,
        *,
        model: str,
        prompts: Prompts,
        terms: Terms,
    ) -> None:
        self._database = database
        self._logs = logs
        self._open_parts = open_parts
        self._model = model
        self._prompts = prompts
        self._terms = terms
        self.owner = f"{socket.gethostname()}:{os.getpid()}"
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._claims: dict[UUID, RunClaim] = {}
        self._closing = False

    def executes(self, run_id: UUID) -> bool:
        """Whether a run is executed here."""
        return run_id in self._tasks

    def make_room(self) -> None:
        """Refuses one run more where there are too many.

        Raises:
            Overloaded: there are.
        """
        if len(self._tasks) >= self._terms.most_runs:
            raise Overloaded(
                f"{len(self._tasks)} runs are being executed, no more are taken",
                hint="Try again later.",
            )

    def spawn(self, claim: RunClaim) -> None:
        """Begins to execute a run that is claimed."""
        run_id = claim.run.id
        task = asyncio.create_task(self._execute(claim), name=f"run {run_id}")
        self._tasks[run_id], self._claims[run_id] = task, claim

        def ended(done: asyncio.Task[None]) -> None:
            if self._tasks.get(run_id) is done:
                del self._tasks[run_id], self._claims[run_id]
                self._logs.leave(run_id)
            self._logs.tell(run_id)

        task.add_done_callback(ended)

    async def interrupt(self, run_id: UUID) -> bool:
        """Stops a run that is executed here, as its user wishes: it waits until it is resumed.

        False where it is not executed here, or has come to its end or a pause by itself.
        """
        if (task := self._tasks.get(run_id)) is None:
            return False
        claim = self._claims[run_id]
        task.cancel()
        await asyncio.wait([task])
        records = await self._logs.read(run_id)
        if not await self._pause(claim, records):
            return False
        for child in open_children(run_id, records):
            await self.interrupt(child)
        return True

    async def cancel(self, run_id: UUID) -> None:
        """Ends a run wherever it is executed; a call that is being made may still happen.

        Raises:
            RunNotFound: there is no such run.
            RunConflict: it has ended.
        """
        async with self._database.write() as session:
            claim = await seize_run(session, run_id, self.owner, self._terms.lease)
            records = await self._logs.read(run_id)
            spent = Journal(MemoryLog(), records).spent()
            # With the seizing, so that no run goes on because this process dies in between.
            await self._logs.append_within(
                session, claim, closing(records, RunEnded(Status.CANCELLED, spent))
            )
        if (task := self._tasks.get(run_id)) is not None:
            task.cancel()
            await asyncio.wait([task])
        self._logs.leave(run_id)
        self._logs.tell(run_id)
        await self._end_children(run_id, records)

    async def recover(self) -> None:
        """Takes over runs of this process's model whose process died, until cancelled."""
        while True:
            claim = None
            if len(self._tasks) < self._terms.most_runs:
                try:
                    async with self._database.write() as session:
                        # A process that stood still for long has not lost its own runs.
                        claim = await claim_run(
                            session,
                            self.owner,
                            self._terms.lease,
                            only={MODEL: self._model},
                            but=list(self._tasks),
                        )
                except Exception as error:  # Whatever it is, it must not end the looking for good.
                    log.warning("lost runs could not be looked for", reason=repr(error))
            if claim is not None:
                self.spawn(claim)
            else:
                await asyncio.sleep(self._terms.lease.total_seconds() / 6)

    async def close(self) -> None:
        """Gives unfinished runs back."""
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # --- One execution ---

    async def _execute(self, claim: RunClaim) -> None:
        run_id = claim.run.id
        beating = asyncio.create_task(self._beat(claim, asyncio.current_task()))
        try:
            if claim.run.attempts > _MOST_ATTEMPTS:
                raise RunGivenUp(
                    f"the run was begun {_MOST_ATTEMPTS} times and its process died each time"
                )
            request = request_of(claim.run)
            records = await self._logs.read(run_id)
            if (parent := parent_of(claim.run)) is not None:
                async with self._database.read() as session:
                    status = await status_of(session, parent)
                if status is None or status.ended:
                    await self._end(claim, Status.CANCELLED)
                    return
            if not records:
                # Its process died between the row and the first event.
                records = [
                    Record(
                        1, datetime.now(UTC), started(request, self._model, self._prompts, parent)
                    )
                ]
                await self._logs.append(claim, records)
            self._logs.begin(run_id, records)
            # An execution that goes on begins its trace with `Resumed`.
            tracer = RunTracer(
                str(run_id), records if len(records) > 1 else (), content=self._terms.trace_content
            )
            if len(records) == 1:
                tracer.tell(records[0])
            journal = Journal(TracedLog(ClaimedLog(self._logs, claim), tracer), records)
            journal.begin()
            async with AsyncExitStack() as stack:
                try:
                    parts = await self._open(stack, request, journal)
                except BudgetSpent as error:
                    ended = RunEnded(Status.EXHAUSTED, journal.spent(), error=error.to_dict())
                    await journal.keep(*lost_calls(journal.records), ended)
                    await self._end_children(run_id, journal.records)
                    return
                except RostraError as error:
                    if journal.find(Equipped, "") is None:
                        raise
                    # It has worked before, and what it has done is worth more than this error.
                    await journal.keep(Paused(INTERRUPTED, [], error.to_dict()))
                    return
                tracer.served_by(parts.models)
                last = await drive(str(run_id), request, journal, parts, by=self.owner)
            if isinstance(last, RunEnded) and last.error is not None:
                await self._end_children(run_id, journal.records)
        except LostLease:
            log.warning("a run is executed elsewhere", run=str(run_id))
        except asyncio.CancelledError:
            if self._closing:
                with suppress(LostLease, RostraError):
                    await asyncio.shield(self._release(claim))
            raise
        except ReplayDiverged as error:
            await self._pause(claim, await self._logs.read(run_id), error)
        except RostraError as error:
            await self._end(claim, Status.FAILED, error)
        except Exception as failure:  # A mistake of ours ends its run, and is told to its watchers.
            await self._end(claim, Status.FAILED, internal(failure))
        finally:
            beating.cancel()

    async def _open(self, stack: AsyncExitStack, request: RunRequest, journal: Journal) -> Parts:
        """The run's parts; servers that do not answer use up its time as all else does.

        Raises:
            BudgetSpent: its time was over before they were there.
            RostraError: they cannot be had.
        """
        most = request.budget.seconds
        left = None if most is None else most - journal.spent().seconds
        clock = asyncio.timeout(left)
        try:
            async with clock:
                return await stack.enter_async_context(self._open_parts(request))
        except TimeoutError:
            if not clock.expired():
                raise
        raise BudgetSpent(
            f"the run's {most} seconds were over before its tools were there",
            hint="`rostra mcp list` shows which servers do not answer.",
        )

    async def _pause(
        self, claim: RunClaim, records: Sequence[Record], error: RostraError | None = None
    ) -> bool:
        """Leaves a run to be resumed by somebody; False if it is not executed here any more."""
        told = error.to_dict() if error is not None else None
        paused = Record(len(records) + 1, datetime.now(UTC), Paused(INTERRUPTED, [], told))
        try:
            await self._logs.append(claim, [paused])
        except LostLease:
            return False
        return True

    async def _end(self, claim: RunClaim, status: Status, error: RostraError | None = None) -> None:
        """Ends a run that cannot be driven: no model, a log of another program, nobody waits."""
        records = await self._logs.read(claim.run.id)
        spent = Journal(MemoryLog(), records).spent()
        ended = RunEnded(status, spent, error=error.to_dict() if error is not None else None)
        with suppress(LostLease):
            await self._logs.append(claim, closing(records, ended))
            await self._end_children(claim.run.id, records)

    async def _beat(self, claim: RunClaim, task: asyncio.Task[None] | None) -> None:
        while True:
            await asyncio.sleep(self._terms.lease.total_seconds() / 3)
            try:
                async with self._database.write() as session:
                    await heartbeat_run(session, claim, self._terms.lease)
            except LostLease:
                if task is not None:
                    task.cancel()
                return
            except RostraError as error:
                # The lease outlives a short trouble of the database.
                log.warning("a run's lease could not be extended", error=error.message)

    async def _release(self, claim: RunClaim) -> None:
        async with self._database.write() as session:
            await release_run(session, claim)

    async def _end_children(self, run_id: UUID, records: Sequence[Record]) -> None:
        """Cancels the runs that an ended one waited for; they end by themselves if we die here."""
        for child in open_children(run_id, records):
            with suppress(RunNotFound, RunConflict):
                await self.cancel(child)
