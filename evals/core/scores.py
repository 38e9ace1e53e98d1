"""Scores: numbers about one state, or the reason why there is none.

What always holds: a score's value is finite or None; where it is None a reason is given, and it is
counted as unscored, never as zero. A scorer that has nothing to say about a sample, such as the
recall of abstentions about a question that has an answer, gives no score at all.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from evals.core.measures import Measure
from evals.core.states import State, Usage


class Unscored(Exception):
    """Raised by a scorer that cannot tell; the message is a reason, the same for the same trouble.

    Args:
        reason: a few words.
        detail: of this sample alone, such as what could not be read.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class Score(msgspec.Struct, frozen=True, omit_defaults=True):
    """A number about a state.

    Attributes:
        value: None if it could not be told.
        why: for people: the judge's reason, or what was compared.
        unscored: why there is no value.
        data: what the number came from; JSON.
        usage: of the judge.
    """

    name: str
    value: float | None
    why: str = ""
    unscored: str = ""
    data: dict[str, Any] = {}
    usage: Usage = Usage()

    def __post_init__(self) -> None:
        if self.value is None and not self.unscored:
            raise ValueError(f"{self.name}: no value and no reason")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"{self.name}: {self.value} is no score")


class Scorer(Protocol):
    """See this module; used from many coroutines at once."""

    @property
    def name(self) -> str:
        """Of the scorer; unique within a task."""
        ...

    @property
    def measures(self) -> Sequence[Measure]:
        """What it gives scores for."""
        ...

    def config(self) -> dict[str, Any]:
        """All that its scores depend on, as JSON."""
        ...

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """Scores a state.

        Raises:
            Unscored: each of its measures counts as unscored.
            Exception: likewise, under the error's name.
        """
        ...
