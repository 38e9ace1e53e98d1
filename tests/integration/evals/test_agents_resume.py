"""Runs of agents that are kept: killed and gone on with, compared, scored again from the file."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from evals.agents.chains import make_chains
from evals.agents.strategies import StrategyReport, compare_strategies
from evals.compare import compare_systems
from evals.core import RunRecord, read_run, report_of
from tests.eval_agents import into

_KILLED = """
import asyncio, os, signal, sys
sys.path.insert(0, "")
from pathlib import Path
from evals.agents.chains import make_chains
from evals.agents.strategies import compare_strategies
from tests.eval_agents import into

left = int(sys.argv[2])

def told(outcome):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(compare_strategies(make_chains([2, 3, 4]), execute=into(Path(sys.argv[1]), told)))
"""


def timeless(record: RunRecord) -> tuple[Any, Any]:
    """All that is said about a run but its times."""
    report = report_of(record).to_dict()
    for task in report["tasks"]:
        del task["times"]
    own = StrategyReport.of(record).to_dict()
    for row in own["strategies"]:
        del row["ms_per_task"]
    return report, own


@pytest.mark.parametrize("after", [1, 5, 9])
async def test_a_killed_run_goes_on_to_the_same_report(tmp_path: Path, after: int) -> None:
    path, whole = tmp_path / "run.jsonl", tmp_path / "whole.jsonl"
    died = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _KILLED, str(path), str(after)
    )
    assert await died.wait() == -signal.SIGKILL
    broken = read_run(path)
    assert (len(broken.outcomes), broken.is_complete) == (after, False)
    done: list[int] = []
    chains = make_chains([2, 3, 4])
    await compare_strategies(chains, execute=into(path, lambda one: done.append(one.at)))
    assert len(done) == 9  # those that were there are told too
    await compare_strategies(chains, execute=into(whole))
    record = read_run(path)
    assert record.is_complete
    assert timeless(record) == timeless(read_run(whole))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sum(line["type"] == "sample" for line in lines) == 9


async def test_strategies_of_one_run_are_compared_sample_by_sample(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await compare_strategies(make_chains([2, 3, 4, 5, 6, 7]), execute=into(path))
    found = {
        (one.baseline_system, one.candidate_system, one.measure.name): one
        for one in compare_systems(read_run(path))
    }
    steps = found["react", "rewoo", "steps"]
    # ReAct asks n + 1 times, ReWOO twice.
    assert steps.difference == pytest.approx(2 - (2 + 7) / 2 - 1)
    assert (steps.wins, steps.losses, steps.n) == (6, 0, 6)
    assert found["react", "plan", "tool calls"].ties == 6


async def test_many_at_once_come_to_the_same_as_one_after_the_other(tmp_path: Path) -> None:
    one, many = tmp_path / "one.jsonl", tmp_path / "many.jsonl"
    chains = make_chains([2, 3, 4])
    await compare_strategies(chains, execute=into(one))
    await compare_strategies(chains, execute=into(many, parallel=9))
    assert timeless(read_run(one)) == timeless(read_run(many))
