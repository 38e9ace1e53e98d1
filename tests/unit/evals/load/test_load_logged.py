"""A load test's run: the same requests as in its figures, to be compared like any other run."""

from array import array
from pathlib import Path

import pytest

from evals import compare_runs, log_serving, read_run, report_of
from evals.load.measures import measure
from evals.load.prices import LoadPrices
from evals.load.records import TIMEOUT, RequestRecord, TokenCount
from evals.load.report import RateRow, ServingReport
from evals.load.targets import LoadTargets

TARGETS = LoadTargets(ttft_ms=250.0)


def record(at: float, ttft: float, *, failure: str | None = None) -> RequestRecord:
    if failure is not None:
        return RequestRecord(at, at, at + 9, failure=failure, words="9 s")
    pieces = array("d", [at + ttft, at + ttft + 0.1, at + ttft + 0.2])
    return RequestRecord(at, at, at + 1, pieces, TokenCount(10), TokenCount(3))


def report(rows: dict[float, list[RequestRecord]], warm_up: float = 1.0) -> ServingReport:
    return ServingReport(
        rows=[
            RateRow(
                measure(records, rate=rate, warm_up=warm_up, targets=TARGETS, level=0.95),
                None,
                LoadPrices(),
                records,
            )
            for rate, records in rows.items()
        ],
        targets=TARGETS,
        wanted_share=0.9,
        warm_up=warm_up,
        timeout=9.0,
        level=0.95,
        traffic={"seed": 3},
        model="m",
        endpoint="http://x",
        device="d",
        energy={},
        prices=LoadPrices(),
        notes=(),
        interrupted=False,
    )


def test_the_run_has_what_the_figures_have(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    records = [record(at / 2, 0.1 if at % 4 else 0.4) for at in range(40)]
    records[9] = record(4.5, 0, failure=TIMEOUT)
    made = report({2.0: records})
    assert log_serving(path, made, {"rostra": "1"}) == 38
    found = read_run(path)
    assert found.is_complete
    (task,) = report_of(found).tasks
    assert task.header.name == "2 requests/s/m"
    assert task.failed == {TIMEOUT: 1}
    values = {one.measure.name: one.estimate for one in task.measures}
    figures = made.rows[0].figures
    met, ttft = values["met targets"], values["ttft ms"]
    assert met is not None
    assert ttft is not None
    assert met.mean == pytest.approx(figures.goodput_share)
    assert (met.n, ttft.n) == (38, 37)
    assert ttft.mean == pytest.approx((28 * 100 + 9 * 400) / 37)
    assert 10 < met.clusters <= 20


def test_two_tests_of_the_same_traffic_are_compared_request_by_request(tmp_path: Path) -> None:
    for name, slower in (("a", 0.0), ("b", 0.2)):
        rows = {4.0: [record(at / 4, 0.1 + slower) for at in range(80)]}
        log_serving(tmp_path / f"{name}.jsonl", report(rows), {})
    found = compare_runs(read_run(tmp_path / "a.jsonl"), read_run(tmp_path / "b.jsonl"))
    verdicts = {one.measure.name: one.verdict(0.05) for one in found}
    assert verdicts["ttft ms"] == "worse"
    assert verdicts["met targets"] == "worse"
    assert verdicts["output tokens"] == "-"


def test_a_test_without_requests_leaves_no_file(tmp_path: Path) -> None:
    assert log_serving(tmp_path / "run.jsonl", report({1.0: [record(0.5, 0.1)]}), {}) == 0
    assert not (tmp_path / "run.jsonl").exists()
