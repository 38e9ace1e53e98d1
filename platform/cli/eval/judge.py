"""`rostra eval run judge`: judges measured on pairs that people have judged."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click

from evals import (
    JudgeOptions,
    JudgeReport,
    JudgeRun,
    Task,
    evaluate_judges,
    find_run,
    open_workspace,
)
from rostra.cli.eval.runs import RunOptions, execute, run_options
from rostra.cli.output import print_json, print_table, settings_of_process
from rostra.core import ConfigError

_KINDS = ("recorded", "model", "simulated")
_PUBLISHED = ("correct_False", "correct_True", "correct_average", "correct_both", "equal",
              "kappa_agreement")  # fmt: skip


class _Kinds(click.ParamType[tuple[str, ...]]):
    """Kinds of judges between commas."""

    name = "kinds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if not isinstance(value, str):
            return tuple(value)
        kinds = tuple(dict.fromkeys(part.strip() for part in value.split(",")))
        if unknown := [kind for kind in kinds if kind not in _KINDS]:
            self.fail(f"{unknown[0]!r} is not one of {', '.join(_KINDS)}", param, ctx)
        return kinds


@click.command("judge")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of one set or several: LLMBar's or PandaLM's layout, or JSON lines.",
)
@click.option(
    "--judges",
    "kinds",
    type=_Kinds(),
    help="By commas: `recorded` beside a set, `simulated` with known biases, `model` for the one "
    "that is set.  [default: all that there are]",
)
@click.option(
    "--min-agreement",
    type=click.FloatRange(-1, 1),
    default=0.4,
    show_default=True,
    help="A judge is unfit if its kappa with people may be lower than this.",
)
@click.option(
    "--min-of-ceiling",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Likewise if its kappa is surely under this share of the kappa among people.",
)
@click.option(
    "--max-unscored",
    type=click.FloatRange(0, 1),
    default=0.1,
    show_default=True,
    help="Likewise if more of the pairs than this are without a verdict.",
)
@click.option(
    "--max-bias",
    type=click.FloatRange(0, 2),
    default=0.2,
    show_default=True,
    help="Likewise if it surely goes by length or by its own family more than this.",
)
@click.option(
    "--samples",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Votes of the model for one verdict; with a temperature.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(0, 10),
    default=0.0,
    show_default=True,
    help="Of the model.",
)
@click.option(
    "--times",
    type=click.IntRange(1, 100),
    default=2,
    show_default=True,
    help="How often judges that may change their mind are asked the same.",
)
@click.option("--family", default="", help="The model's, as systems of the set are called: llama.")
@run_options
def judge(data: Path, kinds: tuple[str, ...] | None, options: RunOptions, **others: Any) -> None:
    """Judges of answers, judged: right, consistent, biased, in agreement with people?

    Each pair is shown in both orders; another winner in the other order is a flip, and a tie.
    Without a model it shows recorded and simulated judges. Exits with 0 whoever is unfit: the
    table says who is, and why.
    """
    settings = settings_of_process()
    asked = JudgeOptions(kinds=kinds or _KINDS, limit=options.limit, **others)

    async def carry_out(tasks: Sequence[Task]) -> Path:
        arguments = {"data": str(data), "judges": list(asked.kinds), **others}
        report = await execute(settings, "judge", tasks, options, arguments=arguments)
        there = options.resume or ""
        is_path = "/" in there or there.endswith(".jsonl")
        return options.out or find_run(settings, there if is_path else report.run)

    async def work() -> JudgeRun:
        async with AsyncExitStack() as stack:
            model = None
            if "model" in asked.kinds:
                model = (await stack.enter_async_context(open_workspace(settings))).generator
            if model is None and kinds is not None and "model" in kinds:
                raise ConfigError("there is no model to judge", hint="Set ROSTRA_MODEL.")
            return await evaluate_judges(settings, data, asked, model=model, execute=carry_out)

    done = asyncio.run(work())
    if options.as_json:
        print_json(done.to_dict())
    else:
        _print(done)


def _print(done: JudgeRun) -> None:
    for pairs in done.sets:
        for problem in pairs.dataset.problems:
            click.echo(
                f"{pairs.dataset.name}: {problem.count} left out: {problem.reason} "
                f"({', '.join(problem.examples)})",
                err=True,
            )
    rows = [_row(report.to_dict(), report) for report in done.reports]
    print_table(
        ("judge", "set", "pairs", "accuracy", "both orders", "consistency", "again", "votes agree",
         "position bias", "length bias", "own family", "kappa", "alpha", "human kappa",
         "unscored", "fit", "why"),
        rows,
    )  # fmt: skip
    _print_people(done)
    if done.replayed:
        print_table(
            ("as published", *(name.replace("_", " ") for name in _PUBLISHED), "equal to"),
            (
                (
                    one.judge,
                    *(_published(one.computed[name]) for name in _PUBLISHED),
                    _equal(one.published is not None, one.different),
                )
                for one in done.replayed
            ),
        )
    print_table(("run", "file"), [(done.run, str(done.path))], header=False)


def _print_people(done: JudgeRun) -> None:
    """How far people agree with each other, for sets with several annotators."""
    rows = [
        (
            told["set"],
            told["people"]["annotators"],
            ", ".join(f"{pair}: {kappa:.2f}" for pair, kappa in told["people"]["kappas"].items()
                      if kappa is not None),
            _plain(told["people"]["kappa"]),
            _plain(told["people"]["alpha"]),
            f"{100 * told['people']['leave_one_out']:.1f} %",
        )
        for told in done.to_dict()["sets"]
        if told["people"] is not None and told["people"]["leave_one_out"] is not None
    ]  # fmt: skip
    if rows:
        print_table(
            ("people", "annotators", "kappa of each two", "kappa", "alpha", "with the others"), rows
        )


def _row(told: dict[str, Any], report: JudgeReport) -> tuple[object, ...]:
    return (
        told["judge"],
        told["set"],
        told["pairs"],
        _share(told["accuracy"]),
        _share(told["both_orders_right"]),
        _share(told["consistency"]),
        _share(told["same_when_asked_again"]),
        _share(told["votes_agree"]),
        _signed(told["position_bias"]),
        _signed(told["length_bias"]),
        _signed(told["self_preference"]),
        _plain(told["kappa"]),
        _plain(told["alpha"], with_interval=False),
        _plain(told["human_kappa"], with_interval=False),
        told["unscored"],
        "fit" if told["fit"] else "UNFIT",
        _why(report),
    )


def _why(report: JudgeReport) -> str:
    """Reasons against a judge, and its biases."""
    remarks = report.fitness.remarks
    return "; ".join(
        (*report.fitness.reasons, *([f"bias: {', '.join(remarks)}"] if remarks else []))
    )


def _share(value: dict[str, Any] | None) -> str:
    return "-" if value is None else f"{100 * value['value']:.1f} %"


def _signed(value: dict[str, Any] | None) -> str:
    """A bias with its interval."""
    return "-" if value is None else f"{value['value']:+.2f}{_interval(value, '+.2f')}"


def _plain(value: dict[str, Any] | None, *, with_interval: bool = True) -> str:
    if value is None:
        return "-"
    return f"{value['value']:.2f}{_interval(value, '.2f') if with_interval else ''}"


def _interval(value: dict[str, Any], form: str) -> str:
    if value["low"] is None:
        return ""
    return f" [{value['low']:{form}}, {value['high']:{form}}]"


def _published(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _equal(is_published: bool, different: tuple[str, ...]) -> str:
    if not is_published:
        return "nothing was published"
    return f"all but {', '.join(different)}" if different else "statistics.json"


COMMANDS: tuple[click.Command, ...] = (judge,)
