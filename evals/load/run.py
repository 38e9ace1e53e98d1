"""A load test: one rate after the other against one endpoint.

What always holds: a rate begins when every request of the one before has ended; what was measured
before an interruption, or before a rate that cannot be had, is reported.
"""

import asyncio
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field

from evals.device import describe_device
from evals.load.client import LoadClient
from evals.load.clock import Clock, LoopClock
from evals.load.endpoint import LoadEndpoint
from evals.load.energy import EnergyMeter, find_sources
from evals.load.errors import InvalidTraffic
from evals.load.generator import play
from evals.load.measures import measure
from evals.load.plan import TokenRuler, Traffic
from evals.load.prices import LoadPrices
from evals.load.probe import measure_ruler, try_endpoint
from evals.load.report import RateRow, ServingReport, few_notes, late_notes
from evals.load.sweep import MAX_RATES, Tried, next_rate
from evals.load.targets import LoadTargets
from rostra.core import InvalidRequest

# A first answer may have to wait for its model to load.
_PROBE_SECONDS = 600.0
# Open files that a process needs beside its connections.
_OTHER_FILES = 128
_NOT_HERE = "not told: the endpoint runs elsewhere"


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """How far a rate is, in requests."""

    rate: float | None
    planned: int
    sent: int
    ended: int
    failed: int


