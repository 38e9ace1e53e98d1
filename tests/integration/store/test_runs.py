"""Runs: one holder at a time, logs without gaps, whoever dies or cuts in."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from rostra.core import new_id
from rostra.store import (
    Database,
    Entry,
    LostLease,
    Run,
    RunClaim,
    RunConflict,
    RunLog,
    RunNotFound,
    StoredEvent,
    add_decision,
    append_events,
    claim_run,
    copy_events,
    create_run,
    delete_run,
    get_run,
    heartbeat_run,
    list_runs,
    read_events,
    release_run,
    seize_run,
)

LEASE = timedelta(minutes=1)
RUN_OUT = timedelta(seconds=-1)
ROOT = Path(__file__).parents[3]
WORKER = Path(__file__).with_name("worker.py")


def event(kind: str = "Noted", data: bytes = b"{}") -> Entry:
    return datetime.now(UTC), kind, data


async def begin(database: Database, lease: timedelta = LEASE, **fields: Any) -> RunClaim:
    """A new run, held."""
    async with database.write() as session:
        run = await create_run(session, **{"task": "t", "strategy": "react"} | fields)
        held = await claim_run(session, "one", lease, run.id)
    assert held is not None
    return held


async def show(database: Database, run_id: UUID) -> tuple[Run, list[StoredEvent]]:
    async with database.read() as session:
        return await get_run(session, run_id), await read_events(session, run_id)


async def test_a_run_from_its_start_over_a_pause_to_its_end(database: Database) -> None:
    held = await begin(database, config={"tools": ["a"]}, user="ada")
    run = held.run
    assert (run.status, run.held, run.last_seq, run.attempts) == ("running", True, 0, 1)
    async with RunLog(database) as log:
        first = event("RunStarted", b'{"type":"RunStarted"}')
        await log.append(run.id, 0, [first, event()], token=held.fencing_token)
        async with database.write() as session:
            await heartbeat_run(session, held, LEASE)
        await log.append(run.id, 2, [event("Paused")], token=held.fencing_token, status="paused")
        with pytest.raises(LostLease, match=str(run.id)):
            await log.append(run.id, 3, [event()], token=held.fencing_token)
        async with database.write() as session:
            assert await claim_run(session, "two", LEASE, run.id) is None
            await add_decision(session, run.id, 3, event("ApprovalDecided"), resume=False)
            assert await claim_run(session, "two", LEASE, run.id) is None
            await add_decision(session, run.id, 4, event("ApprovalDecided"))
            again = await claim_run(session, "two", LEASE)
        assert again is not None
        assert (again.run.id, again.run.last_seq, again.run.attempts) == (run.id, 5, 1)
        await log.append(
            run.id, 5, [event("RunEnded")], token=again.fencing_token, status="completed"
        )
        with pytest.raises(LostLease):
            await log.append(run.id, 6, [event()], token=again.fencing_token)
    after, events = await show(database, run.id)
    assert (after.status, after.held, after.last_seq) == ("completed", False, 6)
    assert (after.config, after.user) == ({"tools": ["a"]}, "ada")
    assert [one.seq for one in events] == [1, 2, 3, 4, 5, 6]
    assert [one.type for one in events][2:] == [
        "Paused",
        "ApprovalDecided",
        "ApprovalDecided",
        "RunEnded",
    ]
    assert (events[0].at, events[0].data) == (first[0], first[2])
    async with database.write() as session:
        assert await claim_run(session, "three", LEASE) is None
        with pytest.raises(RunConflict, match="completed"):
            await seize_run(session, run.id, "three", LEASE)
        with pytest.raises(RunConflict, match="completed"):
            await add_decision(session, run.id, 6, event())


async def test_what_does_not_follow_is_not_written(database: Database) -> None:
    held = await begin(database)
    async with RunLog(database) as log:
        await log.append(held.run.id, 0, [event()], token=held.fencing_token)
        for after, token in ((0, 0), (2, 0), (1, 1), (1, -1)):
            with pytest.raises(LostLease):
                await log.append(
                    held.run.id, after, [event(), event()], token=held.fencing_token + token
                )
        with pytest.raises(LostLease):
            await log.append(new_id(), 0, [event()], token=0)
    run, events = await show(database, held.run.id)
    assert (run.last_seq, len(events)) == (1, 1)


async def test_an_append_in_a_session_goes_with_its_transaction(database: Database) -> None:
    held = await begin(database)
    token = held.fencing_token
    with pytest.raises(ZeroDivisionError):
        async with database.write() as session:
            await append_events(session, held.run.id, 0, [event()], token=token)
            raise ZeroDivisionError
    assert (await show(database, held.run.id))[0].last_seq == 0
    async with database.write() as session:
        await append_events(session, held.run.id, 0, [event()], token=token, status="failed")
        assert (await get_run(session, held.run.id)).status == "failed"


async def test_who_cancels_takes_the_run_and_its_holder_writes_no_more(
    database: Database,
) -> None:
    held = await begin(database)
    async with RunLog(database) as log:
        await log.append(held.run.id, 0, [event()], token=held.fencing_token)
        async with database.write() as session:
            seized = await seize_run(session, held.run.id, "canceller", LEASE)
            known = await read_events(session, held.run.id)
            await append_events(
                session,
                held.run.id,
                len(known),
                [event("RunEnded")],
                token=seized.fencing_token,
                status="cancelled",
            )
        with pytest.raises(LostLease):
            await log.append(held.run.id, 1, [event()], token=held.fencing_token)
        with pytest.raises(LostLease):
            async with database.write() as session:
                await heartbeat_run(session, held, LEASE)
        with pytest.raises(LostLease):
            async with database.write() as session:
                await release_run(session, held)
    run, events = await show(database, held.run.id)
    assert run.status == "cancelled"
    assert [one.type for one in events] == ["Noted", "RunEnded"]


async def test_a_paused_run_can_be_seized(database: Database) -> None:
    held = await begin(database)
    async with database.write() as session:
        await append_events(
            session, held.run.id, 0, [event()], token=held.fencing_token, status="paused"
        )
        seized = await seize_run(session, held.run.id, "other", LEASE)
    assert (seized.run.status, seized.run.last_seq) == ("running", 1)
    assert seized.fencing_token > held.fencing_token


async def test_of_two_who_decide_at_once_one_is_refused(database: Database) -> None:
    held = await begin(database)
    async with database.write() as session:
        await append_events(
            session, held.run.id, 0, [event()], token=held.fencing_token, status="paused"
        )

    async def decide(name: str) -> None:
        async with database.write() as session:
            await add_decision(session, held.run.id, 1, event(name), resume=False)

    results = await asyncio.gather(decide("yes"), decide("no"), return_exceptions=True)
    assert sorted(type(result) for result in results if result) == [RunConflict]
    _, events = await show(database, held.run.id)
    assert [one.seq for one in events] == [1, 2]


async def test_a_dead_executors_run_is_taken_over_and_one_given_back_too(
    database: Database,
) -> None:
    held = await begin(database, RUN_OUT)
    async with database.write() as session:
        fresh = await claim_run(session, "two", LEASE, held.run.id)
        assert fresh is not None
        assert (fresh.run.attempts, fresh.run.held) == (2, True)
        assert await claim_run(session, "three", LEASE) is None
    with pytest.raises(LostLease):
        async with database.write() as session:
            await heartbeat_run(session, held, LEASE)
    async with database.write() as session:
        await release_run(session, fresh)
        third = await claim_run(session, "three", LEASE)
    assert third is not None
    assert (third.run.id, third.run.attempts) == (held.run.id, 2)


async def test_an_executor_that_nobody_replaced_goes_on(database: Database) -> None:
    held = await begin(database, RUN_OUT)
    async with database.write() as session:
        await append_events(session, held.run.id, 0, [event()], token=held.fencing_token)
        await heartbeat_run(session, held, LEASE)
        assert await claim_run(session, "two", LEASE) is None


async def test_a_fork_begins_with_a_part_of_the_log(database: Database) -> None:
    held = await begin(database)
    async with database.write() as session:
        entries = [event("Noted", bytes([n])) for n in range(5)]
        await append_events(session, held.run.id, 0, entries, token=held.fencing_token)
        fork = await create_run(session, task="t", strategy="react", parent=held.run.id)
        assert await copy_events(session, held.run.id, fork.id, 3) == 3
        with pytest.raises(RunConflict):
            await copy_events(session, held.run.id, fork.id, 3)
        taken = await claim_run(session, "me", LEASE, fork.id)
        assert taken is not None
        await append_events(session, fork.id, 3, [event("New")], token=taken.fencing_token)
    run, events = await show(database, fork.id)
    assert (run.parent, run.last_seq) == (held.run.id, 4)
    assert [one.data for one in events] == [b"\0", b"\1", b"\2", b"{}"]
    assert len((await show(database, held.run.id))[1]) == 5


async def test_pages_of_runs_and_of_events(database: Database) -> None:
    first = await begin(database, user="ada")
    second = await begin(database, user="ada", task="other")
    third = await begin(database, user="bob")
    async with database.write() as session:
        await append_events(
            session, first.run.id, 0, [event()] * 5, token=first.fencing_token, status="failed"
        )
    async with database.read() as session:
        runs, total = await list_runs(session)
        assert [run.id for run in runs] == [third.run.id, second.run.id, first.run.id]
        assert total == 3
        runs, total = await list_runs(session, user="ada", limit=1, offset=1)
        assert ([run.id for run in runs], total) == ([first.run.id], 2)
        runs, total = await list_runs(session, status="failed")
        assert ([run.id for run in runs], total) == ([first.run.id], 1)
        page = await read_events(session, first.run.id, after=1, limit=2)
        assert [one.seq for one in page] == [2, 3]
        assert await read_events(session, new_id()) == []
        with pytest.raises(RunNotFound):
            await get_run(session, new_id())


async def test_a_deleted_run_takes_its_events_with_it(database: Database) -> None:
    held = await begin(database)
    async with database.write() as session:
        await append_events(session, held.run.id, 0, [event()], token=held.fencing_token)
        with pytest.raises(RunConflict):
            await delete_run(session, held.run.id)
        await append_events(
            session, held.run.id, 1, [], token=held.fencing_token, status="cancelled"
        )
        await delete_run(session, held.run.id)
        assert await session.scalar(text("SELECT count(*) FROM run_events")) == 0
        with pytest.raises(RunNotFound):
            await delete_run(session, held.run.id)


async def test_a_cancelled_append_happens_whole_or_not_at_all(database: Database) -> None:
    held = await begin(database)
    async with RunLog(database) as log:
        # Another writer is in the way, so that every append waits when it is cancelled.
        async with database.write() as session:
            await session.execute(text("UPDATE runs SET attempts = 7"))
            writing = asyncio.create_task(
                log.append(held.run.id, 0, [event(), event()], token=held.fencing_token)
            )
            for _ in range(3):
                await asyncio.sleep(0)
                writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    run, events = await show(database, held.run.id)
    assert run.last_seq == len(events)
    assert run.last_seq in (0, 2)


async def test_many_runs_at_once(database: Database) -> None:
    async with RunLog(database) as log:

        async def one() -> UUID:
            held = await begin(database)
            for seq in range(10):
                await log.append(held.run.id, seq, [event()], token=held.fencing_token)
            return held.run.id

        ids = await asyncio.gather(*(one() for _ in range(20)))
    for run_id in ids:
        run, events = await show(database, run_id)
        assert run.last_seq == 10
        assert [one.seq for one in events] == list(range(1, 11))


async def test_processes_that_race_for_one_run_never_write_over_each_other(
    database: Database, run_workers: Any
) -> None:
    async with database.write() as session:
        run = await create_run(session, task="t", strategy="react")
    url = database.writer.url.render_as_string(hide_password=False)
    printed = await asyncio.to_thread(
        run_workers, *[("execute", url, run.id, 30, f"w{n}") for n in range(2)]
    )
    after, events = await show(database, run.id)
    assert [one.seq for one in events] == list(range(1, after.last_seq + 1))
    written = [one.data.decode() for one in events]
    # What a process was told was written is there, once, in its order; and nothing else.
    for name, out in zip(("w0", "w1"), printed, strict=True):
        assert [line for line in written if line.startswith(name)] == out.splitlines()
    assert len(written) == sum(len(out.splitlines()) for out in printed)


@pytest.mark.parametrize("kill_after", [1, 7, 40])
async def test_a_killed_process_leaves_all_that_was_on_disk_and_no_gap(
    database: Database, kill_after: int
) -> None:
    async with database.write() as session:
        run = await create_run(session, task="t", strategy="react")
    url = database.writer.url.render_as_string(hide_password=False)

    def die() -> int:
        with subprocess.Popen(
            [sys.executable, WORKER, "append_until_killed", url, str(run.id)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.stdin.write("go\n")
            process.stdin.flush()
            for _ in range(kill_after):
                last = int(process.stdout.readline())
            process.kill()
            # Between the last line read and the kill it may have gone on.
            return max([last, *(int(line) for line in process.stdout if line.endswith("\n"))])

    told = await asyncio.to_thread(die)
    after, events = await show(database, run.id)
    assert after.last_seq >= told
    assert [one.seq for one in events] == list(range(1, after.last_seq + 1))
    async with database.write() as session:
        held = await claim_run(session, "heir", LEASE, run.id)
        assert held is not None
        assert held.run.attempts == 2
        await append_events(
            session,
            run.id,
            after.last_seq,
            [event("RunEnded")],
            token=held.fencing_token,
            status="completed",
        )


@pytest.mark.parametrize("durable", [False, True])
async def test_what_durability_asks_of_the_database(database: Database, durable: bool) -> None:
    held = await begin(database)
    async with RunLog(database, durable=durable) as log:
        await log.append(held.run.id, 0, [event()], token=held.fencing_token)
        if log._connection is not None:
            (found,) = log._connection.execute("PRAGMA synchronous").fetchone()
            assert found == (2 if durable else 1)  # FULL, NORMAL
    assert (await show(database, held.run.id))[0].last_seq == 1
