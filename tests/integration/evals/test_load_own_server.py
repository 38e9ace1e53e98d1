"""Our own server in a process of its own, measured over HTTP."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from evals.load.endpoint import random_endpoint
from evals.load.errors import EndpointUnusable
from evals.load.lengths import read_lengths
from evals.load.own_server import serve_model
from evals.load.run import LoadOptions, measure_serving
from evals.load.synthetic import SyntheticTraffic

PROMPT_TOKENS = 80
TRAFFIC = SyntheticTraffic(
    seconds=1.0,
    prompt_tokens=read_lengths(str(PROMPT_TOKENS)),
    output_tokens=read_lengths("3"),
    process="constant",
    sessions=1,
    shared_tokens=48,
)


@contextmanager
def never() -> Iterator[asyncio.Event]:
    """Nobody ends the test."""
    yield asyncio.Event()


@pytest.mark.slow
async def test_our_own_server_with_a_random_model() -> None:
    async with random_endpoint(ignore_eos=True) as endpoint:
        report = await measure_serving(
            endpoint,
            TRAFFIC,
            LoadOptions(rates=(4,), warm_up=0.1),
            stopping=never,
        )
    found = report.to_dict()
    (row,) = found["results"]
    assert (row["requests"], row["completed"]) == (3, 3)
    assert row["output_tokens"] == 9  # exactly as many as were asked for
    assert row["output_tokens_estimated"] == 0
    assert abs(row["prompt_tokens"] - 3 * PROMPT_TOKENS) < 60
    assert row["cached_share"] > 0
    assert found["endpoint"] == "own server, random weights"
    assert "random weights" in found["notes"][0]
    with pytest.raises(EndpointUnusable, match="no_connection"):
        await measure_serving(endpoint, TRAFFIC, LoadOptions(rates=(1,)), stopping=never)


async def test_a_server_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROSTRA_MAX_RUNNING", "many")
    with pytest.raises(EndpointUnusable, match="max_running"):
        async with serve_model("anything"):
            pass
