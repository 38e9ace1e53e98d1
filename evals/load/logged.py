"""A load test as a run: each rate a task, each request a sample, to be shown, compared and gated.

What always holds: the run has the requests that the figures have, those of the warm-up and those
given up with the test left out. Requests of one moment wait in one queue and are no independent
samples, so they share a group: the test is cut into stretches of equal time, and intervals are
clustered by these.
"""

from datetime import UTC, datetime
from pathlib import Path

from evals.core import (
    Better,
    Dataset,
    Header,
    Measure,
    Outcome,
    RunFile,
    Sample,
    Score,
    State,
    TaskHeader,
    Usage,
    make_dataset,
)
from evals.load.records import RequestRecord
from evals.load.report import RateRow, ServingReport

_STRETCHES = 20
_MEASURES = [
    Measure("met targets", unit="share"),
    Measure("ttft ms", Better.LOWER),
    Measure("tpot ms", Better.LOWER),
    Measure("total ms", Better.LOWER),
    Measure("output tokens", Better.NEITHER),
]


def log_serving(path: Path, report: ServingReport, versions: dict[str, str]) -> int:
    """Writes a load test's run.

    Args:
        path: of the run's file, which is not there yet.
        versions: of the platform, for the header.

    Returns:
        How many requests are in it; none leaves no file.

    Raises:
        OSError: the file cannot be written.
    """
    rows = [(row, measured) for row in report.rows if (measured := _measured(row, report))]
    if not rows:
        return 0
    datasets = [_dataset(row, measured) for row, measured in rows]
    header = Header(
        id=path.stem,
        kind="serving",
        begun=datetime.now(UTC),
        seed=int(report.traffic.get("seed") or 0),
        tasks=[
            TaskHeader(
                dataset=dataset.name,
                solver=report.model,
                digest=dataset.digest,
                samples=len(dataset.samples),
                solver_config={"endpoint": report.endpoint, "traffic": report.traffic},
                scorers={"targets": report.targets.to_dict()},
                measures=_MEASURES,
            )
            for dataset in datasets
        ],
        versions=versions,
        device=report.device,
    )
    with RunFile(path, header) as file:
        for task, ((_, measured), dataset) in enumerate(zip(rows, datasets, strict=True)):
            for at, (record, sample) in enumerate(zip(measured, dataset.samples, strict=True)):
                file.append(_outcome(task, at, record, sample, report))
    return sum(len(measured) for _, measured in rows)


def _measured(row: RateRow, report: ServingReport) -> list[RequestRecord]:
    return [
        record
        for record in row.records
        if not record.interrupted and record.scheduled >= report.warm_up
    ]


def _dataset(row: RateRow, measured: list[RequestRecord]) -> Dataset:
    rate = row.figures.rate
    first, last = measured[0].scheduled, measured[-1].scheduled
    length = (last - first) / _STRETCHES or 1.0
    return make_dataset(
        "as recorded" if rate is None else f"{rate:.4g} requests/s",
        [
            Sample(
                id=str(number),
                input=f"due after {record.scheduled:.3f} s",
                group=f"stretch {min(_STRETCHES - 1, int((record.scheduled - first) / length))}",
            )
            for number, record in enumerate(measured, 1)
        ],
    )


def _outcome(
    task: int, at: int, record: RequestRecord, sample: Sample, report: ServingReport
) -> Outcome:
    estimated = record.prompt.estimated or record.output.estimated
    usage = Usage(
        record.prompt.tokens,
        record.output.tokens,
        record.cached_tokens or 0,
        estimated=estimated,
    )
    state = State(sample=sample, usage=usage)
    # A request without an answer has failed; it meets no target all the same.
    scores = [Score("met targets", float(report.targets.are_met(record)))]
    if record.completed:
        times = (("ttft ms", record.ttft), ("tpot ms", record.tpot), ("total ms", record.e2e))
        scores += [Score(name, 1000 * value) for name, value in times if value is not None]
        scores.append(Score("output tokens", float(record.output.tokens)))
    return Outcome(
        task=task,
        at=at,
        state=state,
        scores=scores,
        failed=record.failure or "",
        detail=record.words,
        seconds=record.e2e,
    )
