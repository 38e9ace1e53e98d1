"""What all scopes of one execution of a run share: its journal, its numbers, what is set aside.

What always holds: a number of a sentence, once given, is that sentence's in every execution; what
is set aside for a question is given back when the question has ended.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rostra.agents.equipment import Guard, Limits, Tools
from rostra.agents.errors import BudgetSpent, RunPaused
from rostra.agents.events import Beside, Budget, ModelAnswered, ModelAsked, ToolEnded
from rostra.agents.journal import Journal
from rostra.agents.scope import Sentence
from rostra.agents.sentences import numbered
from rostra.core import ChatModel


@dataclass(slots=True)
class Shared:
    """What all scopes of one execution share.

    Attributes:
        models: by role; `main` is always there.
        ask_again: ask models what they have answered already, and compare.
        sources: untrusted sources that influenced the task, and so whatever is made of it.
        sentences: numbered from 1; a number without a sentence is one not seen in this execution.
    """

    run_id: str
    task: str
    user: str
    journal: Journal
    budget: Budget
    models: Mapping[str, ChatModel]
    tools: Tools
    guard: Guard
    prompts: Callable[[str, Mapping[str, Any]], str]
    limits: Limits = field(default_factory=Limits)
    workspace: str = ""
    ask_again: bool = False
    sources: tuple[str, ...] = ()
    sentences: list[Sentence] = field(default_factory=list)
    # Tokens set aside for questions that are being answered, and keys of calls about to begin.
    held: int = 0
    claimed: set[str] = field(default_factory=set)
    # Questions that are being answered, and the cost of the dearest answer so far, if there is one.
    asking: int = 0
    dearest: float | None = None
    # Most questions under keys that begin so.
    parts: dict[str, int] = field(default_factory=dict)
    # Of calls that are made side by side, by key.
    beside: dict[str, Beside] = field(default_factory=dict)
    _groups: dict[str, dict[int, ToolEnded]] = field(default_factory=dict)
    _firsts: dict[str, int] = field(default_factory=dict)
    # Why calls with a loan wait for a person, by key: they give nothing back before.
    resting: dict[str, str] = field(default_factory=dict)
    returned: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        # Numbers once given stay taken, in whatever order the scopes come to them.
        for record in self.journal.records:
            if isinstance(record.event, ToolEnded):
                self.take_in(record.event)
            elif isinstance(record.event, ModelAnswered):
                self.answered(record.event)

    def take_in(self, ended: ToolEnded) -> None:
        """Numbers an observation's sentences, in the order of the log.

        Those of calls side by side are numbered once all of them are there, in the calls' order.
        """
        if ended.beside is None:
            self._number(ended, ended.first)
            return
        group = self._groups.setdefault(ended.beside.group, {})
        group[ended.beside.place] = ended
        if len(group) == ended.beside.of:
            for _, one in sorted(group.items()):
                self._number(one, len(self.sentences) + 1)

    def sentences_of(self, ended: ToolEnded) -> tuple[Sentence, ...]:
        """An observation's numbered sentences, once all calls beside it have ended."""
        if ended.key not in self._firsts:
            # Beside it stand ends that were written before they told of each other.
            self._number(ended, ended.first or len(self.sentences) + 1)
        return numbered(ended, self._firsts[ended.key])

    def _number(self, ended: ToolEnded, first: int) -> None:
        found = numbered(ended, first)
        missing = first + len(found) - 1 - len(self.sentences)
        self.sentences += [Sentence(0, "", "")] * missing
        for sentence in found:
            self.sentences[sentence.number - 1] = sentence
        self._firsts[ended.key] = first

    def answered(self, answer: ModelAnswered) -> None:
        """Takes note of what an answer has cost."""
        self.dearest = max(self.dearest or 0.0, answer.usage.cost)

    def may_cost_more(self) -> bool:
        """Whether one more question beside those that are being answered may be too many.

        What an answer costs is known when it is there; until then each is taken to cost as much as
        the dearest one so far, and before any is known one is waited for.
        """
        most = self.budget.cost
        if most is None or not self.asking:
            return False
        if self.dearest is None:
            return True
        taken = self.journal.spent().cost + self.journal.loans.total.cost
        return taken + (self.asking + 1) * self.dearest > most

    def part_is_used(self, key: str) -> bool:
        """Whether a question under a key would be more than a part of the steps allows."""
        for prefix, most in self.parts.items():
            if key.startswith(prefix):
                asked = (r.event for r in self.journal.records if isinstance(r.event, ModelAsked))
                others = [one for one in asked if one.key.startswith(prefix) and one.key != key]
                if len(others) >= most:
                    return True
        return False

    def give_back(self, tokens: int) -> None:
        """Ends what `held` has of a question; wakes those that wait for it."""
        self.held -= tokens
        self.returned.set()
        self.returned = asyncio.Event()

    async def wait(self) -> None:
        """Waits until something that was set aside or lent may be had again.

        Raises:
            RunPaused: that may be only after a person's word.
        """
        busy = self.held or self.asking
        if not busy and self.resting and len(self.resting) >= len(self.journal.loans):
            raise RunPaused(next(iter(self.resting.values())), [])
        await self.returned.wait()

    def used_up(self, name: str) -> BudgetSpent:
        """The error of a budget that is spent, by its name."""
        most = getattr(self.budget, name)
        return BudgetSpent(
            f"the run has used its budget of {most} {name}",
            hint=f"Start it again with a larger budget of {name}, or fork it.",
            budget=name,
        )
