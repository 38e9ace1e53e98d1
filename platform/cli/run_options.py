"""Options that several commands of `rostra agent` share: what runs may use, who allows calls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from rostra.agents import Budget
from rostra.core import Settings


@dataclass(frozen=True, slots=True)
class Most:
    """The most that a run may use, as it was given; None is as the settings say."""

    steps: int | None
    tokens: int | None
    seconds: float | None
    cost: float | None

    @property
    def is_given(self) -> bool:
        """Whether anything was."""
        return any(each is not None for each in (self.steps, self.tokens, self.seconds, self.cost))

    def budget(self, settings: Settings) -> Budget:
        """All of a run's budgets."""
        return Budget(
            steps=self.steps or settings.agent_steps,
            tokens=self.tokens,
            seconds=self.seconds or settings.agent_seconds,
            cost=self.cost or settings.agent_cost,
            calls=settings.agent_calls,
        )


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
            type=click.FloatRange(0, min_open=True),
            help="In the currency of the models' prices; what has no price costs nothing.",
        ),
        click.option("--max-seconds", type=click.FloatRange(0, min_open=True)),
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
