"""`rostra eval run serving` against a scripted server: tables, JSON, faults of the command line."""

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rostra.cli.eval.serving import serving as command
from tests.integration.evals.load_endpoint import Call, Script, answer, refuse, scripted

# Until the names that it needs are on the face of `evals`.

PROBES = 2
# Constant arrivals for 0.2 s at 50/s: ten requests.
SHORT = ("--duration", "0.2", "--warm-up", "0", "--arrivals", "constant", "--rates", "50")


@contextmanager
def served(script: Script) -> Iterator[str]:
    """The server in a thread of its own, since the command has a loop of its own."""
    started, ended = threading.Event(), asyncio.Event()
    url: list[str] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        async with scripted(script) as endpoint:
            url.append(endpoint.url)
            loops.append(asyncio.get_running_loop())
            started.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    started.wait()
    try:
        yield url[0]
    finally:
        loops[0].call_soon_threadsafe(ended.set)
        thread.join()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


async def plain(call: Call) -> None:
    await answer(call)


def test_json_has_what_programs_need() -> None:
    with served(plain) as url:
        result = run("--url", url, "--model", "m", *SHORT, "--price-per-hour", "3", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    (row,) = found["results"]
    assert (row["rate"], row["requests"], row["completed"], row["failed"]) == (50, 10, 10, {})
    assert {"p50", "p95", "p99"} <= set(row["ttft_ms"]) & set(row["tpot_ms"]) & set(row["e2e_ms"])
    assert row["cost_per_1000_answers"] > 0
    assert found["targets"] == {"ttft_ms": 1000, "tpot_ms": 100, "e2e_ms": None}
    assert found["traffic"]["kind"] == "synthetic"
    assert found["model"] == "m"


def test_the_table_names_failures_and_the_rate_that_held() -> None:
    async def script(call: Call) -> None:
        await (answer(call) if call.number < PROBES + 5 else refuse(call, 429, "no room"))

    with served(script) as url:
        result = run("--url", url, "--model", "m", *SHORT, "--ttft-ms", "none")
    assert result.exit_code == 0, result.output
    assert "5 failed: shed_429: no room" in result.stderr
    assert "held by 90% of requests (tpot_ms: 100): no rate that was tried" in result.stdout
    assert "50.0 %" in result.stdout


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str | None] = set()

    async def script(call: Call) -> None:
        seen.add(call.headers.get("authorization"))
        await answer(call)

    monkeypatch.setenv("MY_KEY", "sk-1")
    with served(script) as url:
        result = run("--url", url, "--model", "m", *SHORT, "--key-env", "MY_KEY", "--json")
    assert seen == {"Bearer sk-1"}
    assert "sk-1" not in result.output


def test_recorded_traffic_needs_no_rate(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    path.write_text('{"offset_s": 0, "prompt": "x", "max_tokens": 2}\n' * 3)
    with served(plain) as url:
        result = run(
            *("--url", url, "--model", "m", "--traffic", str(path), "--warm-up", "0", "--json")
        )
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["results"]
    assert (row["rate"], row["completed"]) == (None, 3)


def test_ctrl_c_ends_with_a_report() -> None:
    async def script(call: Call) -> None:
        if call.number == PROBES + 4:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        await answer(call)

    before = signal.getsignal(signal.SIGINT)
    with served(script) as url:
        result = run("--url", url, "--model", "m", *SHORT, "--json")
    assert result.exit_code == 130
    found = json.loads(result.stdout)
    assert found["interrupted"]
    (row,) = found["results"]
    assert row["interrupted"] >= 1
    assert row["requests"] + row["interrupted"] == 10
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    "arguments",
    [
        ("--url", "http://127.0.0.1:9/v1"),
        ("--model", "m"),
        ("--rates", "1,zero"),
        ("--rates", "-1"),
        ("--rates", ""),
        ("--ttft-ms", "soon"),
        ("--duration", "none"),
        ("--share", "2"),
    ],
)
def test_a_command_line_that_cannot_be(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2
