"""Figures from recorded times, against values worked out by hand."""

import json
import math
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.load.measures import RateFigures, measure
from evals.load.prices import LoadPrices
from evals.load.records import RequestRecord, TokenCount
from evals.load.report import RateRow, ServingReport, few_notes, late_notes
from evals.load.targets import LoadTargets
from rostra.core import InvalidRequest

NO_TARGETS = LoadTargets()


def answer(
    due: float,
    *pieces: float,
    sent: float | None = None,
    ended: float | None = None,
    tokens: int | None = None,
    **more: Any,
) -> RequestRecord:
    """A whole answer whose pieces came at these times."""
    return RequestRecord(
        scheduled=due,
        sent=due if sent is None else sent,
        ended=pieces[-1] if ended is None else ended,
        pieces=array("d", pieces),
        prompt=more.pop("prompt", TokenCount(10)),
        output=TokenCount(len(pieces) if tokens is None else tokens),
        **more,
    )


def failure(due: float, ended: float, reason: str, words: str = "") -> RequestRecord:
    return RequestRecord(due, due, ended, failure=reason, words=words)


# Due at 0, 1, 2, 3; the warm-up ends at 1, the last answer at 11.
HAND_WORKED = (
    answer(0.0, 9.0, 9.5),
    answer(1.0, 1.5, 1.75, 2.0, sent=1.25, ended=2.5, tokens=5),
    answer(2.0, 4.0, ended=4.0),
    answer(3.0, 4.0, 11.0, ended=11.0),
    failure(3.5, 3.75, "shed_429", "slow down"),
)


def test_times_of_one_request() -> None:
    found = HAND_WORKED[1]
    assert found.ttft == 0.5  # from when it was due, not from when it was sent
    assert found.send_delay == 0.25
    assert found.tpot == 0.125  # half a second for the four tokens after the first
    assert found.e2e == 1.5
    assert HAND_WORKED[2].tpot is None


def test_figures_worked_out_by_hand() -> None:
    targets = LoadTargets(ttft_ms=1000, tpot_ms=200)
    found = measure(HAND_WORKED, rate=1.0, warm_up=1.0, targets=targets)
    assert (found.requests, found.completed, found.warm_up) == (4, 3, 1)
    assert found.failed == {"shed_429": 1}
    assert found.failure_words == {"shed_429": "slow down"}
    assert found.seconds == 10
    assert found.throughput_rps == 0.3
    assert found.output_tokens == 5 + 1 + 2
    assert found.output_tok_s == 0.8
    assert found.offered_rps == pytest.approx(3 / 2.5)
    # TTFT 500, 2000, 1000; TPOT 125 and 7000; only the first request is within both.
    assert found.ttft_ms.values[50] == 1000
    assert found.ttft_ms.most == 2000
    assert found.ttft_ms.mean == pytest.approx(3500 / 3)
    assert found.tpot_ms.count == 2
    assert found.e2e_ms.values[50] == 2000
    assert found.send_delay_ms.most == 250
    assert found.goodput_share == 0.25
    assert found.goodput_rps == 0.1


@pytest.mark.parametrize(
    ("targets", "share"),
    [
        (NO_TARGETS, 0.75),
        (LoadTargets(ttft_ms=2000), 0.75),
        (LoadTargets(ttft_ms=1999), 0.5),
        (LoadTargets(tpot_ms=125), 0.5),  # one token has no time between tokens
        (LoadTargets(e2e_ms=2000), 0.5),
        (LoadTargets(ttft_ms=600, e2e_ms=1499), 0.0),
    ],
)
def test_goodput_counts_requests_within_all_limits(targets: LoadTargets, share: float) -> None:
    found = measure(HAND_WORKED, rate=1.0, warm_up=1.0, targets=targets)
    assert found.goodput_share == share
    assert found.goodput_rps == pytest.approx(share * 4 / 10)


def test_percentiles_and_their_intervals() -> None:
    # 1 to 1000 ms. The true p50 lies between order statistics 469 and 532 (Hahn and Meeker).
    records = [answer(0.0, number / 1000) for number in range(1, 1001)]
    found = measure(records, rate=1.0, warm_up=0.0, targets=NO_TARGETS).ttft_ms.to_dict()
    assert found["p50"] == pytest.approx(500.5)
    assert found["p95"] == pytest.approx(950.05)
    assert found["p99"] == pytest.approx(990.01)
    assert found["n"] == 1000
    low, high = found["intervals"]["p50"]
    assert (low, high) == (pytest.approx(469, abs=1), pytest.approx(532, abs=1))
    assert found["intervals"]["p99"][0] < 990.01 < found["intervals"]["p99"][1]


