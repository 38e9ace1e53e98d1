"""Faithfulness by claim, without a judge: is each claim supported by the text of its citations?

A claim is supported if it stands there word by word, or if all its numbers and at least 80 % of its
words of more than three letters do. That is a lower bar than meaning: words that are there may be
negated or belong to somebody else. `JudgedFaithfulness` reads them.
"""

import re
from collections.abc import Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import State
from evals.rag.text import words_of

LEAST_SHARE = 0.8
_SHORTEST = 4
_NUMBER = re.compile(r"\d")


class Faithfulness:
    """The share of an answer's claims that are supported; see this module.

    An answer without a claim gets no score, nor does one that rests on nothing: without passages
    and citations there is nothing to be faithful to.
    """

    name = "faithfulness"

    @property
    def measures(self) -> Sequence[Measure]:
        """One."""
        return (Measure(self.name, unit="share"),)

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {"least_share": LEAST_SHARE, "shortest": _SHORTEST}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        if not rests_on_something(state):
            return ()
        verdicts = [
            is_supported(claim, evidence_of(state, at)) for at, claim in enumerate(state.claims)
        ]
        wrong = [claim for claim, held in zip(state.claims, verdicts, strict=True) if not held]
        why = f"not supported: {wrong[0][:200]}" if wrong else ""
        return (Score(self.name, sum(verdicts) / len(verdicts), why=why),)


def rests_on_something(state: State) -> bool:
    """Whether there are claims, and documents that they could be supported by."""
    return bool(state.claims) and bool(state.citations or state.passages)


def evidence_of(state: State, claim: int) -> str:
    """The texts that a claim's citations quote; those of no claim support all of them."""
    quotes = (one.quote for one in state.citations if one.claim in (claim, -1))
    return "\n\n".join(dict.fromkeys(quotes))


def is_supported(claim: str, evidence: str) -> bool:
    """Whether words say so; see this module."""
    if not evidence:
        return False
    if " ".join(claim.split()) in " ".join(evidence.split()):
        return True
    there, said = set(words_of(evidence)), set(words_of(claim))
    if any(_NUMBER.search(word) and word not in there for word in said):
        return False
    telling = [word for word in said if len(word) >= _SHORTEST] or list(said)
    return bool(telling) and sum(word in there for word in telling) >= LEAST_SHARE * len(telling)
