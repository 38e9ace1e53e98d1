"""ReWOO through the command, with the calculator that comes with the platform."""

import json
import re
from pathlib import Path

import pytest

from rostra.agents import prompts
from rostra.cli.main import run
from rostra.core import Settings
from tests.agent_parts import final


def in_file(path: Path, *said: str) -> None:
    path.write_text("\n".join(json.dumps({"text": text}) for text in said))


def example() -> str:
    """The plan that the prompt shows."""
    (plan,) = re.findall(
        r'^\{"thought": "The rule.*\}$', prompts.library()["rewoo_plan"].text, re.MULTILINE
    )
    return plan


def plan(second: str) -> str:
    steps = [
        {"id": name, "goal": "compute", "call": {"tool": tool, "args": {"expression": expression}}}
        for name, tool, expression in (
            ("E1", "calculator__calculate", "8 * 1600"),
            ("E2", "calculator__calculate", second),
        )
    ]
    return json.dumps({"thought": "Two.", "steps": steps})


@pytest.mark.parametrize(
    ("planned", "tools", "result"),
    [
        (plan("#E1 + 1"), "calculator", "value: 12801"),
        (example(), "search,calculator", "value: 385.2"),
    ],
)
def test_a_call_uses_what_another_has_computed(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    planned: str,
    tools: str,
    result: str,
) -> None:
    page = tmp_path / "rules.md"
    page.write_text("# Rules\n\nA refund of a booking is paid within 14 days.\n")
    script = tmp_path / "script.jsonl"
    in_file(script, planned, final("It is computed.", 1))
    monkeypatch.setenv("ROSTRA_CHAT_SCRIPT", str(script))
    assert run(["ingest", str(page)]) == 0
    capfdbinary.readouterr()
    command = ["agent", "run", "Compute.", "--strategy", "rewoo", "--tools", tools, "--json"]
    assert run(command) == 0
    found = json.loads(capfdbinary.readouterr().out)
    assert found["status"] == "completed"
    assert run(["agent", "show", found["run"], "--json"]) == 0
    events = [one["event"] for one in json.loads(capfdbinary.readouterr().out)["events"]]
    ended = [event for event in events if event["type"] == "ToolEnded"]
    assert [event["outcome"] for event in ended] == ["ok"] * len(ended)
    assert ended[-1]["text"].startswith(result)
    assert run(["agent", "replay", found["run"], "--json"]) == 0
    assert json.loads(capfdbinary.readouterr().out)["difference"] is None
