"""`rostra eval run serving`: latencies and goodput of an endpoint under open-loop load."""

import asyncio
import math
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from evals import (
    LoadEndpoint,
    LoadOptions,
    LoadPrices,
    LoadProgress,
    LoadTargets,
    ServingReport,
    SyntheticTraffic,
    Traffic,
    log_serving,
    measure_serving,
    new_run_path,
    own_endpoint,
    random_endpoint,
    read_lengths,
    read_traffic,
    recorded_versions,
)
from rostra.cli.bars import bar
from rostra.cli.output import json_option, print_json, print_table, settings_of_process

_PERCENTS = ("p50", "p95", "p99")


class _Positive(click.ParamType[float | None]):
    """A number above 0; `none` for no limit where that is allowed."""

    name = "number"

    def __init__(self, *, optional: bool = False) -> None:
        self._optional = optional

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        if self._optional and value == "none":
            return None
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            self.fail(f"{value!r} is no number above 0", param, ctx)
        return number


class _Rates(click.ParamType[tuple[float, ...]]):
    """Rates between commas; `auto` is none."""

    name = "rates"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        if not isinstance(value, str):
            return tuple(value)
        if value == "auto":
            return ()
        number = _Positive()
        parts = [part.strip() for part in value.split(",")]
        return tuple(float(number.convert(part, param, ctx) or 0) for part in parts)


_POSITIVE = _Positive()
_LIMIT = _Positive(optional=True)
_PRICE = click.FloatRange(min=0)


