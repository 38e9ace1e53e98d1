"""What a load test found, for people and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evals.load.measures import RateFigures
from evals.load.prices import LoadPrices
from evals.load.records import RequestRecord
from evals.load.sweep import Tried, sustained_rate
from evals.load.targets import LoadTargets

# Beyond both, the generator's own lateness shows in what it measures.
_LATE_MS = 5.0
_LATE_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class RateRow:
    """The figures of a rate and what it took.

    Attributes:
        joules: over the same time as the figures; None where nothing tells.
        records: of all its requests, in the order in which they were due.
    """

    figures: RateFigures
    joules: float | None
    prices: LoadPrices
    records: Sequence[RequestRecord] = ()

    @property
    def joules_per_thousand(self) -> float | None:
        """Of a thousand answers."""
        if self.joules is None or not self.figures.completed:
            return None
        return 1000 * self.joules / self.figures.completed

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return self.figures.to_dict() | {
            "energy_j": self.joules,
            "energy_j_per_1000_answers": self.joules_per_thousand,
            "cost_per_1000_answers": self.prices.per_thousand(self.figures),
        }


@dataclass(frozen=True, slots=True)
class ServingReport:
    """All rates of a load test.

    Attributes:
        wanted_share: of requests that meet the targets, for a rate to hold.
        warm_up: seconds at the start of each rate that are in no figure.
        timeout: seconds after which a request has failed.
        level: of the confidence intervals.
        notes: what a reader has to know.
        interrupted: the test was ended before its time.
    """

    rows: Sequence[RateRow]
    targets: LoadTargets
    wanted_share: float
    warm_up: float
    timeout: float
    level: float
    traffic: dict[str, Any]
    model: str
    endpoint: str
    device: str
    energy: dict[str, Any]
    prices: LoadPrices
    notes: tuple[str, ...]
    interrupted: bool

    @property
    def sustained_rps(self) -> float | None:
        """The highest rate that held, below all that did not; None if none did.

        Traffic as it was recorded counts with the rate that it had. A rate that was interrupted
        does not count.
        """
        tried = [
            Tried(rate, row.figures.goodput_share)
            for row in self.rows
            if (rate := row.figures.rate or row.figures.offered_rps) is not None
            and not row.figures.interrupted
        ]
        return sustained_rate(tried, self.wanted_share)

    @property
    def sustained_shown(self) -> bool | None:
        """Whether the interval of its share, too, is above what is wanted; None if none held."""
        held = self.sustained_rps
        for row in self.rows:
            if held is not None and (row.figures.rate or row.figures.offered_rps) == held:
                ends = row.figures.goodput_interval
                return ends is not None and ends.low >= self.wanted_share
        return None

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "results": [row.to_dict() for row in self.rows],
            "sustained_rps": self.sustained_rps,
            "sustained_shown": self.sustained_shown,
            "wanted_share": self.wanted_share,
            "targets": self.targets.to_dict(),
            "traffic": self.traffic,
            "warm_up_s": self.warm_up,
            "timeout_s": self.timeout,
            "interval_level": self.level,
            "model": self.model,
            "endpoint": self.endpoint,
            "device": self.device,
            "energy": self.energy,
            "prices": self.prices.to_dict(),
            "notes": list(self.notes),
            "interrupted": self.interrupted,
        }


def late_notes(rows: Sequence[RateRow]) -> list[str]:
    """Where the generator itself was too slow, which makes latencies look worse than they are."""
    late = [
        (_rate_name(row.figures), delay)
        for row in rows
        if (delay := row.figures.send_delay_ms.values[99]) is not None
        and _shows(delay, row.figures.ttft_ms.values[50])
    ]
    if not late:
        return []
    worst = max(delay for _, delay in late)
    return [
        f"{', '.join(name for name, _ in late)}: a part of the latencies is the generator's, which "
        f"sent late (p99 up to {worst:.1f} ms); give it a machine of its own"
    ]


def few_notes(rows: Sequence[RateRow]) -> list[str]:
    """Where there were too few answers for a percentile, which is about the slowest one then."""
    notes = []
    for percent in (95, 99):
        few = [
            f"{_rate_name(row.figures)} ({row.figures.e2e_ms.count})"
            for row in rows
            if (intervals := row.figures.e2e_ms.intervals) is not None
            and row.figures.e2e_ms.count
            and intervals[percent] is None
        ]
        if few:
            notes.append(
                f"too few answers to tell p{percent}, which is about the slowest one of them: "
                + ", ".join(few)
            )
    return notes


def _shows(delay: float, ttft: float | None) -> bool:
    return delay >= _LATE_MS and (ttft is None or delay > _LATE_SHARE * ttft)


def _rate_name(figures: RateFigures) -> str:
    return "as recorded" if figures.rate is None else f"{figures.rate:.4g}/s"
