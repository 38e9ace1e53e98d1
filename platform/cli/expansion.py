"""`--expand`, and how verbs show what query strategies added to a question."""

import json
from collections.abc import Sequence
from typing import Any, get_args

import click
from rich.markup import escape

from rostra.cli.output import console
from rostra.core import QueryStrategyName
from rostra.retrieval import ExpansionReport

_NAMES: Sequence[QueryStrategyName] = get_args(QueryStrategyName)
_NONE = "none"


class _Strategies(click.ParamType[tuple[QueryStrategyName, ...]]):
    """Names with commas between them; `none` is none of them."""

    name = "names"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[QueryStrategyName, ...]:
        if not isinstance(value, str):
            return tuple(value)
        if value.strip() == _NONE:
            return ()
        given = [name.strip().replace("-", "_") for name in value.split(",")]
        chosen = [known for name in given for known in _NAMES if known == name]
        if len(chosen) < len(given):
            unknown = next(name for name in given if name not in _NAMES)
            self.fail(f"{unknown!r} is none of {', '.join(_NAMES)}, {_NONE}", param, ctx)
        return tuple(dict.fromkeys(chosen))


expand_option = click.option(
    "--expand",
    type=_Strategies(),
    metavar="NAMES",
    default=None,
    help=f"Ask in other words too, with a generator: {', '.join(_NAMES)}, with commas between "
    f"them, or {_NONE}.  [default: ROSTRA_QUERY_STRATEGIES]",
)


def print_expansion(report: ExpansionReport | None) -> None:
    """What was searched for beside the question, and what that cost."""
    if report is None:
        return
    out = console()
    for one in report.strategies:
        out.print(f"[dim]{one.name}: {one.outcome}[/]")
        for query in one.queries:
            out.print(f"    [dim]{escape(query)}[/]")
    if report.filters:
        dropped = ", which no document passes: dropped" if report.filters_dropped else ""
        out.print(f"[dim]filtered by {escape(json.dumps(dict(report.filters)))}{dropped}[/]")
    tokens = sum(one.spent.prompt_tokens + one.spent.completion_tokens for one in report.strategies)
    out.print(f"[dim]strategies: {tokens} tokens, {report.seconds:.1f} s[/]")
