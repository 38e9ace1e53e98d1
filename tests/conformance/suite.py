"""Runs the official suite against one of our sides at one revision, and reads what came of it.

What always holds: every scenario that the revision requires is in the result, and has a verdict;
a suite that did not run to its end raises.
"""

import asyncio
import os
import re
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

from tests.conformance.expectations import EXPECTED, NOT_APPLICABLE
from tests.conformance.programs import Programs

ROOT = Path(__file__).parents[2]
REVISIONS = ("2025-11-25", "2026-07-28")
TARGETS = ("everything-server", "/mcp", "/mcp+fixtures", "client")
_MODULES = {
    "everything-server": ("tests.conformance.everything_server",),
    "/mcp": ("rostra.cli", "serve", "--port", "0"),
    "/mcp+fixtures": ("tests.conformance.mounted",),
}
# The suite starts all its clients at once, which takes minutes on a busy machine.
_SCENARIO_MS = 300_000
_SUITE_SECONDS = 900
_LINE = re.compile(
    r"^[✓✗] ([\w./-]+): (\d+) passed, (\d+) failed(?:, (\d+) warnings?)?$", re.MULTILINE
)
_UNSCORED = re.compile(r"^  [✓✗] ([\w./-]+) \(([\w-]+)\)$", re.MULTILINE)


class Verdict(StrEnum):
    """What a scenario says of us."""

    PASSED = "passed"
    EXPECTED = "expected"  # fails as it is known to, with a reason
    NOT_APPLICABLE = "n/a"  # with a reason
    EXTENSION = "extension"  # of the protocol, which we do not speak
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario's result; `reason` where it did not simply pass."""

    name: str
    passed: int
    failed: int
    warned: int
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One run of the suite."""

    target: str
    revision: str
    scenarios: tuple[Scenario, ...]
    output: str

    def count(self, verdict: Verdict) -> int:
        """Scenarios with this verdict."""
        return sum(scenario.verdict is verdict for scenario in self.scenarios)

    def reasons(self) -> dict[tuple[Verdict, str], list[str]]:
        """Names of the scenarios that did not simply pass, by verdict and reason."""
        found: dict[tuple[Verdict, str], list[str]] = {}
        for scenario in self.scenarios:
            if scenario.verdict is not Verdict.PASSED:
                found.setdefault((scenario.verdict, scenario.reason), []).append(scenario.name)
        return found

    @property
    def applicable(self) -> int:
        """Scenarios that say something of us."""
        aside = self.count(Verdict.NOT_APPLICABLE) + self.count(Verdict.EXTENSION)
        return len(self.scenarios) - aside


async def run(programs: Programs, target: str, revision: str) -> Report:
    """Runs what the revision requires of the target.

    Raises:
        RuntimeError: the suite or the target did not run.
    """
    with tempfile.TemporaryDirectory() as folder:
        if target == "client":
            command = f"{sys.executable} -m tests.conformance.client"
            output = await _suite(programs, folder, revision, "client", "--command", command)
        else:
            async with serving(target) as url:
                output = await _suite(programs, folder, revision, "server", "--url", url)
    scenarios = tuple(_judge(target, *row) for row in _rows(output))
    if not scenarios:
        raise RuntimeError(f"the suite gave no results:\n{output[-2000:]}")
    return Report(target, revision, scenarios, output)


async def _suite(programs: Programs, folder: str, revision: str, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *programs.conformance(),
        *arguments,
        *("--requirements", revision, "--output-dir", folder, "--timeout", str(_SCENARIO_MS)),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        cwd=ROOT,
        env=programs.environment() | {"PYTHONPATH": str(ROOT)},
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), _SUITE_SECONDS)
    finally:
        await _end(process)
    return said.decode("utf-8", "replace")


def _rows(output: str) -> list[tuple[str, int, int, int, str]]:
    """Name, passed, failed, warned, and why it is not scored, of each scenario in the summary."""
    _, _, summary = output.rpartition("SUMMARY ===")
    unscored = dict(_UNSCORED.findall(summary))
    return [
        (name, int(passed), int(failed), int(warned or 0), unscored.get(name, ""))
        for name, passed, failed, warned in _LINE.findall(summary)
    ]


def _judge(
    target: str, name: str, passed: int, failed: int, warned: int, unscored: str
) -> Scenario:
    for pattern, reason in NOT_APPLICABLE[target].items():
        if fnmatchcase(name, pattern):
            return Scenario(name, passed, failed, warned, Verdict.NOT_APPLICABLE, reason)
    expected = EXPECTED[target].get(name)
    if expected is not None:
        same = (failed, warned) == (expected.failed, expected.warned)
        verdict = Verdict.EXPECTED if same else Verdict.FAILED
        return Scenario(name, passed, failed, warned, verdict, expected.reason)
    if not failed and not warned:
        return Scenario(name, passed, failed, warned, Verdict.PASSED)
    if unscored == "extension":
        return Scenario(name, passed, failed, warned, Verdict.EXTENSION, "not spoken by us")
    return Scenario(name, passed, failed, warned, Verdict.FAILED, "see the suite's output")


# --- Servers ---
@asynccontextmanager
async def serving(target: str) -> AsyncIterator[str]:
    """The URL of a server of this kind, in a process of its own.

    Raises:
        RuntimeError: it does not start.
    """
    with tempfile.TemporaryDirectory() as home:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("ROSTRA_")
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *_MODULES[target]),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=DEVNULL,
            cwd=home,
            env=environment | {"ROSTRA_HOME": home, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        )
        try:
            yield await asyncio.wait_for(_announced(process), 120)
        finally:
            await _end(process)


async def _announced(process: Process) -> str:
    if process.stdout is None:
        raise RuntimeError("the server was started without a pipe")
    while line := (await process.stdout.readline()).decode():
        if found := re.search(r"http://\S+", line):
            return found[0].rstrip("/") + "/mcp"
    raise RuntimeError("the server did not start")


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()