def test_too_few_requests_have_no_interval() -> None:
    records = [answer(0.0, number / 10) for number in range(1, 6)]
    found = measure(records, rate=1.0, warm_up=0.0, targets=NO_TARGETS).ttft_ms.to_dict()
    assert found["intervals"] == {"p50": None, "p95": None, "p99": None}


def test_gaps_between_pieces_have_no_interval_since_they_are_not_independent() -> None:
    found = measure([answer(0.0, 1.0, 1.5, 3.0)], rate=1.0, warm_up=0.0, targets=NO_TARGETS)
    assert found.itl_ms.to_dict() == {
        "p50": 1000.0, "p95": pytest.approx(1450), "p99": pytest.approx(1490), "mean": 1000.0,
        "max": 1500.0, "n": 2,
    }  # fmt: skip


def test_estimates_and_cached_tokens_are_told() -> None:
    records = [
        answer(0.0, 1.0, prompt=TokenCount(100), cached_tokens=80),
        answer(0.0, 1.0, prompt=TokenCount(100), cached_tokens=0),
        answer(0.0, 1.0, prompt=TokenCount(7, estimated=True)),
    ]
    found = measure(records, rate=1.0, warm_up=0.0, targets=NO_TARGETS)
    assert (found.prompt_tokens, found.prompt_estimated, found.output_estimated) == (207, 1, 0)
    assert found.cached_share == 0.4
    assert measure(records[2:], rate=1.0, warm_up=0, targets=NO_TARGETS).cached_share is None


def test_interrupted_requests_are_in_no_figure() -> None:
    given_up = RequestRecord(2.0, None, 99.0, interrupted=True)
    found = measure([*HAND_WORKED, given_up], rate=1.0, warm_up=1.0, targets=NO_TARGETS)
    assert found.interrupted == 1
    without = measure(HAND_WORKED, rate=1.0, warm_up=1.0, targets=NO_TARGETS)
    assert found.to_dict() | {"interrupted": 0} == without.to_dict()


@pytest.mark.parametrize("records", [[], [answer(0.0, 1.0)], [failure(5.0, 5.0, "http_500")]])
def test_nothing_measured_is_null_and_never_nan(records: list[RequestRecord]) -> None:
    found = measure(records, rate=None, warm_up=2.0, targets=NO_TARGETS)
    told = found.to_dict()
    assert told["ttft_ms"]["p99"] is None
    assert told["goodput_share"] == (0.0 if records and records[0].failure else None)
    json.dumps(told, allow_nan=False)


def test_a_time_that_no_clock_measures_has_no_rate() -> None:
    found = measure([answer(0.0, 1e-310)], rate=None, warm_up=0.0, targets=NO_TARGETS)
    assert found.throughput_rps is None
    json.dumps(found.to_dict(), allow_nan=False)


times = st.floats(0, 100)


@given(
    st.lists(
        st.one_of(
            st.builds(
                lambda due, later, tokens: answer(due, *(due + t for t in later), tokens=tokens),
                times,
                st.lists(times, min_size=1, max_size=5).map(sorted),
                st.integers(0, 9),
            ),
            st.builds(
                lambda due, later, why: failure(due, due + later, why),
                times,
                times,
                st.sampled_from(["timeout", "shed_503"]),
            ),
        ),
        max_size=30,
    ),
    st.floats(0, 100),
)
def test_what_always_holds(records: list[RequestRecord], warm_up: float) -> None:
    records.sort(key=lambda record: record.scheduled)
    targets = LoadTargets(ttft_ms=20_000, tpot_ms=5_000)
    found = measure(records, rate=1.0, warm_up=warm_up, targets=targets)
    assert found.requests + found.warm_up == len(records)
    assert found.completed + sum(found.failed.values()) == found.requests
    if found.goodput_rps is not None and found.throughput_rps is not None:
        assert found.goodput_rps <= found.throughput_rps
    if found.goodput_share is not None:
        assert found.goodput_share * found.requests <= found.completed + 1e-9
    for told in (found.ttft_ms, found.e2e_ms, found.itl_ms):
        values = [value for value in told.values.values() if value is not None]
        assert values == sorted(values)
        assert all(math.isfinite(value) for value in values)
    json.dumps(found.to_dict(), allow_nan=False)


