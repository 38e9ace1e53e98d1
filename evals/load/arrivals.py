"""When requests arrive: renewal processes of a given rate.

What always holds: times ascend, begin at or after 0 and end before the given time; the mean gap is
one over the rate, whatever the process.
"""

from random import Random
from typing import Literal

from evals.load.errors import InvalidTraffic
from evals.load.plan import MAX_REQUESTS

Process = Literal["poisson", "gamma", "constant"]


def arrival_times(
    process: Process, rate: float, seconds: float, random: Random, *, burstiness: float = 1.0
) -> list[float]:
    """Seconds after the start.

    Args:
        process: `poisson` draws gaps from an exponential distribution, `gamma` from a gamma
            distribution of shape `burstiness`: 1 is Poisson, less is more bursty, more is more
            regular. `constant` has equal gaps, the first arrival at 0.
        rate: requests per second.

    Raises:
        InvalidTraffic: more than `MAX_REQUESTS` are to be expected.
    """
    if rate * seconds > MAX_REQUESTS:
        raise InvalidTraffic(
            f"{rate:g} requests a second for {seconds:g} s are more than {MAX_REQUESTS:,}",
            hint="Shorten the duration, or lower the rate.",
        )
    if process == "constant":
        count = round(rate * seconds)
        return [at for number in range(count) if (at := number / rate) < seconds]
    shape = 1.0 if process == "poisson" else burstiness
    times: list[float] = []
    at = random.gammavariate(shape, 1 / (rate * shape))
    while at < seconds and len(times) < MAX_REQUESTS:
        times.append(at)
        at += random.gammavariate(shape, 1 / (rate * shape))
    return times
