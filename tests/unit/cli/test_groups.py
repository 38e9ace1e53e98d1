"""Groups that import commands late: the same commands and texts as if they did not."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from evals import Task
from rostra.cli.eval import command
from rostra.cli.groups import LazyGroup
from tests.eval_parts import Echo, Same, numbers, run

# What takes seconds to import and no look at runs needs.
HEAVY = ("torch", "transformers", "scipy.stats", "mcp", "sqlalchemy", "litestar", "xgrammar")


def groups() -> list[LazyGroup]:
    runs = command.get_command(click.Context(command), "run")
    assert isinstance(runs, LazyGroup)
    assert isinstance(command, LazyGroup)
    return [command, runs]


@pytest.mark.parametrize("group", groups(), ids=lambda group: group.name)
def test_what_a_group_says_of_commands_is_what_they_say(group: LazyGroup) -> None:
    for name, later in group.later.items():
        found = group.get_command(click.Context(group), name)
        assert found is later.load()
        assert found.name == name
        assert later.text == found.get_short_help_str(limit=1000)
    assert group.get_command(click.Context(group), "no such") is None
    assert set(group.list_commands(click.Context(group))) == set(group.commands)


def test_looking_at_runs_imports_nothing_heavy(tmp_path: Path) -> None:
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    for path, wrong in ((one, ()), (other, ("s3",))):
        asyncio.run(run(path, [Task(numbers(6), Echo(wrong=wrong), [Same()])]))
    lines = [
        ["--help"],
        ["eval", "--help"],
        ["eval", "run", "--help"],
        ["eval", "list"],
        ["eval", "compare", "--help"],
        ["eval", "compare", "no-such", "run"],
        ["eval", "compare", str(one), str(other)],
        ["eval", "gate", str(other), "--baseline", str(one)],
        ["eval", "show", str(one)],
        ["eval", "show", "no-such"],
    ]
    program = (
        "import sys\n"
        "from rostra.cli.main import run\n"
        f"for line in {lines!r}:\n"
        f"    status = run(line)\n"
        f"    print('\\n', status, *(name for name in {HEAVY!r} if name in sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"ROSTRA_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stdout.splitlines() if re.fullmatch(r" \d+.*", line)]
    assert said == [" 0", " 0", " 0", " 0", " 0", " 2", " 0", " 0", " 0", " 2"], done.stderr[-500:]
