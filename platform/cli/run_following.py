"""A run followed at a terminal, from where it stands to its end or to where it waits.

What always holds: while somebody follows a run it does not lie there unexecuted: when the process
that held it is no more, it is gone on with here, and what is waited for meanwhile is said. Who
leaves with Ctrl-C stops what is executed here, and nothing that is executed elsewhere.
"""

import asyncio
from contextlib import suppress
from uuid import UUID

import click

from rostra.agents import (
    ApprovalDecided,
    Paused,
    Record,
    RunEnded,
    Status,
    interruption,
    read_log,
    waiting,
)
from rostra.cli.run_decisions import Decide
from rostra.cli.run_view import RunView, cited_documents
from rostra.core import StoreUnavailable
from rostra.runtime import Runtime
from rostra.store import Run, RunNotFound, get_run

# How often it is looked whether a run is executed by anybody.
_LOOK_SECONDS = 0.5


async def follow(
    runtime: Runtime, run_id: UUID, decide: Decide, view: RunView | None, after: int = 0
) -> list[Record]:
    """Shows a run until it ends or is left paused; gives its log.

    Args:
        after: events that are not shown; another one is there, or comes.
    """
    try:
        seq = after
        while not await _watch(runtime, run_id, seq, view):
            records = await read_log(runtime.database, run_id)
            seq = records[-1].seq
            if interruption(records) is not None:
                return records
            for one in waiting(records):
                decided = await decide(one)
                if decided is None:
                    return records
                decision, note = decided
                await runtime.agents.decide(
                    run_id,
                    one.call.id,
                    decision,  # type: ignore[arg-type] # checked against the run's own
                    by="terminal",
                    note=note,
                )
    except (asyncio.CancelledError, BrokenPipeError):
        # Ctrl-C, or a reader such as `head` that has seen enough.
        elsewhere = runtime.agents.executes(run_id) and not await runtime.agents.interrupt(run_id)
        left = await _standing(runtime, run_id)
        goes_on = left is not None and left.status == Status.RUNNING and (left.held or elsewhere)
        what = "it goes on; see it with" if goes_on else "go on with"
        click.echo(f"\n{what}: rostra agent resume {run_id}", err=True)
        raise
    return await read_log(runtime.database, run_id)


async def _watch(runtime: Runtime, run_id: UUID, after: int, view: RunView | None) -> bool:
    """Shows events as they come; True at the run's end, False where it waits for a person."""
    events = runtime.agents.events(run_id, after)
    keeping = asyncio.create_task(_keep_going(runtime, run_id), name=f"keep {run_id} going")
    busy = None if view is None else view.busy("working")
    if busy is not None:
        busy.__enter__()
    try:
        async for record in events:
            if view is not None:
                view.show(record, await cited_documents(runtime.database, record.event))
            if isinstance(record.event, RunEnded):
                return True
            if isinstance(record.event, Paused | ApprovalDecided):
                now = await _standing(runtime, run_id)
                if now is None or (now.status == Status.PAUSED and now.last_seq == record.seq):
                    return False
    finally:
        keeping.cancel()
        if busy is not None:
            busy.__exit__(None, None, None)
    return True


async def _keep_going(runtime: Runtime, run_id: UUID) -> None:
    """Executes a run when nobody does, until cancelled; says who is waited for."""
    told = False
    while True:
        # A database that does not answer now is asked again.
        with suppress(StoreUnavailable):
            run = await _standing(runtime, run_id)
            if run is None:
                return
            if run.status == Status.RUNNING and not runtime.agents.executes(run_id):
                if not run.held:
                    await runtime.agents.resume(run_id)
                elif not told and run.held_until is not None:
                    until = run.held_until.astimezone().strftime("%H:%M:%S")
                    click.echo(
                        f"another process ({run.holder}) holds this run until {until}; unless it "
                        "goes on there, it does here then",
                        err=True,
                    )
                    told = True
        await asyncio.sleep(_LOOK_SECONDS)


async def _standing(runtime: Runtime, run_id: UUID) -> Run | None:
    async with runtime.database.read() as session:
        with suppress(RunNotFound):
            return await get_run(session, run_id)
    return None
