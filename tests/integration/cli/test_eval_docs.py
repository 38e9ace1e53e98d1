"""The commands of evaluations that docs, the workflow and the gate's script name are there."""

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from rostra.cli.eval import command

ROOT = Path(__file__).parents[3]
WORKFLOW = ROOT / "docs" / "examples" / "eval-gate.yml"
SOURCES = (ROOT / "docs" / "evaluate.md", WORKFLOW, ROOT / "scripts" / "gate.sh")


def commands(path: Path) -> list[str]:
    """Every command line that begins with `rostra eval`, without its comment."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ").replace('"$rostra"', "rostra")
    if path == WORKFLOW:
        steps = yaml.safe_load(text)["jobs"]["gate"]["steps"]
        text = "\n".join(step.get("run", "") for step in steps)
    found = re.findall(r"rostra eval [^\n`#|>]+", text)
    return [re.sub(r"[\[\]]", "", line).strip() for line in found]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_commands_and_options_are_there(path: Path) -> None:
    lines = commands(path)
    assert len(lines) > 2
    for line in lines:
        found: click.Command = command
        words = shlex.split(line)[2:]
        while isinstance(found, click.Group) and words:
            named = found.get_command(click.Context(found), words.pop(0))
            assert named is not None, line
            found = named
        options = {option for parameter in found.params for option in parameter.opts}
        for word in words:
            if word.startswith("-"):
                assert word.partition("=")[0] in options, line


def test_the_workflow_gates() -> None:
    steps = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]["gate"]["steps"]
    gate = next(step for step in steps if step.get("name", "").startswith("Gate"))
    assert "if" not in gate
    assert "continue-on-error" not in gate
    assert gate["run"].startswith("rostra eval gate run.jsonl --baseline eval/baseline.jsonl")
