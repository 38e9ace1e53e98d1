"""What judges say: one of a rubric's verdicts, with the reason, and how several become one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from evals.core.states import Usage

Rule = Literal["majority", "mean"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One judge's word, or what the words of several come to.

    Attributes:
        choice: one of the rubric's verdicts.
        value: the number that it counts for; of a panel that goes by the mean, the mean.
        reason: as the judge wrote it before its verdict; of several, of the first who chose so.
        votes: how many chose what.
        by: what each judge of a panel chose; empty is no verdict.
        lost: votes that could not be had, by the reason.
        attempts: questions to models.
    """

    choice: str
    value: float
    reason: str = ""
    votes: dict[str, int] = {}
    by: dict[str, str] = {}
    lost: dict[str, int] = {}
    attempts: int = 1
    usage: Usage = Usage()

    @property
    def agreement(self) -> float | None:
        """Share of pairs of votes that are equal, 0 to 1; None for fewer than two votes."""
        return votes_alike(self.votes)


def combine(
    verdicts: Sequence[Verdict], options: Mapping[str, float], rule: Rule = "majority"
) -> Verdict:
    """Several verdicts as one; each has one vote.

    By `majority` the most frequent wins. Of several equally frequent ones it is the one whose
    number is nearest to the mean of all votes, so that as many `a` as `b` are a `tie` where there
    is one; of equally near ones the lower, so that doubt never counts in favour. By `mean` the
    value is the mean of all, and the choice the verdict nearest to it.

    Args:
        verdicts: at least one.
        options: the rubric's verdicts and their numbers.
    """
    votes = Counter(verdict.choice for verdict in verdicts)
    mean = sum(verdict.value for verdict in verdicts) / len(verdicts)
    most = max(votes.values())
    if rule == "mean":
        open_to = list(options)
    elif sum(count == most for count in votes.values()) == 1:
        open_to = [choice for choice, count in votes.items() if count == most]
    else:
        # A draw: a verdict between those that are drawn may win too.
        drawn = [options[choice] for choice, count in votes.items() if count == most]
        open_to = [one for one in options if min(drawn) <= options[one] <= max(drawn)]
    choice = min(open_to, key=lambda one: (abs(options[one] - mean), options[one]))
    lost: Counter[str] = Counter()
    for verdict in verdicts:
        lost.update(verdict.lost)
    return Verdict(
        choice=choice,
        value=mean if rule == "mean" else options[choice],
        reason=next((one.reason for one in verdicts if one.choice == choice), verdicts[0].reason),
        votes={one: votes[one] for one in options if votes[one]},
        lost=dict(lost),
        attempts=sum(verdict.attempts for verdict in verdicts),
        usage=sum((verdict.usage for verdict in verdicts), Usage()),
    )


def votes_alike(votes: Mapping[str, int]) -> float | None:
    """Share of pairs of votes that are equal; None for fewer than two votes."""
    cast = sum(votes.values())
    if cast < 2:
        return None
    return sum(count * (count - 1) for count in votes.values()) / (cast * (cast - 1))


def pairs_alike(choices: Sequence[str]) -> float | None:
    """Share of pairs of choices that are equal; None for fewer than two."""
    return votes_alike(Counter(choices))
