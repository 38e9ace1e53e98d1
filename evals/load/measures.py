"""From the records of one rate to its figures; a pure function of recorded times.

What always holds: requests that were scheduled within the warm-up, or given up because the run was
ended, are in no figure but their own counts; every other request of the plan counts, so that a
failed one lowers goodput and never improves a latency by its absence unseen; nothing is NaN.

Rates are per second of the time from the end of the warm-up to the end of the last answer.
Latencies count from when a request was due; see `RequestRecord.ttft`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evals.load.records import RequestRecord
from evals.load.targets import LoadTargets
from evals.statistics import Interval, percentile_estimate, proportion_estimate

PERCENTS = (50, 95, 99)
_CLOCK_SECONDS = 1e-9  # what a clock tells from nothing


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of one kind of time, in milliseconds.

    Attributes:
        values: p50, p95 and p99, by their percent.
        intervals: confidence intervals of these, each None where there are too few requests for
            one; None for times that depend on each other.
        count: times measured.
    """

    values: dict[int, float | None]
    intervals: dict[int, Interval | None] | None
    mean: float | None
    most: float | None
    count: int

    def to_dict(self) -> dict[str, Any]:
        """`p50`, `p95`, `p99`, and their intervals as pairs."""
        told: dict[str, Any] = {f"p{p}": _rounded(value) for p, value in self.values.items()}
        if self.intervals is not None:
            told["intervals"] = {f"p{p}": _pair(found) for p, found in self.intervals.items()}
        return told | {"mean": _rounded(self.mean), "max": _rounded(self.most), "n": self.count}


@dataclass(frozen=True, slots=True)
class RateFigures:
    """What one rate came to.

    Attributes:
        rate: asked for, in requests per second; None for traffic as it was recorded.
        requests: due after the warm-up, in the figures.
        warm_up: requests due before, in none.
        interrupted: requests given up with the run, in none.
        seconds: from the end of the warm-up to the end of the last answer.
        offered_rps: at which requests were due, over the time they were due in; None for one.
        failed: requests without a whole answer, by reason.
        failure_words: of each reason the first.
        output_estimated, prompt_estimated: answers whose tokens the endpoint did not tell.
        cached_share: of the prompts' tokens, that the endpoint had cached; None where not told.
        goodput_share: requests that met the targets, of all; None without requests.
    """

    rate: float | None
    requests: int
    completed: int
    warm_up: int
    interrupted: int
    seconds: float
    offered_rps: float | None
    failed: dict[str, int]
    failure_words: dict[str, str]
    throughput_rps: float | None
    prompt_tokens: int
    output_tokens: int
    prompt_estimated: int
    output_estimated: int
    cached_share: float | None
    output_tok_s: float | None
    ttft_ms: Percentiles
    tpot_ms: Percentiles
    itl_ms: Percentiles
    e2e_ms: Percentiles
    send_delay_ms: Percentiles
    goodput_rps: float | None
    goodput_share: float | None
    goodput_interval: Interval | None

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "rate": self.rate,
            "requests": self.requests,
            "completed": self.completed,
            "failed": self.failed,
            "failure_words": self.failure_words,
            "warm_up_requests": self.warm_up,
            "interrupted": self.interrupted,
            "seconds": _rounded(self.seconds),
            "offered_rps": _rounded(self.offered_rps),
            "throughput_rps": _rounded(self.throughput_rps),
            "output_tok_s": _rounded(self.output_tok_s),
            "prompt_tokens": self.prompt_tokens,
            "output_tokens": self.output_tokens,
            "prompt_tokens_estimated": self.prompt_estimated,
            "output_tokens_estimated": self.output_estimated,
            "cached_share": _rounded(self.cached_share),
            "ttft_ms": self.ttft_ms.to_dict(),
            "tpot_ms": self.tpot_ms.to_dict(),
            "itl_ms": self.itl_ms.to_dict(),
            "e2e_ms": self.e2e_ms.to_dict(),
            "send_delay_ms": self.send_delay_ms.to_dict(),
            "goodput_rps": _rounded(self.goodput_rps),
            "goodput_share": _rounded(self.goodput_share),
            "goodput_share_interval": _pair(self.goodput_interval),
        }


