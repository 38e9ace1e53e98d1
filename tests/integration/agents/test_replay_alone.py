"""A replay needs the log alone: no model, no server."""

import sys
from pathlib import Path

import pytest

from rostra.agents import Budget, RunEnded, RunRequest
from rostra.core import ModelUnavailable, Settings
from rostra.models import ScriptedModel
from rostra.runtime import open_runtime
from tests.agent_parts import final
from tests.integration.agents.test_offered import act

BUDGET = Budget(steps=10, seconds=60, calls=20)


@pytest.mark.parametrize("strategy", ["react", "rewoo"])
async def test_a_replay_needs_no_model_and_starts_no_server(
    settings: Settings, tmp_path: Path, strategy: str
) -> None:
    script = {
        "react": [act("calculator__calculate", expression="6 * 7"), final("It is 42.", 1)],
        "rewoo": [
            '{"steps": [{"goal": "multiply", "tool": "calculator__calculate", '
            '"args": {"expression": "6 * 7"}}]}',
            final("It is 42.", 1),
        ],
    }[strategy]
    async with open_runtime(settings, ScriptedModel(script)) as runtime:
        request = RunRequest(
            task="Multiply.", strategy=strategy, budget=BUDGET, tools=["calculator"]
        )
        run_id = await runtime.agents.start(request)
        assert isinstance((await runtime.agents.wait(run_id)).event, RunEnded)

    started = tmp_path / "started"
    trap = {
        "command": sys.executable,
        "args": ["-c", f"open({str(started)!r}, 'w')"],
        "connect_seconds": 5,
    }
    trapped = settings.model_copy(update={"mcp": {"servers": {"calculator": trap, "more": trap}}})
    async with open_runtime(trapped, None) as runtime:
        report = await runtime.agents.replay(run_id)
        assert report.difference is None
        assert report.events > 5
        with pytest.raises(ModelUnavailable):
            await runtime.agents.replay(run_id, ask_models=True)
    assert not started.exists()
