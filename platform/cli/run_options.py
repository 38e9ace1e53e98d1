"""Options that several commands of `rostra agent` share: what runs may use, who allows calls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from math import isfinite
from typing import Any

import click

from rostra.agents import Budget


@dataclass(frozen=True, slots=True)
class Most:
    """The most that a run may use, as it was given; None is as it would be without."""

    steps: int | None
    tokens: int | None
    seconds: float | None
    cost: float | None

    @property
    def is_given(self) -> bool:
        """Whether anything was."""
        return any(each is not None for each in (self.steps, self.tokens, self.seconds, self.cost))

    def over(self, budget: Budget) -> Budget:
        """A budget with the limits that were given in place of its own."""
        return Budget(
            steps=budget.steps if self.steps is None else self.steps,
            tokens=budget.tokens if self.tokens is None else self.tokens,
            seconds=budget.seconds if self.seconds is None else self.seconds,
            cost=budget.cost if self.cost is None else self.cost,
            calls=budget.calls,
        )


class _Amount(click.FloatRange):
    """A finite number over 0; click's own range lets `nan` through."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """See `click.ParamType.convert`."""
        amount = float(super().convert(value, param, ctx))
        if not isfinite(amount):
            self.fail(f"{value} is no amount.", param, ctx)
        return amount


def budget_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of a run's budgets to a command, which gets them as `most`."""

    @wraps(function)
    def with_most(
        *arguments: Any,
        max_steps: int | None,
        max_tokens: int | None,
        max_seconds: float | None,
        max_cost: float | None,
        **more: Any,
    ) -> Any:
        most = Most(max_steps, max_tokens, max_seconds, max_cost)
        return function(*arguments, most=most, **more)

    made: Callable[..., Any] = with_most
    for option in (
        click.option(
            "--max-cost",
            type=_Amount(),
            help="In the currency of the models' prices; what has no price costs nothing.",
        ),
        click.option("--max-seconds", type=_Amount()),
        click.option("--max-tokens", type=click.IntRange(1)),
        click.option("--max-steps", type=click.IntRange(1), help="Most questions to the model."),
    ):
        made = option(made)
    return made


def answer_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say which calls are allowed."""
    for option in (
        click.option(
            "--approve",
            multiple=True,
            metavar="TOOL",
            help="Allow this tool's calls beforehand; may be given several times. Calls that text "
            "of documents or tools may have influenced are still asked about, but for --yes.",
        ),
        click.option(
            "--yes",
            is_flag=True,
            help="Ask nothing: of the calls that need a yes allow those of tools that --approve "
            "names, refuse all others, and go on without them. A call that only reads is among "
            "the refused ones where text of documents or tools may have influenced what it sends "
            "out.",
        ),
    ):
        function = option(function)
    return function


def names_of(given: Sequence[str]) -> list[str] | None:
    """Names that were given one by one or with commas between them; None if there are none."""
    names = [name.strip() for one in given for name in one.split(",") if name.strip()]
    return names or None
