"""The journal: what is written once, what is on disk when, and what was spent."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.agents import (
    ApprovalDecided,
    Budget,
    Effect,
    Journal,
    MemoryLog,
    ModelAnswered,
    ModelAsked,
    Outcome,
    Paused,
    PlannedCall,
    Record,
    ReplayDiverged,
    Resumed,
    RunEvent,
    RunStarted,
    ToolEnded,
    ToolStarted,
    Usage,
)
from rostra.agents.journal import decision_key, over

START = RunStarted(task="t", strategy="react", model="m", budget=Budget())
CALL = PlannedCall("c", "tool", {})
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def asked(key: str, digest: str = "d") -> ModelAsked:
    return ModelAsked(key, "step", "m", digest)


def answered(key: str, tokens: int = 3) -> ModelAnswered:
    return ModelAnswered(key, "text", Usage(prompt_tokens=tokens, completion_tokens=1, cost=0.5))


async def test_an_event_is_written_once() -> None:
    log = MemoryLog()
    journal = Journal(log)
    await journal.keep(START, asked("1"))
    await journal.keep(START, asked("1"))
    again = Journal(log, log.records)
    await again.keep(START, asked("1"), answered("1"))
    assert [record.seq for record in log.records] == [1, 2, 3]
    assert again.find(ModelAnswered, "1") == answered("1")
    assert again.find(ModelAnswered, "2") is None


async def test_another_event_in_its_place_is_refused() -> None:
    log = MemoryLog()
    await Journal(log).keep(START, asked("1"))
    journal = Journal(log, log.records, strict=True)
    with pytest.raises(ReplayDiverged):
        await journal.keep(asked("1", "other"))
    assert len(log.records) == 2


async def test_what_was_asked_otherwise_before_stays() -> None:
    log = MemoryLog()
    await Journal(log).keep(START, asked("1"), answered("1"))
    journal = Journal(log, log.records)
    await journal.keep(asked("1", "other"))
    assert journal.find(ModelAsked, "1") == asked("1")
    assert journal.find(ModelAnswered, "1") == answered("1")
    assert not journal.unseen()
    assert len(log.records) == 3


async def test_words_on_attempts_are_events_of_their_own() -> None:
    log = MemoryLog()
    first = ApprovalDecided("c", "approve")
    second = ApprovalDecided("c", "retry", attempts=1)
    await Journal(log).keep(START, first, second)
    journal = Journal(log, log.records)
    assert journal.find(ApprovalDecided, decision_key("c", 0)) == first
    assert journal.find(ApprovalDecided, decision_key("c", 1)) == second
    assert journal.find(ApprovalDecided, decision_key("c", 2)) is None


async def test_what_is_put_goes_with_the_next_that_is_kept() -> None:
    log = MemoryLog()
    journal = Journal(log)
    journal.put(START)
    assert not log.records
    await journal.keep(asked("1"))
    assert len(log.records) == 2


class SlowLog(MemoryLog):
    """Writes when it is let; the first write may fail."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.writes = 0
        self._fails = fails

    async def append(self, records: Sequence[Record]) -> None:
        await self.gate.wait()
        self.writes += 1
        if self._fails and self.writes == 1:
            raise OSError("disk full")
        await super().append(records)


async def test_writes_are_in_order_and_those_that_wait_go_together() -> None:
    log = SlowLog()
    journal = Journal(log)
    tasks = [asyncio.create_task(journal.keep(asked(str(number)))) for number in range(10)]
    await asyncio.sleep(0)
    log.gate.set()
    await asyncio.gather(*tasks)
    assert [record.seq for record in log.records] == list(range(1, 11))
    assert log.writes == 2


async def test_a_write_that_fails_loses_nothing() -> None:
    log = SlowLog(fails=True)
    log.gate.set()
    journal = Journal(log)
    with pytest.raises(OSError, match="disk full"):
        await journal.keep(START)
    await journal.keep(asked("1"))
    assert [record.event for record in log.records] == [START, asked("1")]


async def test_attempts_are_events_of_their_own() -> None:
    log = MemoryLog()
    journal = Journal(log)
    first = ToolStarted("1", CALL, Effect.READ)
    second = ToolStarted("1", CALL, Effect.READ, attempt=2)
    await journal.keep(first, second)
    assert journal.find(ToolStarted, "1") == first
    assert journal.find(ToolStarted, "1#2") == second
    assert journal.spent().calls == 1


def record_all(*events: tuple[float, RunEvent]) -> list[Record]:
    return [
        Record(seq, NOON + timedelta(seconds=at), event)
        for seq, (at, event) in enumerate(events, 1)
    ]


def test_seconds_count_while_it_is_executed() -> None:
    records = record_all(
        (0, START),
        (10, asked("1")),
        (15, Paused("approval", ["c"])),
        (1000, ApprovalDecided("c", "approve")),
        (2000, Resumed("other")),
        (2003, answered("1")),
        # Here its process died.
        (9000, Resumed("third")),
        (9001, asked("2")),
    )
    journal = Journal(MemoryLog(), records, clock=lambda: NOON + timedelta(seconds=20_004))
    spent = journal.spent()
    assert spent.seconds == 15 + 3 + 1
    assert (spent.steps, spent.tokens, spent.cost) == (2, 4, 0.5)


def test_the_clock_of_this_execution_begins_when_it_does() -> None:
    now = NOON

    def clock() -> datetime:
        return now

    journal = Journal(MemoryLog(), record_all((0, START), (2, asked("1"))), clock=clock)
    now += timedelta(seconds=100)
    journal.begin()
    now += timedelta(seconds=5)
    assert journal.spent().seconds == 7


async def test_what_did_not_happen_again_is_told() -> None:
    log = MemoryLog()
    ended = ToolEnded("2", "c", Outcome.OK, "fine")
    await Journal(log).keep(START, asked("1"), answered("1"), Paused("approval", ["c"]), ended)
    journal = Journal(log, log.records)
    await journal.keep(asked("1"))
    journal.find(ModelAnswered, "1")
    assert [record.event for record in journal.unseen()] == [ended]


@given(st.integers(0, 5), st.integers(0, 5))
def test_a_budget_is_spent_when_it_is_reached(steps: int, most: int) -> None:
    records = record_all((0, START), *[(1, asked(str(number))) for number in range(steps)])
    spent = Journal(MemoryLog(), records).spent()
    budget = Budget(steps=most, calls=1)
    assert (over(spent, budget) == "steps") == (steps >= most)


@pytest.mark.parametrize("fails", [False, True])
async def test_who_is_cancelled_while_it_is_written_writes_it_once(fails: bool) -> None:
    log = SlowLog(fails)
    journal = Journal(log)
    keeping = asyncio.create_task(journal.keep(START, asked("1")))
    for _ in range(3):  # as a deadline and a person may
        await asyncio.sleep(0)
        keeping.cancel()
    log.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    await journal.keep(answered("1"))
    assert [record.seq for record in log.records] == [1, 2, 3]
