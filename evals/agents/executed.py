"""How the tasks of an evaluation are done: given by whoever wants its report.

An evaluation here makes tasks, has them done, and reads its report off the run's record. So the
same code serves a command, which keeps the run and can go on with it, and a caller who only wants
the numbers.
"""

import tempfile
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from evals.core.log import Header, RunFile, RunRecord, read_run
from evals.core.runner import Task, run_tasks

Execute = Callable[[Sequence[Task]], Awaitable[RunRecord]]


async def executed(tasks: Sequence[Task]) -> RunRecord:
    """Does tasks with seed 0, one sample after the other, in a file that is gone afterwards."""
    header = Header(
        id="run",
        kind="agents",
        begun=datetime.now(UTC),
        seed=0,
        tasks=[task.header() for task in tasks],
    )
    with tempfile.TemporaryDirectory(prefix="rostra-eval-") as folder:
        path = Path(folder) / "run.jsonl"
        with RunFile(path, header) as file:
            await run_tasks(tasks, file, seed=0, parallel=1)
        return read_run(path)