@click.command("serving")
@click.option("--url", help="An OpenAI-compatible endpoint; by default our own with ROSTRA_MODEL.")
@click.option("--model", help="The model, as that endpoint calls it.")
@click.option(
    "--key-env",
    default="OPENAI_API_KEY",
    show_default=True,
    help="Environment variable with its key; sent only with --url, and only where it is set.",
)
@click.option(
    "--traffic",
    "recorded",
    type=click.Path(path_type=Path),
    help="Recorded traffic, one JSON object a line: offset_s, max_tokens, one of prompt, messages "
    "and prompt_tokens, and perhaps session.",
)
@click.option(
    "--rates",
    type=_Rates(),
    help="Requests per second, by commas; `auto` doubles until too few requests meet the targets, "
    "and then looks between.  [default: auto; recorded traffic: as it was]",
)
@click.option("--first-rate", type=_POSITIVE, default=1.0, show_default=True, help="Of `auto`.")
@click.option(
    "--duration", type=_POSITIVE, default=20.0, show_default=True, help="Seconds measured a rate."
)
@click.option(
    "--warm-up",
    type=click.FloatRange(min=0, max=3600),
    default=3.0,
    show_default=True,
    help="Seconds before, whose requests are sent and left out of all figures.",
)
@click.option(
    "--arrivals",
    type=click.Choice(["poisson", "gamma", "constant"]),
    default="poisson",
    show_default=True,
)
@click.option(
    "--burstiness",
    type=_POSITIVE,
    default=1.0,
    show_default=True,
    help="Shape of gamma gaps: 1 is Poisson, less is more bursty.",
)
@click.option(
    "--prompt-tokens",
    default="lognormal:128:0.6",
    show_default=True,
    help="A number, uniform:LEAST:MOST or lognormal:MEDIAN:SIGMA.",
)
@click.option("--output-tokens", default="uniform:16:64", show_default=True, help="The same.")
@click.option(
    "--sessions",
    type=click.IntRange(0, 10_000),
    default=0,
    show_default=True,
    help="How many sessions requests belong to.",
)
@click.option(
    "--shared-tokens",
    type=click.IntRange(0, 100_000),
    default=0,
    show_default=True,
    help="With which all prompts of a session begin, for a prefix cache.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--ttft-ms", type=_LIMIT, default=1000.0, show_default=True, help="Target, or `none`."
)
@click.option("--tpot-ms", type=_LIMIT, default=100.0, show_default=True, help="Target, or `none`.")
@click.option("--e2e-ms", type=_LIMIT, default="none", show_default=True, help="Target.")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.9,
    show_default=True,
    help="Of requests that have to meet the targets.",
)
@click.option(
    "--timeout",
    type=_POSITIVE,
    default=120.0,
    show_default=True,
    help="Seconds after which a request has failed.",
)
@click.option(
    "--max-open",
    type=click.IntRange(1, 20_000),
    default=2000,
    show_default=True,
    help="Open requests; one more is not sent and counts as failed.",
)
@click.option(
    "--ignore-eos/--keep-eos",
    default=None,
    help="Whether answers are as long as asked for.  [default: on our own server, with made-up "
    "traffic]",
)
@click.option("--price-per-hour", type=_PRICE, help="Of the machines that answer.")
@click.option("--price-in", type=_PRICE, help="Of a million tokens of prompts.")
@click.option("--price-out", type=_PRICE, help="Of a million tokens of answers.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The run's file; by default in the data directory.",
)
@json_option
def serving(
    url: str | None,
    model: str | None,
    key_env: str,
    recorded: Path | None,
    rates: tuple[float, ...] | None,
    first_rate: float,
    duration: float,
    warm_up: float,
    arrivals: Any,
    burstiness: float,
    prompt_tokens: str,
    output_tokens: str,
    sessions: int,
    shared_tokens: int,
    seed: int,
    ttft_ms: float | None,
    tpot_ms: float | None,
    e2e_ms: float | None,
    share: float,
    timeout: float,
    max_open: int,
    ignore_eos: bool | None,
    price_per_hour: float | None,
    price_in: float | None,
    price_out: float | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Latencies and goodput under load: requests come when they come, answered or not.

    Against --url, or our own server with the model that is set, or, with neither, a tiny random
    one. Ctrl-C ends it with a report of what was measured until then.
    """
    if (url is None) != (model is None):
        raise click.UsageError("--url and --model belong together")
    traffic: Traffic
    if recorded is not None:
        traffic = read_traffic(recorded, seed=seed)
    else:
        traffic = SyntheticTraffic(
            seconds=warm_up + duration,
            prompt_tokens=read_lengths(prompt_tokens),
            output_tokens=read_lengths(output_tokens),
            process=arrivals,
            burstiness=burstiness,
            sessions=sessions,
            shared_tokens=shared_tokens,
            seed=seed,
        )
    # Recorded traffic has a rate of its own; any other begins its search somewhere.
    searches = not rates and (rates is not None or recorded is None)
    options = LoadOptions(
        rates=rates or (),
        first_rate=first_rate if searches else None,
        targets=LoadTargets(ttft_ms, tpot_ms, e2e_ms),
        wanted_share=share,
        warm_up=warm_up,
        timeout=timeout,
        most_open=max_open,
        prices=LoadPrices(price_per_hour, price_in, price_out),
    )
    made_up = recorded is None if ignore_eos is None else ignore_eos

    async def work() -> ServingReport:
        async with _endpoint(url, model, key_env, ignore_eos, made_up) as endpoint:
            return await _measure(endpoint, traffic, options)

    if out is not None and out.exists():
        raise click.BadParameter(f"{out} is there already", param_hint="--out")
    report = asyncio.run(work())
    kept = _kept(report, out)
    if as_json:
        print_json(report.to_dict() | {"run": kept})
    else:
        _print_report(report)
        if kept is not None:
            click.echo(f"  run: {kept}")
    if report.interrupted:
        raise click.exceptions.Exit(130)


def _kept(report: ServingReport, out: Path | None) -> str | None:
    """Writes the run's file; its name, or None if there is nothing to keep or no place for it."""
    path = out or new_run_path(settings_of_process(), "serving")
    try:
        return path.stem if log_serving(path, report, recorded_versions()) else None
    except OSError as error:
        # The figures took minutes; they are printed all the same.
        click.echo(f"  the run could not be kept: {error}", err=True)
        return None


@asynccontextmanager
async def _endpoint(
    url: str | None, model: str | None, key_env: str, ignore_eos: bool | None, made_up: bool
) -> AsyncIterator[LoadEndpoint]:
    if url is not None and model is not None:
        key = os.environ.get(key_env, "")
        yield LoadEndpoint(url, model, model, key=key, ignore_eos=bool(ignore_eos))
        return
    if configured := settings_of_process().model:
        click.echo(f"  serving {configured}", err=True)
        async with own_endpoint(configured, ignore_eos=made_up) as endpoint:
            yield endpoint
        return
    click.echo("  no model is set: serving a tiny one with random weights", err=True)
    async with random_endpoint(ignore_eos=made_up) as endpoint:
        yield endpoint


async def _measure(endpoint: LoadEndpoint, traffic: Traffic, options: LoadOptions) -> ServingReport:
    with bar() as shown:
        task = shown.add_task("first request", total=None)

        def on_progress(now: LoadProgress) -> None:
            name = "as recorded" if now.rate is None else f"{now.rate:g} requests/s"
            shown.update(
                task,
                description=f"{name}: {now.sent} sent, {now.failed} failed",
                total=now.planned,
                completed=now.ended,
            )

        return await measure_serving(
            endpoint, traffic, options, stopping=_ctrl_c, on_progress=on_progress
        )


@contextmanager
def _ctrl_c() -> Iterator[asyncio.Event]:
    """The first Ctrl-C sets the event; the second one ends the process as ever."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def first() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)

    # Where a loop has no signals, Ctrl-C ends everything at once.
    with suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGINT, first)
    try:
        yield stop
    finally:
        with suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)


def _print_report(report: ServingReport) -> None:
    found = report.to_dict()
    rows = found["results"]
    print_table(
        ("rate/s", "requests", "failed", "answers/s", "tokens/s", "TTFT ms", "TPOT ms", "total ms",
         "goodput/s", "met targets"),
        (
            (
                _rate(row),
                row["requests"],
                sum(row["failed"].values()),
                _number(row["throughput_rps"], 2),
                _number(row["output_tok_s"], 1),
                _times(row["ttft_ms"], 0),
                _times(row["tpot_ms"], 1),
                _times(row["e2e_ms"], 0),
                _number(row["goodput_rps"], 2),
                _share(row),
            )
            for row in rows
        ),
    )  # fmt: skip
    _print_use(rows)
    for row in rows:
        for reason, count in row["failed"].items():
            words = row["failure_words"][reason]
            click.echo(f"  {_rate(row)}: {count} failed: {reason}: {words}", err=True)
    held = report.sustained_rps
    most = f"{held:g} requests/s" if held is not None else "no rate that was tried"
    targets = ", ".join(f"{k}: {v:g}" for k, v in found["targets"].items() if v is not None)
    doubt = "" if report.sustained_shown is not False else " (too few requests to be sure)"
    held_by = f"held by {report.wanted_share:.0%} of requests ({targets or 'no targets'})"
    click.echo(f"{held_by}: {most}{doubt}")
    click.echo(
        f"  times are p50 / p95 / p99, from when a request was due; the first {report.warm_up:g} s "
        f"of each rate are left out",
        err=True,
    )
    click.echo(f"  {report.model} ({report.endpoint}); {report.device}", err=True)
    if not report.energy["told"]:
        click.echo(f"  energy: {'; '.join(report.energy['missing'])}", err=True)
    for note in report.notes:
        click.echo(f"  note: {note}", err=True)


def _print_use(rows: list[dict[str, Any]]) -> None:
    """Energy and cost, where somebody told them."""
    names = {"energy_j_per_1000_answers": "joules", "cost_per_1000_answers": "cost"}
    told = [name for name in names if any(row[name] is not None for row in rows)]
    if told:
        print_table(
            ("rate/s", *(f"{names[name]} per 1,000 answers" for name in told)),
            ((_rate(row), *(_number(row[name], 4) for name in told)) for row in rows),
        )


def _rate(row: dict[str, Any]) -> str:
    return "as recorded" if row["rate"] is None else f"{row['rate']:.4g}"


def _times(times: dict[str, Any], digits: int) -> str:
    return " / ".join(_number(times[name], digits) for name in _PERCENTS)


def _share(row: dict[str, Any]) -> str:
    if row["goodput_share"] is None:
        return "-"
    low, high = row["goodput_share_interval"] or (None, None)
    reach = "" if low is None or high is None else f" ({100 * low:.0f} to {100 * high:.0f})"
    return f"{100 * row['goodput_share']:.1f} %{reach}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
