"""Many agent runs: a hundred of 20 steps at once over a database, and random ones in a row."""

import asyncio
import json
from pathlib import Path

import pytest

from rostra.agents import Agents, RunEnded, RunRequest, Status, prompts
from rostra.cli.main import run
from rostra.core import Settings
from rostra.store import Database
from tests.agent_parts import Bench, StepModel, World, action, final

RANDOM_RUNS = 5
RUNS = 100
STEPS = 20


async def test_a_hundred_runs_at_once_have_all_their_steps(
    database: Database, tmp_path: Path
) -> None:
    script = [action(("read", str(number))) for number in range(STEPS - 1)] + [final("Fine.", 1)]
    world = World(tmp_path / "world.txt")
    bench = Bench(StepModel(script), world)
    agents = Agents(database, bench.open, model="steps", prompts=prompts)
    runs = await asyncio.gather(*(agents.start(RunRequest(task="Look.")) for _ in range(RUNS)))
    ends = [record.event for record in await asyncio.gather(*map(agents.wait, runs))]
    assert {end.status for end in ends if isinstance(end, RunEnded)} == {Status.COMPLETED}
    assert {end.spent.steps for end in ends if isinstance(end, RunEnded)} == {STEPS}
    assert len(world.done()) == RUNS * (STEPS - 1)
    await agents.close()


@pytest.mark.timeout(1200)
def test_random_agents_end_within_their_budgets(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["eval", "run", "random-agents", "--runs", str(RANDOM_RUNS), "--json"]
    assert run(arguments) == 0
    rows = json.loads(capsys.readouterr().out)["results"]
    assert [row["strategy"] for row in rows] == ["react", "plan", "rewoo", "rag"]
    for row in rows:
        assert row["runs"] == sum(row["ends"].values()) == RANDOM_RUNS
        assert row["runs_past_budget"] == row["runs_without_one_end"] == 0
