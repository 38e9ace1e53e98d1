"""Does the tasks of an evaluation into a file that stays, for tests."""

from collections.abc import Callable, Sequence
from pathlib import Path

from evals.agents.executed import Execute
from evals.core import Outcome, RunFile, RunRecord, Task, read_run, run_tasks
from tests.eval_parts import header


def into(
    path: Path, on_outcome: Callable[[Outcome], None] = lambda _: None, parallel: int = 1
) -> Execute:
    """An `Execute` that writes a run, or goes on with it."""

    async def execute(tasks: Sequence[Task]) -> RunRecord:
        with RunFile(path, header(tasks)) as file:
            await run_tasks(tasks, file, seed=0, parallel=parallel, on_outcome=on_outcome)
        return read_run(path)

    return execute
