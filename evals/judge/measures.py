"""What is told of a judge pair by pair: was it right, and did the order change its mind.

What always holds: these scores are means over pairs, so the harness reports, compares and gates
them like any others. A pair to which one order brought no verdict is unscored in all of them but
the accuracy of the other order: accuracy in one order alone would take a liking for the position
for knowledge. What is no mean over pairs stands in `evals.judge.report`.
"""

from collections.abc import Sequence
from typing import Any

from evals.core.measures import Better, Measure
from evals.core.scores import Score
from evals.core.states import State
from evals.judge.compare import Ballots, ballots_of
from evals.judge.pairs import Pair, Winner, pair_of
from evals.judge.verdicts import pairs_alike, votes_alike

ACCURACY = "accuracy"
IN_ORDER = "accuracy in order"
SWAPPED = "accuracy swapped"
BOTH_RIGHT = "both orders right"
CONSISTENCY = "consistency"
POSITION = "position bias"
LONGER = "prefers longer"
AGAIN = "same when asked again"
VOTES = "votes agree"

_MOST_SHOWN = 300  # characters of an answer that is no verdict
_NEITHER = Better.NEITHER
_MEASURES = (
    Measure(ACCURACY, unit="share"),
    Measure(IN_ORDER, unit="share"),
    Measure(SWAPPED, unit="share"),
    Measure(BOTH_RIGHT, unit="share"),
    Measure(CONSISTENCY, unit="share"),
    Measure(POSITION, better=_NEITHER, unit="signed"),
    Measure(LONGER, better=_NEITHER, unit="share"),
    Measure(AGAIN, unit="share"),
    Measure(VOTES, unit="share"),
)


class VerdictScorer:
    """Scores what `Compare` left in a state.

    - `accuracy`: share of verdicts that are the label, both orders averaged; `accuracy in order`
      and `accuracy swapped` are those of one order. Pairs without a label have no such scores.
    - `both orders right`: the label won in both.
    - `consistency`: the same won in both.
    - `position bias`: share of verdicts for the answer shown first minus that for the second. Each
      pair is shown in both orders, so what the answers deserve cancels out: it is the share of
      flips towards the first place minus that towards the second; -1 to 1, 0 is none.
    - `prefers longer`: share of verdicts for the longer answer, ties half; only where one is.
    - `same when asked again`: share of equal pairs of verdicts in one order; only where the judge
      was asked more than once.
    - `votes agree`: share of equal pairs of votes within a verdict; only of panels and of judges
      that vote with themselves.
    """

    @property
    def name(self) -> str:
        """Unique within a task."""
        return "verdicts"

    @property
    def measures(self) -> Sequence[Measure]:
        """See the class."""
        return _MEASURES

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`; the number is that of the definitions above."""
        return {"version": 1}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`.

        Raises:
            Unscored: the state has no ballots.
        """
        pair, ballots = pair_of(state.sample), ballots_of(state)
        scores = _right(pair, ballots)
        given, swapped = ballots.winners
        if given is None or swapped is None:
            lost = [CONSISTENCY, POSITION, *([] if pair.longer == "tie" else [LONGER])]
            scores += [_unscored(name, ballots.unscored, ballots) for name in lost]
        else:
            told = {"given": given, "swapped": swapped}
            scores += [
                Score(CONSISTENCY, float(given == swapped), data=told),
                Score(POSITION, towards_first(ballots)),
            ]
            if pair.longer != "tie":
                scores.append(Score(LONGER, preference(ballots, pair.longer)))
        if (again := _again(ballots)) is not None:
            scores.append(Score(AGAIN, again))
        if (agree := _votes_agree(ballots)) is not None:
            scores.append(Score(VOTES, agree))
        return scores


def towards_first(ballots: Ballots) -> float | None:
    """How much the judge sides with the answer shown first, -1 to 1; None as `preference`."""
    given, swapped = ballots.winners
    if given is None or swapped is None:
        return None
    return (_lead(given, "first") + _lead(swapped, "second")) / 2


def preference(ballots: Ballots, side: Winner) -> float | None:
    """How much the judge sides with an answer in both orders, 0 to 1, ties half.

    None where an order has no verdict, so that no order weighs more than the other.
    """
    given, swapped = ballots.winners
    if given is None or swapped is None:
        return None
    return (_lead(given, side) + _lead(swapped, side) + 2) / 4


def _right(pair: Pair, ballots: Ballots) -> list[Score]:
    if pair.label is None:
        return []
    winners = ballots.winners
    orders = zip((IN_ORDER, SWAPPED), winners, (ballots.given[0], ballots.swapped[0]), strict=True)
    scores = [
        _unscored(name, ballot.unscored or "no verdict", ballots)
        if winner is None
        else Score(name, float(winner == pair.label))
        for name, winner, ballot in orders
    ]
    if reason := ballots.unscored:
        return [_unscored(name, reason, ballots) for name in (ACCURACY, BOTH_RIGHT)] + scores
    right = [winner == pair.label for winner in winners]
    why = next((ballot.reason for ballot in ballots.given if ballot.reason), "")
    return [
        Score(ACCURACY, sum(right) / 2, why=why, data={"label": pair.label}),
        Score(BOTH_RIGHT, float(all(right))),
        *scores,
    ]


def _lead(winner: Winner, side: Winner) -> float:
    """1 for this answer, -1 for the other one, 0 for a tie."""
    return 0.0 if winner == "tie" else 1.0 if winner == side else -1.0


def _again(ballots: Ballots) -> float | None:
    shares = [
        pairs_alike([ballot.winner for ballot in cast if ballot.winner is not None])
        for cast in (ballots.given, ballots.swapped)
    ]
    known = [share for share in shares if share is not None]
    return sum(known) / len(known) if known else None


def _votes_agree(ballots: Ballots) -> float | None:
    asked = (ballots.given[0], ballots.swapped[0])
    shares = [share for ballot in asked if (share := votes_alike(ballot.votes)) is not None]
    return sum(shares) / len(shares) if shares else None


def _unscored(name: str, reason: str, ballots: Ballots) -> Score:
    asked = (ballots.given[0], ballots.swapped[0])
    why = next((ballot.reason for ballot in asked if ballot.winner is None), "")
    return Score(name, None, why=why[:_MOST_SHOWN], unscored=reason)
