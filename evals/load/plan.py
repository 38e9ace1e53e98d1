"""What is sent, and when: the plan that a run of the generator carries out.

What always holds: a plan is complete before its first request is sent, so that nothing an endpoint
does changes what it is sent or when; equal seeds give equal plans.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from evals.load.errors import InvalidTraffic

# Of one rate. Timings of every piece of every answer are kept until the rate is measured.
MAX_REQUESTS = 20_000
# Of a prompt or an answer; more than any model's context that this is meant for.
MAX_TOKENS = 1_000_000
# Of all prompts of a rate together, which are held in memory.
MAX_CHARS = 256 * 1024 * 1024

Message = Mapping[str, Any]

# Frequent enough to be one token each in the vocabularies of most models of English.
_WORDS = [
    "about",
    "after",
    "all",
    "also",
    "and",
    "any",
    "are",
    "because",
    "been",
    "before",
    "but",
    "can",
    "could",
    "did",
    "first",
    "for",
    "from",
    "had",
    "has",
    "have",
    "her",
    "him",
    "his",
    "how",
    "into",
    "its",
    "like",
    "made",
    "many",
    "may",
    "more",
    "most",
    "must",
    "new",
    "not",
    "now",
    "one",
    "only",
    "other",
    "our",
    "out",
    "over",
    "said",
    "she",
    "should",
    "some",
    "such",
    "than",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "these",
    "they",
    "this",
    "time",
    "two",
    "under",
    "was",
    "water",
    "way",
    "were",
    "what",
    "when",
    "where",
    "which",
    "who",
    "will",
    "with",
    "work",
    "would",
    "year",
    "you",
    "your",
]


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """One request.

    Attributes:
        at: seconds after the start.
        messages: as the endpoint gets them.
        max_tokens: most new tokens.
        session: requests of one share the beginning of their prompts; None knows of none.
    """

    at: float
    messages: tuple[Message, ...]
    max_tokens: int
    session: str | None = None

    @property
    def chars(self) -> int:
        """Of the prompt, roughly."""
        return sum(len(str(message.get("content", ""))) for message in self.messages)


@dataclass(frozen=True, slots=True)
class TokenRuler:
    """How many words make a prompt of so many tokens, for a model whose tokenizer is not known.

    Attributes:
        per_word: tokens of a word of ours.
        overhead: tokens of a prompt without words: the chat template's.
        measured: told by the endpoint; otherwise a word counts as a token.
    """

    per_word: float = 1.0
    overhead: float = 0.0
    measured: bool = False

    def words(self, tokens: int) -> int:
        """How many words; at least one."""
        return max(1, round((tokens - self.overhead) / self.per_word))


def text_of(words: int, random: Random) -> str:
    """So many random words."""
    return " ".join(random.choices(_WORDS, k=words))


def user_message(text: str) -> Message:
    """The text as what a user says."""
    return {"role": "user", "content": text}


def bounded(requests: Iterable[PlannedRequest]) -> list[PlannedRequest]:
    """The requests as a plan.

    Raises:
        InvalidTraffic: they are more, or longer together, than is held in memory.
    """
    plan: list[PlannedRequest] = []
    chars = 0
    for request in requests:
        chars += request.chars
        if len(plan) == MAX_REQUESTS:
            raise InvalidTraffic(f"more than {MAX_REQUESTS:,} requests at one rate")
        if chars > MAX_CHARS:
            raise InvalidTraffic(
                f"the prompts of one rate have more than {MAX_CHARS:,} characters",
                hint="Send fewer or shorter ones.",
            )
        plan.append(request)
    return plan


class Traffic(Protocol):
    """Where plans come from."""

    @property
    def needs_ruler(self) -> bool:
        """Whether prompts are made to a length in tokens."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the figures has to know of this traffic."""
        ...

    def mean_rate(self) -> float | None:
        """Requests per second that the traffic has by itself; None if it has none."""
        ...

    def plan(self, rate: float | None, turn: int, ruler: TokenRuler) -> list[PlannedRequest]:
        """The requests of one rate, in the order they are sent.

        Args:
            rate: requests per second; None takes the traffic's own.
            turn: a number that no other plan of the same report has: prompts made here are new for
                each, so that no prefix cache knows them from the rate before.

        Raises:
            InvalidTraffic: the traffic has no rate, or cannot have this one.
        """
        ...

    def to_dict(self) -> dict[str, Any]:
        """What was asked for, as the report tells it."""
        ...
