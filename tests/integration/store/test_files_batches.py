"""Files and batches on both engines: pages, holds that run out, and ends that last."""

from datetime import timedelta

import pytest

from rostra.core import Conflict, new_id
from rostra.store import (
    BatchEnded,
    BatchNotFound,
    Database,
    FileNotFound,
    LostLease,
    add_file,
    cancel_batch,
    claim_batch,
    count_unfinished_batches,
    create_batch,
    delete_file,
    files_size,
    get_batch,
    get_file,
    list_batches,
    list_files,
    report_batch,
    writes_to,
)

LONG, SPENT = timedelta(hours=1), timedelta(seconds=-1)


async def test_files_by_page(database: Database) -> None:
    async with database.write() as session:
        made = [await add_file(session, new_id(), f"{n}", "batch", n) for n in range(4)]
    async with database.read() as session:
        assert await list_files(session) == made[::-1]
        assert await list_files(session, after=made[2].id, limit=1) == [made[1]]
        assert await list_files(session, after=made[2].id, newest_first=False) == [made[3]]
        assert await list_files(session, purpose="batch_output") == []
        assert await files_size(session) == (4, 6)
        assert await get_file(session, made[0].id) == made[0]
        with pytest.raises(FileNotFound):
            await get_file(session, new_id())


async def test_a_file_that_a_batch_reads_stays(database: Database) -> None:
    async with database.write() as session:
        file = await add_file(session, new_id(), "a", "batch", 1)
        batch = await create_batch(session, "/v1/embeddings", file.id, {})
        with pytest.raises(Conflict):
            await delete_file(session, file.id)
        assert await writes_to(session, batch.output_file_id)
        held = await claim_batch(session, LONG)
        assert held is not None
        await report_batch(session, held, None, status="completed")
        await delete_file(session, file.id)
        assert not await writes_to(session, batch.output_file_id)


async def test_batches_are_held_by_one_runner(database: Database) -> None:
    async with database.write() as session:
        first = await create_batch(session, "/v1/embeddings", new_id(), {"k": "v"})
        second = await create_batch(session, "/v1/embeddings", new_id(), {})
        held = [await claim_batch(session, LONG) for _ in range(3)]
    assert [one and one.batch.id for one in held] == [first.id, second.id, None]
    async with database.read() as session:
        assert [one.id for one in await list_batches(session)] == [second.id, first.id]
        assert [one.id for one in await list_batches(session, after=second.id)] == [first.id]
        assert await count_unfinished_batches(session) == 2
        assert (await get_batch(session, first.id)).metadata == {"k": "v"}
        with pytest.raises(BatchNotFound):
            await get_batch(session, new_id())


async def test_a_hold_that_ran_out_is_taken_and_the_old_one_lost(database: Database) -> None:
    async with database.write() as session:
        await create_batch(session, "/v1/embeddings", new_id(), {})
        dead = await claim_batch(session, SPENT)
        alive = await claim_batch(session, LONG)
        assert dead is not None
        assert alive is not None
        await report_batch(session, alive, LONG, status="in_progress")
        with pytest.raises(LostLease):
            await report_batch(session, dead, LONG, status="completed")
        # Given back, it can be claimed at once.
        await report_batch(session, alive, None, counts={"total": 1, "completed": 1, "failed": 0})
        again = await claim_batch(session, LONG)
    assert again is not None
    assert again.batch.counts["completed"] == 1


async def test_going_on_does_not_undo_a_cancellation(database: Database) -> None:
    async with database.write() as session:
        batch = await create_batch(session, "/v1/embeddings", new_id(), {})
        held = await claim_batch(session, LONG)
        assert held is not None
        began = await report_batch(session, held, LONG, status="in_progress")
        assert began.status == "in_progress"
        await cancel_batch(session, batch.id)
        assert (await report_batch(session, held, LONG, status="in_progress")).status == (
            "cancelling"
        )
        ended = await report_batch(session, held, None, status="cancelled")
        assert ended.status == "cancelled"
        assert set(ended.times) == {"in_progress", "cancelling", "cancelled"}
        with pytest.raises(BatchEnded):
            await cancel_batch(session, batch.id)
        with pytest.raises(LostLease):
            await report_batch(session, held, LONG, status="in_progress")
        assert await claim_batch(session, LONG) is None
