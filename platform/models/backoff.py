"""How long to wait before a request is tried again.

What always holds: waits grow and are drawn at random over their whole range, so that callers who
failed together do not come back together; what the endpoint asked for is the least that is waited,
and where it asks for more than `most` nothing is waited at all: the caller hears it instead.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter over an exponentially growing range. Seconds.

    Attributes:
        first: range of the first wait; it doubles with each.
        most: longest wait.
        draw: a number within two bounds.
        pause: waits.
    """

    first: float = 0.5
    most: float = 30.0
    draw: Callable[[float, float], float] = random.uniform
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    def wait(self, failures: int, asked: float | None = None) -> float | None:
        """Seconds to wait after so many failures, at least one; None: give up.

        Args:
            asked: what the endpoint asked for.
        """
        if asked is not None and asked > self.most:
            return None
        # The exponent is bounded: no float is as large as 2 to the number of patient retries.
        drawn = self.draw(0.0, min(self.most, self.first * 2.0 ** min(failures - 1, 60)))
        return max(drawn, asked or 0.0)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that a response asks to wait (RFC 9110, 10.2.3); None where it says nothing usable.

    Some endpoints give milliseconds in `retry-after-ms` beside it; those are exact and win.
    """
    if (exact := _number(headers.get("retry-after-ms"))) is not None:
        return exact / 1000
    told = headers.get("retry-after")
    if told is None or (seconds := _number(told)) is not None:
        return seconds if told is not None else None
    try:
        when = parsedate_to_datetime(told)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    # Neither negative nor not a number.
    return number if 0 <= number < float("inf") else None
