"""What a query strategy is given, what it gives, and what it costs.

What always holds: a strategy only adds: queries beside the question, and conditions that narrow.
It cannot take the question's place, and cannot undo a filter that was asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from rostra.core import ChatMessage, ChatModel, QueryStrategyName
from rostra.store import Facet, Filters

# Of a query that a model wrote; longer ones are cut.
MOST_QUERY_CHARS = 300


@dataclass(frozen=True, slots=True)
class Query:
    """Something more to look for.

    Attributes:
        text: in words.
        is_passage: it reads like a document and is compared with documents as one.
    """

    text: str
    is_passage: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What a strategy is given.

    Attributes:
        question: to be searched for.
        turns: the conversation before, oldest first.
        facets: what documents can be filtered by, as far as the request leaves that open.
        by_meaning: whether vectors are searched, and not terms alone.
    """

    question: str
    turns: tuple[ChatMessage, ...] = ()
    facets: tuple[Facet, ...] = ()
    by_meaning: bool = True


@dataclass(frozen=True, slots=True)
class Budget:
    """Most that the strategies of one question may use together.

    Attributes:
        seconds: until the last one has to be done.
        tokens: that a model writes.
        queries: beside the question.
    """

    seconds: float
    tokens: int
    queries: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used.

    Attributes:
        estimated: whether a model did not count its tokens, or was broken off.
        cost: by the model's prices, 0 where it has none.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    cost: float = 0.0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a strategy adds.

    Attributes:
        queries: best first.
        filters: on fields that the request does not filter by.
    """

    queries: tuple[Query, ...] = ()
    filters: Filters = field(default_factory=dict)


class Nonsense(Exception):
    """What a model wrote cannot be used."""


class QueryStrategy(Protocol):
    """One way of adding to a question. Has no state; shared between tasks."""

    @property
    def name(self) -> QueryStrategyName: ...

    def applies(self, asked: Asked) -> bool:
        """Whether there is anything to ask a model about."""
        ...

    async def expand(self, asked: Asked, model: ChatModel, queries: int) -> Expansion:
        """Asks the model.

        Args:
            queries: most of them; more are left out.

        Raises:
            Nonsense: what it wrote cannot be used.
            RostraError: it cannot answer.
        """
        ...


class Outcome(StrEnum):
    """How a strategy ended."""

    USED = "used"
    NOTHING = "nothing"
    """The model was asked and added nothing new."""
    SKIPPED = "skipped"
    """There was nothing to ask it about."""
    TIMEOUT = "timeout"
    FAILED = "failed"
    NONSENSE = "nonsense"


@dataclass(frozen=True, slots=True)
class StrategyReport:
    """What became of one strategy.

    Attributes:
        queries: that were searched for, as the model wrote them.
    """

    name: QueryStrategyName
    outcome: Outcome
    queries: tuple[str, ...] = ()
    spent: Spent = Spent()


@dataclass(frozen=True, slots=True)
class ExpansionReport:
    """What was added to a question, and what it cost.

    Attributes:
        strategies: in the order they were asked for.
        filters: that were taken from the question.
        filters_dropped: no document passed them, so the search was repeated without.
        seconds: that all strategies took together, side by side.
    """

    strategies: tuple[StrategyReport, ...]
    filters: Mapping[str, object] = field(default_factory=dict)
    filters_dropped: bool = False
    seconds: float = 0.0
