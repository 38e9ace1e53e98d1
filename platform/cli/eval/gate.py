"""`rostra eval compare` and `rostra eval gate`: is it better, and may it replace the baseline?"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from evals import (
    Better,
    Circumstances,
    Comparison,
    GateReport,
    compare_circumstances,
    compare_runs,
    compare_systems,
    difference_in_words,
    find_run,
    gate_junit,
    gate_run,
    newest_of,
    read_run,
    show_better,
)
from rostra.cli.eval.text import amount, interval, plain
from rostra.cli.files import write_text
from rostra.cli.output import json_option, print_json, print_table
from rostra.cli.output import settings_of_process as settings
from rostra.core import RostraError

_SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command("compare")
@click.argument("baseline")
@click.argument("candidate", required=False)
@click.option("--alpha", type=_SHARE, default=0.05, show_default=True)
@click.option("--samples", type=click.IntRange(0, 1000), default=0, help="List so many changed.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the randomisation tests.")
@json_option
def compare(
    baseline: str, candidate: str | None, alpha: float, samples: int, seed: int, as_json: bool
) -> None:
    """Compare two runs sample by sample; of one run, its systems with each other.

    P-values are of a paired randomisation test, adjusted for all that is compared (Holm).
    """
    record = read_run(find_run(settings(), baseline))
    differs: Circumstances | None = None
    if candidate is None:
        found = compare_systems(record, seed=seed)
    else:
        other = read_run(find_run(settings(), candidate))
        differs = compare_circumstances(record.header, other.header)
        found = compare_runs(record, other, seed=seed)
    if as_json:
        told = {"alpha": alpha, "comparisons": [_told(one, alpha, samples) for one in found]}
        print_json(told | ({"differs": differs.to_dict()} if differs is not None else {}))
        return
    if differs is not None:
        _print_differs(differs)
    if not found:
        click.echo("the run has one system on each dataset: name a second run", err=True)
    _print_comparisons(found, alpha)
    for one in found:
        _print_samples(one, samples)


@click.command("gate")
@click.option("--baseline", required=True, metavar="RUN", help="What must not get worse.")
@click.argument("candidate", required=False)
@click.option(
    "--alpha",
    type=_SHARE,
    default=0.05,
    show_default=True,
    help="Chance that a candidate that is as good is refused.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="A mean may be worse by so much, in its own unit.",
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the randomisation tests.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML.")
@json_option
@click.pass_context
def gate(
    context: click.Context,
    baseline: str,
    candidate: str | None,
    alpha: float,
    tolerance: float,
    seed: int,
    junit: Path | None,
    as_json: bool,
) -> None:
    """Exit with 1 if CANDIDATE is significantly worse than the baseline, or lacks what it had.

    CANDIDATE is by default the newest run of the baseline's kind. Exits with 0 if the gate is
    open, with 2 if it cannot be asked.
    """
    with _two_for_errors(context, as_json=as_json):
        path = find_run(settings(), baseline)
        before = read_run(path)
        after = read_run(
            find_run(settings(), candidate)
            if candidate is not None
            else newest_of(settings(), before.header.kind, but=path)
        )
        report = gate_run(before, after, alpha=alpha, tolerance=tolerance, seed=seed)
        if junit is not None:
            write_text(junit, gate_junit(report, datetime.now(UTC)))
        if as_json:
            print_json(report.to_dict() | {"tolerance": tolerance})
        else:
            _print_gate(report)
    if not report.is_open:
        context.exit(1)


@contextmanager
def _two_for_errors(context: click.Context, *, as_json: bool) -> Iterator[None]:
    """Whatever goes wrong exits with 2: who reads 1 takes it for a regression."""
    from rostra.cli.main import report

    try:
        yield
    except RostraError as error:
        report(error, as_json=as_json)
        context.exit(2)
    except (click.exceptions.Exit, click.ClickException, click.exceptions.Abort):
        raise
    except Exception as error:  # a mistake of ours is no regression either
        fault = RostraError(f"internal error: {type(error).__name__}: {error}")
        report(fault, as_json=as_json)
        context.exit(2)


def _told(one: Comparison, alpha: float, samples: int) -> dict[str, object]:
    told: dict[str, object] = one.to_dict(alpha)
    if samples:
        told["samples"] = [
            {
                "sample": sample.sample,
                "input": sample.input,
                "baseline": sample.baseline,
                "candidate": sample.candidate,
            }
            for sample in one.samples[:samples]
        ]
        told["samples_changed"] = one.wins + one.losses
    return told


def _print_differs(differs: Circumstances) -> None:
    if differs.told:
        click.echo(f"the runs differ in more than results: {plain(differs.told)}\n")


def _print_gate(report: GateReport) -> None:
    _print_differs(report.differs)
    _print_comparisons(report.comparisons, report.alpha)
    for one in report.regressions:
        click.echo(f"worse: {plain(difference_in_words(one))}")
    for lacks in report.missing:
        click.echo(f"missing: {plain(lacks.told)}")
    state = "open" if report.is_open else "closed"
    click.echo(
        f"the gate is {state}: {plain(report.candidate)} against {plain(report.baseline)}, "
        f"alpha {report.alpha:g}"
    )


def _print_comparisons(found: Sequence[Comparison], alpha: float) -> None:
    pairs = dict.fromkeys((one.dataset, one.baseline_system, one.candidate_system) for one in found)
    for pair in pairs:
        own = [
            one for one in found if (one.dataset, one.baseline_system, one.candidate_system) == pair
        ]
        dataset, old, new = (plain(part) for part in pair)
        click.echo(f"{dataset}: {old} to {new}" if old != new else f"{dataset}/{old}")
        print_table(
            ("measure", "", "baseline", "candidate", "difference", "95 % interval", "p", "p Holm",
             "n", "wins", "losses", "verdict"),
            (_row(one, alpha) for one in own),
        )  # fmt: skip
        causes: dict[tuple[str, int], list[str]] = {}
        for one in own:
            for reason, count in one.left_out.items():
                causes.setdefault((reason, count), []).append(one.measure.name)
        for (reason, count), names in causes.items():
            whose = names[0] if len(names) == 1 else f"{len(names)} measures"
            click.echo(f"  {plain(whose)}: {count:,} samples left out: {reason}")
        click.echo()


def _row(one: Comparison, alpha: float) -> tuple[object, ...]:
    unit = one.measure.unit
    ends = "-"
    if one.interval is not None:
        ends = interval(one.interval.low, one.interval.high, unit, signed=True)
    return (
        plain(one.measure.name),
        show_better(one.measure.better),
        amount(one.baseline, unit),
        amount(one.candidate, unit),
        amount(one.difference, unit, signed=True),
        ends,
        "-" if one.p_value is None else f"{one.p_value:.4f}",
        "-" if one.adjusted is None else f"{one.adjusted:.4f}",
        one.n,
        one.wins,
        one.losses,
        one.verdict(alpha),
    )


def _print_samples(one: Comparison, most: int) -> None:
    if not most or not one.samples:
        return
    changed = one.wins + one.losses
    left = f"; {changed - most:,} more changed" if changed > most else ""
    first = "" if one.measure.better is Better.NEITHER else ", losses first"
    click.echo(f"{plain(one.measure.name)} by sample{first}{left}")
    unit = one.measure.unit
    print_table(
        ("sample", "baseline", "candidate", "input"),
        (
            (
                plain(sample.sample, 60),
                amount(sample.baseline, unit),
                amount(sample.candidate, unit),
                plain(sample.input, 200),
            )
            for sample in one.samples[:most]
        ),
    )
    click.echo()
