"""`rostra eval run judge`: judges measured on pairs that people have judged."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click

from evals import (
    BrokenRubric,
    JudgeOptions,
    JudgeRun,
    Rubric,
    Task,
    evaluate_judges,
    find_rubric,
    find_run,
    open_workspace,
    parse_rubric,
    shown_statistic,
)
from rostra.cli.eval.endpoints import endpoint_model
from rostra.cli.eval.runs import RunOptions, execute, run_options
from rostra.cli.eval.text import plain, print_sections
from rostra.cli.output import print_json, print_table, settings_of_process
from rostra.core import ChatModel, ConfigError

_KINDS = ("recorded", "model", "simulated")
_PUBLISHED = ("correct_False", "correct_True", "correct_average", "correct_both", "equal",
              "kappa_agreement")  # fmt: skip


class _Kinds(tuple[str, ...]):
    """Kinds of judges, which read as they are written on a command line."""

    __slots__ = ()

    def __str__(self) -> str:
        return ",".join(self)


class _KindsType(click.ParamType[_Kinds]):
    """Kinds of judges between commas."""

    name = "kinds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> _Kinds:
        if not isinstance(value, str):
            return _Kinds(value)
        kinds = _Kinds(dict.fromkeys(part.strip() for part in value.split(",")))
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
    type=_KindsType(),
    help="By commas: `recorded` beside a set, `simulated` with known biases, `model` for the one "
    "that is set, or those of --judge-model.  [default: all that there are]",
)
@click.option("--judge-url", help="Let models at this OpenAI-compatible endpoint judge.")
@click.option(
    "--judge-model",
    "judge_models",
    multiple=True,
    help="The model, as that endpoint calls it; may be given several times.",
)
@click.option(
    "--key-env",
    default="OPENAI_API_KEY",
    show_default=True,
    help="Environment variable with the endpoint's key, where it needs one.",
)
@click.option("--panel", is_flag=True, help="The models also as one judge, by majority.")
@click.option(
    "--rubric",
    "rubric_name",
    default="pairwise",
    show_default=True,
    help="What models go by: `pairwise` compares two answers; `helpfulness`, `relevance` and "
    "`correctness` (which needs references) judge each by itself, and the higher wins. Or a "
    "rubric of your own in a .md file.",
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
    help="Votes of a model for one verdict; with a temperature.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(0, 10),
    default=0.0,
    show_default=True,
    help="Of the models.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(16, 100_000),
    default=400,
    show_default=True,
    help="Most of a model's answer; more for one that thinks first.",
)
@click.option(
    "--times",
    type=click.IntRange(1, 100),
    default=2,
    show_default=True,
    help="How often judges that may change their mind are asked the same.",
)
@click.option("--family", default="", help="The models', as systems of the set are called: llama.")
@run_options
def judge(
    data: Path,
    kinds: _Kinds | None,
    judge_url: str | None,
    judge_models: tuple[str, ...],
    key_env: str,
    rubric_name: str,
    options: RunOptions,
    **others: Any,
) -> None:
    """Judges of answers, judged: right, consistent, biased, in agreement with people?

    Each pair is shown in both orders; another winner in the other order is a flip, and a tie.
    Without a model it shows recorded and simulated judges. Exits with 0 whoever is unfit: the
    table says who is, and why.
    """
    settings = settings_of_process()
    rubric = _rubric(rubric_name)
    asked = JudgeOptions(kinds=kinds or _KINDS, rubric=rubric, limit=options.limit, **others)
    external = [
        model
        for name in judge_models or ("",)
        if (model := endpoint_model(judge_url, name, key_env, "judge")) is not None
    ]
    if external and "model" not in asked.kinds:
        raise click.UsageError("--judge-model is of kind `model`, which --judges leaves out")

    async def carry_out(tasks: Sequence[Task]) -> Path:
        arguments = {
            "data": str(data),
            "judges": list(asked.kinds),
            "rubric": f"{rubric.name} {rubric.version}",
            **others,
        }
        report = await execute(settings, "judge", tasks, options, arguments=arguments)
        there = options.resume or ""
        is_path = "/" in there or there.endswith(".jsonl")
        return options.out or find_run(settings, there if is_path else report.run)

    async def work() -> JudgeRun:
        async with AsyncExitStack() as stack:
            models: list[ChatModel] = []
            for model in external:
                stack.push_async_callback(model.close)
                models.append(model)
            if not models and "model" in asked.kinds:
                runtime = await stack.enter_async_context(open_workspace(settings))
                models += [runtime.generator] if runtime.generator is not None else []
            if not models and kinds is not None and "model" in kinds:
                raise ConfigError(
                    "there is no model to judge",
                    hint="Set ROSTRA_MODEL, or name --judge-url and --judge-model.",
                )
            at = (judge_url if external else settings.chat_url) or ""
            try:
                return await evaluate_judges(
                    settings, data, asked, models=models, at=at, execute=carry_out
                )
            except BrokenRubric as error:
                raise click.BadParameter(str(error), param_hint="--rubric") from None

    done = asyncio.run(work())
    if options.as_json:
        print_json(done.to_dict())
    else:
        _print(done)


def _rubric(name: str) -> Rubric:
    """A rubric of the library by its name, or one's own in a file."""
    try:
        if name.endswith(".md") or "/" in name:
            return parse_rubric(Path(name).read_text(encoding="utf-8"))
        return find_rubric(name)
    except BrokenRubric as error:
        raise click.BadParameter(str(error), param_hint="--rubric") from None
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{name}: {error}", param_hint="--rubric") from None


def _print(done: JudgeRun) -> None:
    for pairs in done.sets:
        for problem in pairs.dataset.problems:
            told = f"{pairs.dataset.name}: {problem.count} left out: {problem.reason} "
            click.echo(plain(f"{told}({', '.join(problem.examples)})"), err=True)
    print_sections(done.sections)
    if done.replayed:
        print_table(
            ("as published", *(name.replace("_", " ") for name in _PUBLISHED), "equal to"),
            (
                (
                    plain(one.judge),
                    *(plain(shown_statistic(one.computed[name])) for name in _PUBLISHED),
                    _equal(one.published is not None, one.different),
                )
                for one in done.replayed
            ),
        )
    print_table(("run", "file"), [(done.run, str(done.path))], header=False)


def _equal(is_published: bool, different: tuple[str, ...]) -> str:
    if not is_published:
        return "nothing was published"
    return f"all but {', '.join(different)}" if different else "statistics.json"
