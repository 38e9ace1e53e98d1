"""An evaluation of scripted systems as a command, for tests that need a process to interrupt.

With `--hang AT` the solver says `hanging` on stdout when it reaches that sample, and waits.
"""

import asyncio
import signal
import sys
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import click
import msgspec

from evals import State, Task
from rostra.cli.eval.runs import RunOptions, execute, print_report, run_options
from rostra.cli.main import run as run_cli
from rostra.cli.output import settings_of_process
from tests.eval_parts import Echo, Same, numbers

SAMPLES = 20


class Hanging(Echo):
    """An `Echo` that waits for ever at one of its samples."""

    def __init__(self, at: str, **others: Any) -> None:
        super().__init__("echo", **others)
        self._at = at

    async def __call__(self, state: State, seed: int) -> State:
        if state.sample.id == self._at:
            print("hanging", flush=True)
            await asyncio.Event().wait()
        return await super().__call__(state, seed)


@click.command("scripted")
@click.option("--hang", default="")
@click.option("--words", multiple=True)
@click.option("--wrong", default="")
@run_options
def scripted(hang: str, words: tuple[str, ...], wrong: str, options: RunOptions) -> None:
    """Numbers, said again."""
    fails = ("s4",) if "fails" in words else ()
    solver = Hanging(hang, fails=fails, wrong=wrong.split(",") if wrong else ())
    tasks = [Task(numbers(SAMPLES), solver, [Same()])]
    given = {"words": list(words)}
    report = asyncio.run(
        execute(settings_of_process(), "scripted", tasks, options, arguments=given)
    )
    print_report(report, as_json=options.as_json)


def run(arguments: list[str]) -> int:
    """Runs `rostra eval run scripted` as `main` would, in place of the real evaluations.

    Those take seconds to import.
    """
    group = click.Group("eval", commands={"run": click.Group("run", commands=[scripted])})
    with patch.dict(sys.modules, {"rostra.cli.eval": SimpleNamespace(command=group)}):
        return run_cli(["eval", "run", "scripted", *arguments])


def same_parts(report: Any) -> Any:
    """A report without what may differ between two runs of the same."""
    told = msgspec.json.decode(msgspec.json.encode(report))
    told.pop("run")
    for task in told["tasks"]:
        task.pop("times")
    return told


if __name__ == "__main__":
    # Who starts the tests in the background has them ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))
