"""The open-loop generator: requests are sent when they are due, whatever became of those before.

What always holds: no request waits for another's answer; how late each was sent is in its record;
every request of the plan has one record when `play` returns. One that would exceed the bound on
open requests is not queued, which would close the loop, but recorded as not sent.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from evals.load.clock import Clock
from evals.load.plan import PlannedRequest
from evals.load.records import NOT_SENT, RequestRecord

OnProgress = Callable[[int, int, int], None]


class Ask(Protocol):
    """Sends one request and sees it to its end; failures are records, too."""

    async def __call__(self, request: PlannedRequest, clock: Clock) -> RequestRecord: ...


async def play(
    plan: Sequence[PlannedRequest],
    ask: Ask,
    clock: Clock,
    stop: asyncio.Event,
    *,
    most_open: int,
    on_progress: OnProgress = lambda sent, ended, failed: None,
) -> list[RequestRecord]:
    """Carries out a plan; the records in its order.

    Args:
        plan: ascending by `at`.
        stop: ends the run: nothing more is sent, open requests are given up.
        most_open: requests without an end at the same time.
        on_progress: told how many were sent, have ended, and of these have failed.
    """
    run = _Run(on_progress)
    try:
        for number, request in enumerate(plan):
            await clock.wait(request.at, stop)
            if stop.is_set():
                break
            if len(run.open) >= most_open:
                run.refuse(number, _not_sent(request, clock, most_open))
            else:
                run.begin(number, asyncio.create_task(ask(request, clock)))
        await run.ended(stop)
    finally:
        # Still there: given up, or a bug of ours that the gathering below raises.
        left = dict(run.open)
        for task in left:
            task.cancel()
        results = await asyncio.gather(*left, return_exceptions=True)
    for number, result in zip(left.values(), results, strict=True):
        if isinstance(result, RequestRecord):
            run.records[number] = result
        elif not isinstance(result, asyncio.CancelledError):
            raise result
    return [run.records.get(i) or _interrupted(request, clock) for i, request in enumerate(plan)]


class _Run:
    """Open requests and the records of those that have ended, by their numbers in the plan."""

    def __init__(self, on_progress: OnProgress) -> None:
        self.open: dict[asyncio.Task[RequestRecord], int] = {}
        self.records: dict[int, RequestRecord] = {}
        self._on_progress = on_progress
        self._sent = 0
        self._failed = 0
        self._idle = asyncio.Event()
        self._raised = False

    def begin(self, number: int, task: asyncio.Task[RequestRecord]) -> None:
        """A request is sent."""
        self.open[task] = number
        self._sent += 1
        task.add_done_callback(self._done)
        self._tell()

    def refuse(self, number: int, record: RequestRecord) -> None:
        """A request is not sent."""
        self.records[number] = record
        self._failed += 1
        self._tell()

    async def ended(self, stop: asyncio.Event) -> None:
        """Waits until all requests have ended, one has raised, or the run is to end."""
        if not self.open or self._raised:
            return
        self._idle.clear()
        waiting = [asyncio.create_task(event.wait()) for event in (self._idle, stop)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    def _done(self, task: asyncio.Task[RequestRecord]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._raised = True
            self._idle.set()
            return
        record = task.result()
        self.records[self.open.pop(task)] = record
        self._failed += not record.completed
        if not self.open:
            self._idle.set()
        self._tell()

    def _tell(self) -> None:
        self._on_progress(self._sent, len(self.records), self._failed)


def _not_sent(request: PlannedRequest, clock: Clock, most_open: int) -> RequestRecord:
    words = f"{most_open:,} requests were open"
    return RequestRecord(request.at, None, clock.now(), failure=NOT_SENT, words=words)


def _interrupted(request: PlannedRequest, clock: Clock) -> RequestRecord:
    return RequestRecord(request.at, None, clock.now(), interrupted=True)
