"""The generator: requests are sent when due, whatever becomes of others."""

import asyncio
from collections.abc import Callable

import pytest

from evals.load.clock import Clock
from evals.load.generator import play
from evals.load.plan import PlannedRequest, user_message
from evals.load.records import NOT_SENT, RequestRecord


class HandClock:
    """Time passes only while the generator waits, or when a test says so."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    async def wait(self, until: float, stop: asyncio.Event) -> None:
        await asyncio.sleep(0)
        if not stop.is_set():
            self.time = max(self.time, until)


def plan(*times: float) -> list[PlannedRequest]:
    return [PlannedRequest(at, (user_message(f"{at}"),), 1) for at in times]


def record(request: PlannedRequest, clock: Clock, sent: float) -> RequestRecord:
    return RequestRecord(request.at, sent, clock.now())


class Held:
    """Answers nothing until `count` requests are open; nothing at all unless `answers`."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.answers = True
        self.open = 0
        self.most_open = 0
        self.all_open = asyncio.Event()

    async def __call__(self, request: PlannedRequest, clock: Clock) -> RequestRecord:
        sent = clock.now()
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        if self.open == self.count:
            self.all_open.set()
        await (self.all_open if self.answers else asyncio.Event()).wait()
        self.open -= 1
        return record(request, clock, sent)


async def test_no_request_waits_for_the_answer_of_another() -> None:
    held = Held(50)
    times = [number / 10 for number in range(50)]
    records = await play(plan(*times), held, HandClock(), asyncio.Event(), most_open=50)
    assert held.most_open == 50
    assert [found.scheduled for found in records] == times
    assert [found.sent for found in records] == times
    assert all(found.completed for found in records)


async def test_records_stand_in_the_order_of_the_plan() -> None:
    gates = {at: asyncio.Event() for at in (0.0, 1.0, 2.0)}
    gates[2.0].set()

    async def ask(request: PlannedRequest, clock: Clock) -> RequestRecord:
        await gates[request.at].wait()
        if request.at:  # the last one to be sent is the first to end
            gates[request.at - 1].set()
        return record(request, clock, request.at)

    records = await play(plan(*gates), ask, HandClock(), asyncio.Event(), most_open=3)
    assert [found.scheduled for found in records] == [0, 1, 2]


async def test_a_late_request_keeps_its_due_time_and_tells_its_delay() -> None:
    hand = HandClock()

    async def ask(request: PlannedRequest, clock: Clock) -> RequestRecord:
        sent = clock.now()
        if request.at == 1:
            hand.time = 7.5  # the generator is held up, as by a busy machine
        return record(request, clock, sent)

    records = await play(plan(0, 1, 2, 3, 9), ask, hand, asyncio.Event(), most_open=9)
    assert [found.scheduled for found in records] == [0, 1, 2, 3, 9]
    assert [found.send_delay for found in records] == [0, 0, 5.5, 4.5, 0]


async def test_what_would_be_one_too_many_is_not_sent_and_not_queued() -> None:
    held = Held(99)
    records = await play(
        plan(0, 1, 2, 3),
        held,
        HandClock(),
        asyncio.Event(),
        most_open=2,
        on_progress=_set_at(held, 4),
    )
    assert [found.failure for found in records] == [None, None, NOT_SENT, NOT_SENT]
    assert [found.sent for found in records] == [0, 1, None, None]
    assert records[3].send_delay is None
    assert held.most_open == 2


def _set_at(held: Held, total: int) -> Callable[[int, int, int], None]:
    """Lets the held requests go once so many were sent or refused."""

    def on_progress(sent: int, ended: int, failed: int) -> None:
        if sent + failed == total:
            held.all_open.set()

    return on_progress


async def test_a_stop_gives_open_requests_up_and_sends_no_more() -> None:
    stop = asyncio.Event()
    cancelled: list[float] = []

    async def ask(request: PlannedRequest, clock: Clock) -> RequestRecord:
        if request.at == 0:
            return record(request, clock, 0)
        if request.at == 2:
            stop.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(request.at)
            raise
        raise RuntimeError("cannot be reached")

    records = await play(plan(0, 1, 2, 3, 4), ask, HandClock(), stop, most_open=9)
    assert [found.interrupted for found in records] == [False, True, True, True, True]
    assert not any(found.completed for found in records[1:])
    assert sorted(cancelled) == [1, 2]


async def test_a_stop_while_answers_are_awaited_ends_the_run() -> None:
    stop = asyncio.Event()
    held = Held(99)

    def on_progress(sent: int, ended: int, failed: int) -> None:
        if sent == 3:
            asyncio.get_running_loop().call_soon(stop.set)

    records = await play(
        plan(0, 1, 2), held, HandClock(), stop, most_open=9, on_progress=on_progress
    )
    assert [found.interrupted for found in records] == [True, True, True]


async def test_a_bug_in_asking_is_raised_and_leaves_no_task() -> None:
    async def ask(request: PlannedRequest, clock: Clock) -> RequestRecord:
        if request.at == 1:
            raise LookupError("a bug")
        await asyncio.Event().wait()
        raise RuntimeError("cannot be reached")

    before = asyncio.all_tasks()
    with pytest.raises(LookupError, match="a bug"):
        await play(plan(0, 1, 2), ask, HandClock(), asyncio.Event(), most_open=9)
    assert asyncio.all_tasks() == before


async def test_cancelling_the_run_leaves_no_task() -> None:
    held = Held(2)
    held.answers = False
    before = asyncio.all_tasks()
    playing = asyncio.create_task(play(plan(0, 1), held, HandClock(), asyncio.Event(), most_open=9))
    await held.all_open.wait()
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert asyncio.all_tasks() == before


async def test_progress_counts_to_the_end() -> None:
    told: list[tuple[int, int, int]] = []

    async def ask(request: PlannedRequest, clock: Clock) -> RequestRecord:
        failure = "http_500" if request.at == 1 else None
        return RequestRecord(request.at, request.at, clock.now(), failure=failure)

    await play(
        plan(0, 1, 2),
        ask,
        HandClock(),
        asyncio.Event(),
        most_open=9,
        on_progress=lambda sent, ended, failed: told.append((sent, ended, failed)),
    )
    assert told[-1] == (3, 3, 1)
    assert told == sorted(told)
