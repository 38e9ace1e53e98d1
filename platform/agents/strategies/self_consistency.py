"""Self-consistency: the same strategy several times over, and the answer that most agree on.

After Wang et al. 2022, arXiv:2203.11171: samples are drawn at a temperature, each with a seed of
its own, and their answers are counted. Two answers agree when they are the same text, whatever
the case, the spacing and the marks at the end. Of those with equally many votes the one wins whose
words the others share most, then the earliest.

What always holds: samples have only tools that read, since each of them would change the world
once; that no answer was found is a vote too, and wins only with more votes than any answer; a
sample whose budget is spent has no vote.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rostra.agents.errors import BudgetSpent
from rostra.agents.events import Answer, Effect, Noted, PlannedCall, RunEvent
from rostra.agents.scope import Message, Observation, Reply, Scope, Sentence, together
from rostra.agents.strategies.strategy import Strategy
from rostra.agents.tools.tool import ToolInfo
from rostra.core import GenerationOptions

MOST_SAMPLES = 16
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class SelfConsistent:
    """See this module.

    Attributes:
        strategy: what each sample is drawn with.
        samples: how many, side by side.
        temperature: that they are drawn at.
        steps: most questions of each; None leaves all of the run's to whoever comes first.
    """

    strategy: Strategy
    samples: int
    temperature: float = 0.7
    steps: int | None = None

    @property
    def name(self) -> str:
        """See `Strategy.name`."""
        return self.strategy.name

    async def run(self, scope: Scope) -> Answer | None:
        """See `Strategy.run`."""
        key = scope.key()

        spent: list[BudgetSpent] = []

        async def sample(number: int) -> tuple[Answer | None] | None:
            branch = scope.branch(f"{key}.{number}", steps=self.steps)
            own = _Sample(branch, number, self.temperature)
            try:
                return (await self.strategy.run(own),)
            except BudgetSpent as error:
                spent.append(error)
                return None

        drawn = await together(*(sample(number) for number in range(self.samples)))
        voices = [one[0] for one in drawn if one is not None]
        if not voices:
            raise spent[0]
        chosen, votes = majority(voices)
        told = {"votes": votes, "samples": self.samples, "without_budget": len(spent)}
        text = f"{votes} of {self.samples} samples agree"
        await scope.note(Noted(scope.key(), "samples", text, told))
        return chosen


def majority(answers: Sequence[Answer | None]) -> tuple[Answer | None, int]:
    """What most answers say and how many do; None among them is that there is no answer.

    Args:
        answers: at least one.
    """
    said = [None if one is None else _plain(one.text) for one in answers]
    words = [set() if one is None else set(_WORD.findall(one)) for one in said]

    def rank(at: int) -> tuple[int, bool, float]:
        shared = sum(_likeness(words[at], other) for other in words)
        return said.count(said[at]), answers[at] is not None, shared

    best = max(range(len(answers)), key=rank)
    return answers[best], said.count(said[best])


def _plain(text: str) -> str:
    """A text as it is compared; of one that is all marks nothing is taken away."""
    plain = " ".join(text.casefold().split())
    return plain.rstrip(".!?;, ") or plain


def _likeness(one: set[str], other: set[str]) -> float:
    """Jaccard's, 0 to 1."""
    return len(one & other) / len(one | other) if one or other else 0.0


class _Sample:
    """A scope whose questions are drawn at a temperature, and whose tools only read."""

    def __init__(self, scope: Scope, number: int, temperature: float) -> None:
        self._scope = scope
        self._number = number
        self._temperature = temperature

    @property
    def task(self) -> str:
        """See `Scope.task`."""
        return self._scope.task

    @property
    def tools(self) -> Sequence[ToolInfo]:
        """See `Scope.tools`; those that only read."""
        return [tool for tool in self._scope.tools if tool.effect is Effect.READ]

    @property
    def sentences(self) -> Sequence[Sentence]:
        """See `Scope.sentences`."""
        return self._scope.sentences

    async def ask(
        self,
        purpose: str,
        messages: Sequence[Message],
        options: GenerationOptions,
        *,
        model: str = "main",
    ) -> Reply:
        """See `Scope.ask`."""
        seed = (options.seed or 0) + self._number
        drawn = replace(options, temperature=self._temperature, seed=seed)
        return await self._scope.ask(purpose, messages, drawn, model=model)

    async def call(
        self, calls: Sequence[PlannedCall], *, sources: Sequence[str] = ()
    ) -> list[Observation]:
        """See `Scope.call`."""
        return await self._scope.call(calls, sources=sources)

    async def note(self, event: RunEvent) -> None:
        """See `Scope.note`."""
        await self._scope.note(event)

    def key(self) -> str:
        """See `Scope.key`."""
        return self._scope.key()

    def branch(self, name: str, *, steps: int | None = None) -> Scope:
        """See `Scope.branch`."""
        own = self._scope.branch(name, steps=steps)
        return _Sample(own, self._number, self._temperature)

    def prompt(self, name: str, **values: Any) -> str:
        """See `Scope.prompt`."""
        return self._scope.prompt(name, **values)