def measure(
    records: Sequence[RequestRecord],
    *,
    rate: float | None,
    warm_up: float,
    targets: LoadTargets,
    level: float = 0.95,
) -> RateFigures:
    """The figures of one rate.

    Args:
        records: of all requests of its plan.
        warm_up: requests due before this time are left out.
        level: of the confidence intervals.
    """
    ran = [record for record in records if not record.interrupted]
    measured = [record for record in ran if record.scheduled >= warm_up]
    completed = [record for record in measured if record.completed]
    good = sum(targets.are_met(record) for record in measured)
    failed = Counter(record.failure for record in measured if record.failure is not None)
    words: dict[str, str] = {}
    for record in measured:
        if record.failure is not None:
            words.setdefault(record.failure, record.words)
    seconds = max((record.ended for record in measured), default=warm_up) - warm_up
    output = sum(record.output.tokens for record in completed)
    share = proportion_estimate([*_marks(good, len(measured))], level=level) if measured else None
    return RateFigures(
        rate=rate,
        requests=len(measured),
        completed=len(completed),
        warm_up=len(ran) - len(measured),
        interrupted=len(records) - len(ran),
        seconds=seconds,
        offered_rps=_offered(measured),
        failed=dict(failed.most_common()),
        failure_words=words,
        throughput_rps=_per(len(completed), seconds),
        prompt_tokens=sum(record.prompt.tokens for record in completed),
        output_tokens=output,
        prompt_estimated=sum(record.prompt.estimated for record in completed),
        output_estimated=sum(record.output.estimated for record in completed),
        cached_share=_cached_share(completed),
        output_tok_s=_per(output, seconds),
        ttft_ms=_percentiles((record.ttft for record in completed), level),
        tpot_ms=_percentiles((record.tpot for record in completed), level),
        itl_ms=_gaps(completed),
        e2e_ms=_percentiles((record.e2e for record in completed), level),
        send_delay_ms=_percentiles((record.send_delay for record in measured), level),
        goodput_rps=_per(good, seconds),
        goodput_share=None if share is None else share.mean,
        goodput_interval=None if share is None else share.interval,
    )


def _percentiles(seconds: Iterable[float | None], level: float) -> Percentiles:
    """Of the times that there are, in milliseconds."""
    times = [1000 * value for value in seconds if value is not None]
    if not times:
        return Percentiles(dict.fromkeys(PERCENTS), dict.fromkeys(PERCENTS), None, None, 0)
    found = {p: percentile_estimate(times, p, level=level) for p in PERCENTS}
    return Percentiles(
        values={p: estimate.mean for p, estimate in found.items()},
        intervals={p: estimate.interval for p, estimate in found.items()},
        mean=sum(times) / len(times),
        most=max(times),
        count=len(times),
    )


def _gaps(completed: Sequence[RequestRecord]) -> Percentiles:
    """Of the times between pieces of text, in milliseconds, of all answers together.

    Without intervals, which would take the gaps of one answer for independent.
    """
    gaps = [np.diff(record.pieces) for record in completed if len(record.pieces) > 1]
    if not gaps:
        return Percentiles(dict.fromkeys(PERCENTS), None, None, None, 0)
    times = 1000 * np.concatenate(gaps)
    found = np.percentile(times, PERCENTS).tolist()
    return Percentiles(
        values=dict(zip(PERCENTS, found, strict=True)),
        intervals=None,
        mean=float(times.mean()),
        most=float(times.max()),
        count=times.size,
    )


def _marks(good: int, of: int) -> Iterable[int]:
    return (int(number < good) for number in range(of))


def _offered(measured: Sequence[RequestRecord]) -> float | None:
    if len(measured) < 2:
        return None
    return _per(len(measured) - 1, measured[-1].scheduled - measured[0].scheduled)


def _cached_share(completed: Sequence[RequestRecord]) -> float | None:
    """Over the answers whose endpoint told of both counts."""
    told = [
        (record.cached_tokens, record.prompt.tokens)
        for record in completed
        if record.cached_tokens is not None and not record.prompt.estimated
    ]
    prompts = sum(prompt for _, prompt in told)
    return sum(cached for cached, _ in told) / prompts if prompts else None


def _per(count: float, seconds: float) -> float | None:
    """A rate; None over a time that no clock tells from nothing."""
    return count / seconds if seconds >= _CLOCK_SECONDS else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _pair(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [round(interval.low, 4), round(interval.high, 4)]