OnProgress = Callable[[LoadProgress], None]


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a load test is run.

    Attributes:
        rates: requests per second, one after the other; empty for traffic with a rate of its own.
        first_rate: instead of `rates`, begin with this and search for the highest that holds.
        wanted_share: of requests that meet the targets, for a rate to hold.
        warm_up: seconds at the start of each rate that are in no figure.
        timeout: seconds after which a request has failed.
        most_open: requests without an end at the same time; more are not sent, and fail.
        level: of the confidence intervals.

    Raises:
        InvalidRequest: there are both kinds of rates or too many, or a number is out of range.
    """

    rates: tuple[float, ...] = ()
    first_rate: float | None = None
    targets: LoadTargets = field(default_factory=LoadTargets)
    wanted_share: float = 0.9
    warm_up: float = 0.0
    timeout: float = 120.0
    most_open: int = 2000
    level: float = 0.95
    prices: LoadPrices = field(default_factory=LoadPrices)

    def __post_init__(self) -> None:
        rates = (*self.rates, *([] if self.first_rate is None else [self.first_rate]))
        if self.rates and self.first_rate is not None:
            raise InvalidRequest("rates are either given or searched for")
        if len(self.rates) > MAX_RATES:
            raise InvalidRequest(f"more than {MAX_RATES} rates")
        if not all(0 < rate < float("inf") for rate in rates):
            raise InvalidRequest("a rate is above 0")
        if not (0 < self.wanted_share <= 1 and 0 < self.level < 1):
            raise InvalidRequest("shares and levels are between 0 and 1")
        if self.warm_up < 0 or self.timeout <= 0 or self.most_open < 1:
            raise InvalidRequest("warm-up, timeout and open requests must be above 0")


async def measure_serving(
    endpoint: LoadEndpoint,
    traffic: Traffic,
    options: LoadOptions,
    *,
    stopping: Callable[[], AbstractContextManager[asyncio.Event]],
    on_progress: OnProgress = lambda progress: None,
) -> ServingReport:
    """Runs a load test.

    Args:
        stopping: entered when requests begin to be sent; the event that it gives ends the test.
        on_progress: told after each request that was sent or has ended.

    Raises:
        EndpointUnusable: the endpoint does not answer a lone request.
        InvalidTraffic: the traffic has no such rate, or no request after the warm-up.
    """
    async with endpoint.client(_PROBE_SECONDS) as first:
        ruler = await _ruler(first, traffic)
    meter = await _meter(endpoint)
    test = _Test(traffic, options, ruler, meter, on_progress)
    async with endpoint.client(options.timeout) as client, meter.running():
        with stopping() as stop:
            await test.run(client, stop)
            interrupted = stop.is_set()
    if not interrupted and not any(row.figures.requests for row in test.rows):
        raise InvalidTraffic(
            f"no request was due after the warm-up of {options.warm_up:g} s",
            hint="Shorten the warm-up, or send more requests.",
        )
    return ServingReport(
        rows=test.rows,
        targets=options.targets,
        wanted_share=options.wanted_share,
        warm_up=options.warm_up,
        timeout=options.timeout,
        level=options.level,
        traffic=traffic.to_dict() | {"prompt_lengths_measured": _measured(traffic, ruler)},
        model=endpoint.shown_model,
        endpoint=endpoint.kind if endpoint.kind != "endpoint" else endpoint.url,
        device=describe_device() if endpoint.is_here else _NOT_HERE,
        energy=meter.to_dict(),
        prices=options.prices,
        notes=(
            *endpoint.notes,
            *traffic.notes,
            *test.notes,
            *late_notes(test.rows),
            *few_notes(test.rows),
        ),
        interrupted=interrupted,
    )


async def _ruler(client: LoadClient, traffic: Traffic) -> TokenRuler:
    if traffic.needs_ruler:
        return await measure_ruler(client)
    await try_endpoint(client)
    return TokenRuler()


async def _meter(endpoint: LoadEndpoint) -> EnergyMeter:
    if not endpoint.is_here:
        return EnergyMeter([], [_NOT_HERE])
    return EnergyMeter(*await asyncio.to_thread(find_sources))


def _measured(traffic: Traffic, ruler: TokenRuler) -> bool | None:
    """Whether words were measured to make prompts of the right length; None: nothing was made."""
    return ruler.measured if traffic.needs_ruler else None


class _Test:
    """The rates that were measured so far.

    Attributes:
        rows: one a rate, in the order they were tried.
        notes: what went otherwise than asked for.
    """

    def __init__(
        self,
        traffic: Traffic,
        options: LoadOptions,
        ruler: TokenRuler,
        meter: EnergyMeter,
        on_progress: OnProgress,
    ) -> None:
        self.rows: list[RateRow] = []
        self.notes: list[str] = []
        self._traffic = traffic
        self._options = options
        self._ruler = ruler
        self._meter = meter
        self._on_progress = on_progress
        self._most_open = min(options.most_open, _most_connections())
        if self._most_open < options.most_open:
            self.notes.append(
                f"at most {self._most_open:,} requests were open: the system's limit on open files"
            )

    async def run(self, client: LoadClient, stop: asyncio.Event) -> None:
        """Measures rate by rate."""
        for rate in self._rates():
            try:
                self.rows.append(await self._measure(client, rate, stop))
            except InvalidTraffic as error:
                if not self.rows:
                    raise
                self.notes.append(f"not tried: {error.message}")
                return
            if stop.is_set():
                self.notes.append("interrupted: requests that were open then are in no figure")
                return

    def _rates(self) -> Iterator[float | None]:
        """The rates; the next one is decided when the one before has been measured."""
        first = self._options.first_rate
        if first is None:
            yield from self._options.rates or (None,)
            return
        while len(self.rows) < MAX_RATES:
            tried = [
                Tried(row.figures.rate or first, row.figures.goodput_share) for row in self.rows
            ]
            rate = next_rate(tried, self._options.wanted_share, first=first)
            if rate is None:
                return
            yield rate

    async def _measure(
        self, client: LoadClient, rate: float | None, stop: asyncio.Event
    ) -> RateRow:
        options = self._options
        plan = self._traffic.plan(rate, len(self.rows), self._ruler)

        def tell(sent: int, ended: int, failed: int) -> None:
            self._on_progress(LoadProgress(rate, len(plan), sent, ended, failed))

        clock = LoopClock()
        tell(0, 0, 0)
        before = asyncio.create_task(self._joules_at(clock, options.warm_up, stop))
        try:
            records = await play(
                plan, client.ask, clock, stop, most_open=self._most_open, on_progress=tell
            )
            after = await self._meter.joules()
            begun = before.result() if before.done() else None
        finally:
            before.cancel()
            with suppress(asyncio.CancelledError):
                await before
        # Sorting and counting thousands of times takes a while; nothing is open meanwhile.
        figures = measure(
            records,
            rate=rate,
            warm_up=options.warm_up,
            targets=options.targets,
            level=options.level,
        )
        joules = None if after is None or begun is None or stop.is_set() else after - begun
        return RateRow(figures, joules, options.prices, records)

    async def _joules_at(self, clock: Clock, at: float, stop: asyncio.Event) -> float | None:
        await clock.wait(at, stop)
        return await self._meter.joules()


def _most_connections() -> int:
    """As many as this process may have; a failure to open one would look like the endpoint's."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(1, soft - _OTHER_FILES)
