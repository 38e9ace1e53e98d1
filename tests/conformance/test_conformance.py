"""The official conformance suite and the MCP inspector against our servers and our client."""

import asyncio
import json
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE
from typing import Any

import pytest

from tests.conformance.expectations import EXPECTED, NOT_APPLICABLE
from tests.conformance.programs import Programs, Unavailable, installed
from tests.conformance.suite import REVISIONS, ROOT, TARGETS, Verdict, run, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def programs() -> Programs:
    try:
        return installed()
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("target", TARGETS)
async def test_every_applicable_scenario_passes(
    programs: Programs, target: str, revision: str
) -> None:
    report = await run(programs, target, revision)
    failed = [scenario for scenario in report.scenarios if scenario.verdict is Verdict.FAILED]
    assert not failed, report.output[-20_000:]
    assert report.applicable >= 5
    # As many as the revision requires, so that none is lost between its output and our table.
    assert {scenario.name for scenario in report.scenarios} >= await required(
        programs, target, revision
    )


async def required(programs: Programs, target: str, revision: str) -> set[str]:
    """Names of what the revision requires of such a target, by the suite's own list."""
    import yaml

    file = programs.modules / "@modelcontextprotocol/conformance/requirements" / f"{revision}.yaml"
    names = yaml.safe_load(file.read_text("utf-8"))
    return set(names["client" if target == "client" else "server"])


def test_every_exception_has_a_reason() -> None:
    assert set(NOT_APPLICABLE) == set(EXPECTED) == set(TARGETS)
    for target in TARGETS:
        for reason in NOT_APPLICABLE[target].values():
            assert len(reason.split()) > 5
        for expected in EXPECTED[target].values():
            assert len(expected.reason.split()) > 5
            assert expected.failed or expected.warned


async def inspect(programs: Programs, *arguments: str) -> Any:
    """What the inspector's command prints."""
    process = await asyncio.create_subprocess_exec(
        *programs.inspector(),
        *arguments,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        cwd=ROOT,
        env=programs.environment() | {"PYTHONPATH": str(ROOT)},
    )
    stdout, stderr = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode in (0, 5), stderr.decode()  # 5: the tool says that it failed
    return json.loads(stdout)


async def test_the_inspector_uses_the_platform(programs: Programs) -> None:
    async with serving("/mcp") as url:
        over = (url, "--transport", "http")
        tools = (await inspect(programs, *over, "--method", "tools/list"))["tools"]
        assert {"search", "read", "list_documents", "ask"} <= {tool["name"] for tool in tools}
        failed = await inspect(
            *(programs, *over, "--method", "tools/call"),
            *("--tool-name", "search", "--tool-arg", "query= "),
        )
        assert failed["isError"]


async def test_the_inspector_uses_a_small_server(programs: Programs) -> None:
    command = (sys.executable, "-m", "mcp_servers.calculator")
    answer = await inspect(
        *(programs, *command, "--method", "tools/call"),
        *("--tool-name", "calculate", "--tool-arg", "expression=2 * (3 + 4)"),
    )
    assert answer["structuredContent"]["value"] == "14"


def test_the_table_names_what_it_does_not_know() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.conformance", "teapot"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "teapot" in done.stderr
