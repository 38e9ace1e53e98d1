"""A panel: several judges over the same question, each with one vote.

What always holds: a judge that has no verdict, or whose model fails, loses its own vote alone, and
that is told; there is a verdict as long as one vote is left. How far the panel agreed is told by
`Verdict.votes` and `Verdict.agreement`, who chose what by `Verdict.by`.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from evals.core.scores import Unscored
from evals.core.states import Usage
from evals.judge.ask import Judge, Question
from evals.judge.compare import Ballot, PairJudge
from evals.judge.model import JudgeSaidNothing
from evals.judge.pairs import Pair, Winner
from evals.judge.seeds import derived_seed
from evals.judge.verdicts import Rule, Verdict, combine
from rostra.core import InvalidRequest, RostraError


class Panel:
    """See this module.

    Args:
        judges: two or more, with names of their own.
        rule: how votes become a verdict.

    Raises:
        InvalidRequest: there are fewer than two judges, or two have the same name.
    """

    def __init__(self, judges: Sequence[Judge], *, rule: Rule = "majority", name: str = "") -> None:
        names = _names(judges)
        self._judges = tuple(judges)
        self._rule: Rule = rule
        self._name = name or " + ".join(names)

    @property
    def name(self) -> str:
        """As it was given, or the names of its judges."""
        return self._name

    def config(self) -> dict[str, Any]:
        """See `Judge.config`."""
        return {
            "judge": "panel",
            "rule": self._rule,
            "judges": {judge.name: judge.config() for judge in self._judges},
        }

    async def decide(self, question: Question, seed: int) -> Verdict:
        """See `Judge.decide`.

        Raises:
            Unscored: no judge has a verdict.
        """
        said = await asyncio.gather(
            *(_vote(judge, question, derived_seed(seed, judge.name)) for judge in self._judges)
        )
        votes = [vote for vote in said if isinstance(vote, Verdict)]
        lost = Counter(vote.reason for vote in said if isinstance(vote, Unscored))
        usage = sum((_usage(vote) for vote in said), Usage())
        attempts = sum(vote.attempts for vote in said if not isinstance(vote, _Failed))
        if not votes:
            detail = "; ".join(
                f"{judge.name}: {vote.detail}"
                for judge, vote in zip(self._judges, said, strict=True)
                if isinstance(vote, Unscored)
            )
            raise JudgeSaidNothing(lost.most_common(1)[0][0], detail, usage, attempts)
        verdict = combine(votes, question.rubric.verdicts, self._rule)
        for vote in votes:
            lost.update(vote.lost)
        by = {
            judge.name: vote.choice if isinstance(vote, Verdict) else ""
            for judge, vote in zip(self._judges, said, strict=True)
        }
        return msgspec.structs.replace(
            verdict, by=by, lost=dict(lost), attempts=attempts, usage=usage
        )


class PairPanel:
    """Several judges over the same pairs: the winner of most of them, a tie if none has most.

    Args:
        judges: two or more, with names of their own.

    Raises:
        InvalidRequest: there are fewer than two judges, or two have the same name.
    """

    def __init__(self, judges: Sequence[PairJudge], *, name: str = "") -> None:
        names = _names(judges)
        self._judges = tuple(judges)
        self._name = name or " + ".join(names)

    @property
    def name(self) -> str:
        """As it was given, or the names of its judges."""
        return self._name

    def config(self) -> dict[str, Any]:
        """See `PairJudge`."""
        judges = {judge.name: judge.config() for judge in self._judges}
        return {"judge": "panel", "rule": "majority", "judges": judges}

    async def compare(self, pair: Pair, *, swapped: bool, seed: int) -> Ballot:
        """See `PairJudge.compare`; a member whose model fails loses its vote alone."""
        cast = await asyncio.gather(
            *(
                _ballot(judge, pair, swapped, derived_seed(seed, judge.name))
                for judge in self._judges
            )
        )
        votes = Counter(ballot.winner for ballot in cast if ballot.winner is not None)
        leading = [one for one, count in votes.items() if count == max(votes.values())]
        winner: Winner | None = None
        if leading:
            # As many for one answer as for the other: neither is better by this panel.
            winner = leading[0] if len(leading) == 1 else "tie"
        return Ballot(
            winner,
            next((ballot.reason for ballot in cast if ballot.winner == winner), ""),
            "" if winner else next(ballot.unscored for ballot in cast),
            votes={str(one): count for one, count in votes.items()},
            usage=sum((ballot.usage for ballot in cast), Usage()),
        )


def _names(judges: Sequence[Judge] | Sequence[PairJudge]) -> list[str]:
    names = [judge.name for judge in judges]
    if len(names) < 2 or len(set(names)) < len(names):
        raise InvalidRequest(f"a panel has two judges or more, each once, not {names}")
    return names


async def _ballot(judge: PairJudge, pair: Pair, swapped: bool, seed: int) -> Ballot:
    try:
        return await judge.compare(pair, swapped=swapped, seed=seed)
    except RostraError as error:
        return Ballot(None, error.message, f"the judge's model failed: {error.code}")


class _Failed(Unscored):
    """A judge whose model failed, or that gave no account of its attempts."""


async def _vote(
    judge: Judge, question: Question, seed: int
) -> Verdict | JudgeSaidNothing | _Failed:
    try:
        return await judge.decide(question, seed)
    except JudgeSaidNothing as nothing:
        return nothing
    except Unscored as unscored:
        return _Failed(unscored.reason, unscored.detail)
    except RostraError as error:
        return _Failed(f"the judge's model failed: {error.code}", error.message)


def _usage(vote: Verdict | JudgeSaidNothing | _Failed) -> Usage:
    return Usage() if isinstance(vote, _Failed) else vote.usage
