"""Load tests from end to end against a scripted server: plans, rates, failures, interruptions."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from evals.load.clock import LoopClock
from evals.load.endpoint import LoadEndpoint
from evals.load.errors import EndpointUnusable, InvalidTraffic
from evals.load.generator import play
from evals.load.lengths import read_lengths
from evals.load.plan import PlannedRequest, TokenRuler, Traffic, user_message
from evals.load.recorded import read_traffic
from evals.load.report import ServingReport
from evals.load.run import LoadOptions, LoadProgress, measure_serving
from evals.load.synthetic import SyntheticTraffic
from evals.load.targets import LoadTargets
from rostra.core import InvalidRequest
from tests.integration.evals.load_endpoint import (
    DONE,
    Call,
    Script,
    answer,
    piece,
    refuse,
    scripted,
    words_of,
)

# Requests that come before the load: two to measure how many tokens our words are.
PROBES = 2
PROMPT_TOKENS = 67


def traffic(seconds: float = 0.2, **changed: Any) -> SyntheticTraffic:
    given: dict[str, Any] = {
        "seconds": seconds,
        "prompt_tokens": read_lengths(str(PROMPT_TOKENS)),
        "output_tokens": read_lengths("3"),
        "process": "constant",
    }
    return SyntheticTraffic(**(given | changed))


@contextmanager
def never() -> Iterator[asyncio.Event]:
    """Nobody ends the test."""
    yield asyncio.Event()


async def run(
    script: Script, options: LoadOptions, given: Traffic | None = None, **more: Any
) -> ServingReport:
    async with scripted(script) as endpoint:
        target = LoadEndpoint(endpoint.url, "m", "m")
        return await measure_serving(
            target, given or traffic(), options, **({"stopping": never} | more)
        )


async def test_all_requests_are_open_while_the_server_answers_none() -> None:
    count = 60
    open_now, all_open = 0, asyncio.Event()

    async def script(call: Call) -> None:
        nonlocal open_now
        open_now += 1
        if open_now == count:
            all_open.set()
        await all_open.wait()
        await answer(call)

    plan = [PlannedRequest(i / 1000, (user_message("x"),), 1) for i in range(count)]
    async with (
        scripted(script) as endpoint,
        LoadEndpoint(endpoint.url, "m", "m").client(100) as client,
    ):
        records = await play(plan, client.ask, LoopClock(), asyncio.Event(), most_open=count)
    assert open_now == count
    assert all(record.completed for record in records)
    assert all(record.send_delay is not None and record.send_delay >= 0 for record in records)


async def test_a_report_of_two_rates() -> None:
    prompts: list[int] = []

    async def script(call: Call) -> None:
        prompts.append(words_of(call))
        await answer(call, "a", "b", "c")

    told: list[LoadProgress] = []
    report = await run(script, LoadOptions(rates=(50, 100)), on_progress=told.append)
    found = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert [row["rate"] for row in found["results"]] == [50, 100]
    assert [row["requests"] for row in found["results"]] == [10, 20]
    assert [row["completed"] for row in found["results"]] == [10, 20]
    assert [row["output_tokens"] for row in found["results"]] == [30, 60]
    # A word is three tokens and the template seven, so 67 tokens are 20 words.
    assert prompts[PROBES:] == [20] * 30
    assert [row["prompt_tokens"] for row in found["results"]] == [670, 1340]
    assert found["traffic"]["prompt_lengths_measured"] is True
    assert found["sustained_rps"] == 100
    assert found["results"][0]["goodput_share"] == 1
    assert found["results"][0]["failed"] == {}
    assert found["endpoint"].startswith("http://127.0.0.1:")
    assert "cores" in found["device"]
    assert found["energy"]["told"] or found["energy"]["missing"]
    assert not found["interrupted"]
    assert told[-1] == LoadProgress(100, 20, 20, 20, 0)


async def test_prompts_are_new_at_every_rate() -> None:
    prompts: list[str] = []

    async def script(call: Call) -> None:
        prompts.append(call.body["messages"][0]["content"])
        await answer(call)

    await run(script, LoadOptions(rates=(20, 20)))
    assert len(prompts) == PROBES + 8
    assert len(set(prompts)) == len(prompts)


async def test_failures_are_counted_by_reason() -> None:
    async def script(call: Call) -> None:
        match call.number - PROBES:
            case 0 | 1 | 2:
                await refuse(call, 429, "no room")
            case 3:
                await refuse(call, 503, "loading")
            case 4:
                await call.start()
                await call.give(piece("a"))
                raise ConnectionError("the server breaks off")
            case 5:
                await refuse(call, 500, "oops")
            case _:
                await answer(call)

    report = await run(script, LoadOptions(rates=(50,)))
    (row,) = report.to_dict()["results"]
    assert row["failed"] == {"shed_429": 3, "shed_503": 1, "broken_stream": 1, "http_500": 1}
    assert row["failure_words"]["shed_429"] == "no room"
    assert (row["requests"], row["completed"]) == (10, 4)
    assert row["goodput_share"] == 0.4
    assert row["ttft_ms"]["n"] == 4
    assert report.sustained_rps is None


async def test_a_limit_on_open_requests_is_told_as_failures() -> None:
    full = asyncio.Event()

    async def script(call: Call) -> None:
        if call.number >= PROBES:
            await full.wait()
        await answer(call)

    def on_progress(now: LoadProgress) -> None:
        if now.sent + now.failed == 10:
            full.set()

    report = await run(script, LoadOptions(rates=(50,), most_open=4), on_progress=on_progress)
    (row,) = report.to_dict()["results"]
    assert row["failed"] == {"not_sent_too_many_open": 6}
    assert row["completed"] == 4


async def test_the_warm_up_is_sent_and_left_out() -> None:
    # As measured from the probes; see `answer`.
    plan = traffic().plan(50, 0, TokenRuler(per_word=3.0, overhead=7.0))
    early = [request.messages[0]["content"] for request in plan[:5]]

    async def script(call: Call) -> None:
        if call.body["messages"][0]["content"] in early:
            await refuse(call, 503)
        else:
            await answer(call)

    report = await run(script, LoadOptions(rates=(50,), warm_up=0.1))
    (row,) = report.to_dict()["results"]
    assert (row["warm_up_requests"], row["requests"], row["completed"]) == (5, 5, 5)
    assert row["failed"] == {}


async def test_a_warm_up_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(InvalidTraffic, match="warm-up"):
        await run(answer, LoadOptions(rates=(50,), warm_up=5.0))


async def test_the_search_stops_where_requests_fail() -> None:
    # Constant arrivals for 0.2 s: 4 requests at 20/s, 8 at 40/s, 16 at 80/s, 11 at 57/s ...
    async def script(call: Call) -> None:
        if call.number < PROBES + 4 + 8:
            await answer(call)
        else:
            await refuse(call, 429)

    report = await run(script, LoadOptions(first_rate=20))
    rates = [round(row.figures.rate or 0, 1) for row in report.rows]
    assert rates == [20, 40, 80, 56.6, 47.6]
    assert [row.figures.goodput_share for row in report.rows] == [1, 1, 0, 0, 0]
    assert report.sustained_rps == 40


async def test_a_rate_that_cannot_be_had_ends_the_test_with_a_report() -> None:
    report = await run(answer, LoadOptions(rates=(50, 1e6)))
    assert len(report.rows) == 1
    assert any("not tried" in note for note in report.notes)


async def test_targets_decide_what_is_good() -> None:
    async def script(call: Call) -> None:
        await answer(call)

    impossible = LoadTargets(ttft_ms=1e-6)
    report = await run(script, LoadOptions(rates=(50,), targets=impossible))
    (row,) = report.to_dict()["results"]
    assert row["completed"] == 10
    assert row["goodput_share"] == 0
    assert row["goodput_rps"] == 0


async def test_an_interruption_keeps_what_was_measured() -> None:
    stop = asyncio.Event()

    @contextmanager
    def stopping() -> Iterator[asyncio.Event]:
        yield stop

    async def script(call: Call) -> None:
        if call.number == PROBES + 14:  # the fifth request of the second rate
            stop.set()
            await asyncio.Event().wait()
        await answer(call)

    report = await run(script, LoadOptions(rates=(50, 50, 50)), stopping=stopping)
    assert report.interrupted
    first, second = report.rows
    assert first.figures.completed == 10
    # The one that was open and those that were not sent; the ones before may have ended or not.
    assert second.figures.interrupted >= 1
    assert second.figures.requests + second.figures.interrupted == 10
    assert second.figures.failed == {}
    assert report.sustained_rps == 50
    json.dumps(report.to_dict(), allow_nan=False)


async def test_recorded_traffic_is_played_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    lines = [
        {"offset_s": 5, "prompt": "first", "max_tokens": 7},
        {"offset_s": 5.05, "messages": [{"role": "user", "content": "two"}], "max_tokens": 8},
        {"offset_s": 5.1, "prompt": "third", "max_tokens": 9},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    seen: list[tuple[str, int]] = []

    async def script(call: Call) -> None:
        seen.append((call.body["messages"][0]["content"], call.body["max_tokens"]))
        await answer(call)

    report = await run(script, LoadOptions(), read_traffic(path))
    # After one request to try; on a busy machine they may arrive at once.
    assert sorted(seen[1:]) == [("first", 7), ("third", 9), ("two", 8)]
    found = report.to_dict()
    assert found["results"][0]["rate"] is None
    assert found["traffic"]["file"] == "day.jsonl"
    assert found["traffic"]["prompt_lengths_measured"] is None
    assert report.sustained_rps == pytest.approx(20)


async def test_an_endpoint_without_counts_is_measured_with_estimates() -> None:
    async def script(call: Call) -> None:
        await call.start()
        await call.give(piece("a"), piece("b"), DONE)
        await call.end()

    report = await run(script, LoadOptions(rates=(50,)))
    (row,) = report.to_dict()["results"]
    assert row["prompt_tokens_estimated"] == row["output_tokens_estimated"] == 10
    assert row["output_tokens"] == 20
    assert row["cached_share"] is None
    assert report.traffic["prompt_lengths_measured"] is False


async def test_an_endpoint_that_refuses_the_first_request_is_told() -> None:
    async def script(call: Call) -> None:
        await refuse(call, 401, "wrong key")

    with pytest.raises(EndpointUnusable, match="http_401: wrong key"):
        await run(script, LoadOptions(rates=(50,)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"rates": (0.0,)},
        {"rates": (float("nan"),)},
        {"rates": (1.0,) * 33},
        {"rates": (1.0,), "first_rate": 1.0},
        {"wanted_share": 0.0},
        {"timeout": 0.0},
        {"most_open": 0},
        {"warm_up": -1.0},
    ],
)
def test_options_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        LoadOptions(**wrong)
