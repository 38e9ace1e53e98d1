"""What users may expect of an answer: the limits that goodput counts by."""

from dataclasses import asdict, dataclass
from typing import Any

from evals.load.records import RequestRecord


@dataclass(frozen=True, slots=True)
class LoadTargets:
    """Limits in milliseconds; None is no limit.

    Attributes:
        ttft_ms: to the first text.
        tpot_ms: mean between tokens after the first.
        e2e_ms: to the end.
    """

    ttft_ms: float | None = None
    tpot_ms: float | None = None
    e2e_ms: float | None = None

    def are_met(self, record: RequestRecord) -> bool:
        """Whether a request has its whole answer within all limits.

        An answer of a single token has no time between tokens, and so keeps to that limit.
        """
        if not record.completed:
            return False
        times = (
            (record.ttft, self.ttft_ms),
            (record.tpot, self.tpot_ms),
            (record.e2e, self.e2e_ms),
        )
        return all(
            limit is None or seconds is None or seconds * 1000 <= limit for seconds, limit in times
        )

    def to_dict(self) -> dict[str, Any]:
        """As the report tells them."""
        return asdict(self)
