"""Workers that die again and again: every job is done once, none is lost."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from rostra.store import Database, enqueue, get_job, list_jobs

JOBS, WORKERS = 15, 2


async def test_jobs_survive_their_workers(
    database: Database, tmp_path: Path, run_workers: Any
) -> None:
    effects = tmp_path / "effects"
    jobs = []
    for _ in range(JOBS):
        async with database.write() as session:
            jobs.append(await enqueue(session, "ingest", {}))
    url = database.writer.url.render_as_string(hide_password=False)
    commands = [("toil", url, f"w{n}", effects, JOBS) for n in range(WORKERS)]
    printed = await asyncio.to_thread(run_workers, *commands)
    died = sum(map(int, printed))
    assert died >= 3
    async with database.read() as session:
        assert (await list_jobs(session, ["succeeded"]))[1] == JOBS
        ended = [await get_job(session, job.id) for job in jobs]
    # Nobody does a step twice, and each death costs at most the line it came before.
    done = Counter(effects.read_text().splitlines())
    assert max(done.values()) == 1
    assert len(done) >= 4 * JOBS - died
    assert max(job.attempts for job in ended) > 1
