"""A run in short: read from any part of a log that begins at its beginning."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rostra.agents.events import (
    ApprovalAsked,
    ApprovalDecided,
    Budget,
    Effect,
    Equipped,
    ModelAnswered,
    ModelAsked,
    Paused,
    PlannedCall,
    Record,
    Resumed,
    RunEnded,
    RunEvent,
    RunStarted,
    Spent,
    Status,
    ToolRecord,
    ToolStarted,
    Usage,
    encode_event,
)
from rostra.agents.outlines import outline, read_log
from rostra.core import new_id
from rostra.store import (
    RunNotFound,
    append_events,
    claim_run,
    create_run,
    open_database,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE, TWO = PlannedCall("c1", "send", {"to": "x"}), PlannedCall("c2", "send", {"to": "y"})


def log(*events: RunEvent) -> list[Record]:
    return [Record(seq, NOW + timedelta(seconds=seq), e) for seq, e in enumerate(events, 1)]


BEGIN: tuple[RunEvent, ...] = (
    RunStarted("t", "react", "m", Budget()),
    Equipped([ToolRecord("send", "d", {}, Effect.WRITE, "mail")], ["files is away"]),
    ModelAsked("1", "step", "m", "0" * 64),
    ModelAnswered("1", "x", Usage(5, 7)),
    ApprovalAsked("2", ONE, Effect.WRITE, ["it writes"]),
    ApprovalAsked("3", TWO, Effect.WRITE, ["it writes"]),
    Paused("approval", ["c1", "c2"]),
)


def waits(events: Sequence[RunEvent]) -> list[str]:
    return [one.call.id for one in outline(log(*events)).waiting]


def test_what_a_paused_run_waits_for() -> None:
    short = outline(log(*BEGIN))
    assert short.started is not None
    assert (short.ended, short.tools, short.problems) == (None, ("send",), ("files is away",))
    assert (short.spent.steps, short.spent.tokens) == (1, 12)
    first = short.waiting[0]
    assert (first.call, first.effect, first.reason) == (ONE, Effect.WRITE, "approval")
    assert (first.why, first.decisions) == (("it writes",), ("approve", "deny"))
    assert waits(BEGIN) == ["c1", "c2"]
    assert waits([*BEGIN, ApprovalDecided("c1", "approve")]) == ["c2"]
    both = [*BEGIN, ApprovalDecided("c1", "approve"), ApprovalDecided("c2", "deny")]
    assert waits(both) == []
    assert waits([*both, Resumed()]) == []
    unknown = [*both, Resumed(), ToolStarted("2", ONE, Effect.WRITE)]
    unknown += [Resumed(), Paused("outcome_unknown", ["c1"])]
    (lost,) = outline(log(*unknown)).waiting
    assert (lost.call, lost.decisions) == (ONE, ("done", "retry", "deny"))


def test_any_beginning_of_a_log_has_an_outline() -> None:
    whole = [*BEGIN, ApprovalDecided("c1", "deny"), RunEnded(Status.CANCELLED, Spent(steps=9))]
    for length in range(len(whole) + 1):
        short = outline(log(*whole[:length]))
        assert (short.ended is not None) == (length == len(whole))
    assert short.spent == Spent(steps=9)
    assert short.waiting == ()


def test_what_a_run_goes_on_with_and_why_it_stopped() -> None:
    error = {"code": "model_unavailable", "message": "no model is set"}
    events: list[RunEvent] = [*BEGIN[:4], Paused("interrupted", [], error)]
    assert outline(log(*events)).error == error
    events.append(Resumed("other", "larger", ["react"]))
    assert (outline(log(*events)).model, outline(log(*events)).error) == ("larger", None)
    events += [Paused("interrupted", []), Resumed("first")]
    assert outline(log(*events)).model == "m"
    assert outline(()).model == ""
    events.append(RunEnded(Status.FAILED, Spent(), error=error))
    assert outline(log(*events)).error == error


async def test_a_stored_log_is_read_whole(tmp_path: Path) -> None:
    async with await open_database(f"sqlite:///{tmp_path / 'r.db'}") as database:
        many = [RunStarted("t", "react", "m", Budget()), *([Resumed("x")] * 1203)]
        async with database.write() as session:
            run = await create_run(session, task="t", strategy="react")
            held = await claim_run(session, "me", timedelta(minutes=1))
            assert held is not None
            entries = [(NOW, type(event).__name__, encode_event(event)) for event in many]
            await append_events(session, run.id, 0, entries, token=held.fencing_token)
        records = await read_log(database, run.id)
        assert [record.seq for record in records] == list(range(1, len(many) + 1))
        assert [record.event for record in records] == many
        with pytest.raises(RunNotFound):
            await read_log(database, new_id())