def figures(rate: float | None, share: float, **changed: Any) -> RateFigures:
    good = round(10 * share)
    records = [answer(float(i), i + 0.5) for i in range(good)]
    records += [failure(float(i), i + 1.0, "timeout") for i in range(good, 10)]
    return measure(records, rate=rate, warm_up=0.0, targets=NO_TARGETS, **changed)


def report(*rows: RateRow) -> ServingReport:
    return ServingReport(
        rows, NO_TARGETS, 0.9, 0.0, 1.0, 0.95, {}, "m", "e", "d", {}, LoadPrices(), (), False
    )


def test_the_report_names_the_highest_rate_that_held() -> None:
    rows = [RateRow(figures(r, s), None, LoadPrices()) for r, s in ((1, 1), (2, 0.9), (4, 0.8))]
    assert report(*rows).sustained_rps == 2
    assert report(rows[2]).sustained_rps is None
    as_recorded = figures(None, 1)
    assert report(RateRow(as_recorded, None, LoadPrices())).sustained_rps == 1.0
    json.dumps(report(*rows).to_dict(), allow_nan=False)


def test_few_requests_show_little() -> None:
    def row(rate: float, count: int) -> RateRow:
        records = [answer(float(i), i + 0.5) for i in range(count)]
        found = measure(records, rate=rate, warm_up=0.0, targets=NO_TARGETS)
        return RateRow(found, None, LoadPrices())

    few, some, many = row(1, 10), row(2, 100), row(4, 400)
    assert report(few).sustained_rps == 1
    assert report(few).sustained_shown is False
    assert report(few, some).sustained_shown is True
    assert report().sustained_shown is None
    p95, p99 = few_notes([few, some, many])
    assert "p95" in p95
    assert p95.endswith("1/s (10)")
    assert p99.endswith("1/s (10), 2/s (100)")


def test_a_generator_that_was_late_says_so() -> None:
    def row(rate: float | None, delay: float, ttft: float) -> RateRow:
        records = [answer(float(i), i + ttft, sent=i + delay) for i in range(20)]
        found = measure(records, rate=rate, warm_up=0.0, targets=NO_TARGETS)
        return RateRow(found, None, LoadPrices())

    assert late_notes([]) == []
    # Too little to matter, and little beside the answer's own time.
    assert late_notes([row(1, 0.004, 0.01), row(2, 0.09, 1.0)]) == []
    (note,) = late_notes([row(1, 0.006, 0.05), row(2, 0.0, 0.05), row(None, 0.25, 1.0)])
    assert note.startswith("1/s, as recorded: ")
    assert "up to 250.0 ms" in note


def test_energy_and_cost_of_a_thousand_answers() -> None:
    found = figures(1.0, 0.5)  # five answers of one token, ten tokens of prompt each, in 10 s
    row = RateRow(found, 40.0, LoadPrices(per_hour=36.0)).to_dict()
    assert row["energy_j_per_1000_answers"] == 8000
    assert row["cost_per_1000_answers"] == pytest.approx(1000 * 36 * 10 / 3600 / 5)
    by_token = RateRow(found, None, LoadPrices(prompt=2.0, output=30.0)).to_dict()
    assert by_token["energy_j_per_1000_answers"] is None
    assert by_token["cost_per_1000_answers"] == pytest.approx(1000 * (50 * 2 + 5 * 30) / 1e6 / 5)
    assert RateRow(found, 1.0, LoadPrices()).to_dict()["cost_per_1000_answers"] is None
    none = RateRow(figures(1.0, 0.0), 1.0, LoadPrices(per_hour=1.0)).to_dict()
    assert none["cost_per_1000_answers"] is None
    assert none["energy_j_per_1000_answers"] is None


@pytest.mark.parametrize(
    "prices", [{"per_hour": -1.0}, {"per_hour": 1.0, "prompt": 1.0}, {"output": -0.1}]
)
def test_prices_that_contradict_are_refused(prices: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest):
        LoadPrices(**prices)
