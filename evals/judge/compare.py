"""Pairwise judging, each pair in both orders: the solver of an evaluation of judges.

What always holds: the judge is asked about a pair as often in the set's order as in the other;
what it says is kept by the set's order, so the same winner twice is consistency and another winner
is a flip. A pair whose winner flips with the order is a tie. A judge without a verdict leaves the
reason; a judge whose model fails makes the sample a failed one.
"""

from typing import Annotated, Any, Protocol

import msgspec

from evals.core.scores import Unscored
from evals.core.states import State, Usage
from evals.judge.ask import Judge, Question
from evals.judge.model import JudgeSaidNothing
from evals.judge.pairs import TURNED, Pair, Winner, pair_of
from evals.judge.rubrics import BrokenRubric, Rubric, find_rubric
from evals.judge.seeds import derived_seed
from evals.judge.verdicts import Verdict
from rostra.core import InvalidRequest

_MOST_TIMES = 100
_SHOWN = {"question", "answer_a", "answer_b"}
_BY_CHOICE: dict[str, Winner] = {"a": "first", "b": "second", "tie": "tie"}


class Ballot(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a judge said about a pair in one order.

    Attributes:
        winner: by the set's order; None if it gave no verdict.
        reason: its own words.
        unscored: why there is no verdict.
        votes: of a panel or of several samples, by the set's order.
    """

    winner: Winner | None
    reason: str = ""
    unscored: str = ""
    votes: dict[str, int] = {}
    usage: Usage = Usage()


class Ballots(msgspec.Struct, frozen=True):
    """All that a judge said about a pair, as `State.data` holds it.

    The first ballot of each order is the judge's verdict, as one gets it who asks once; the others
    only show whether it says the same again. A judge that is to vote with itself does so within a
    ballot (`ModelJudge.samples`).

    Attributes:
        given: in the set's order, one each time it was asked.
        swapped: in the other order.
    """

    given: Annotated[list[Ballot], msgspec.Meta(min_length=1)]
    swapped: Annotated[list[Ballot], msgspec.Meta(min_length=1)]

    @property
    def winners(self) -> tuple[Winner | None, Winner | None]:
        """The winner in each order, None where there is none."""
        return self.given[0].winner, self.swapped[0].winner

    @property
    def resolved(self) -> Winner | None:
        """The winner in both orders, a tie if they differ; None if one order has none."""
        given, swapped = self.winners
        if given is None or swapped is None:
            return None
        return given if given == swapped else "tie"

    @property
    def unscored(self) -> str:
        """Why an order has no winner; empty if both have one."""
        lost = [cast[0] for cast in (self.given, self.swapped) if cast[0].winner is None]
        return lost[0].unscored or "no verdict" if lost else ""


class PairJudge(Protocol):
    """Whoever can compare two answers; used from many coroutines at once."""

    @property
    def name(self) -> str: ...

    def config(self) -> dict[str, Any]: ...

    async def compare(self, pair: Pair, *, swapped: bool, seed: int) -> Ballot:
        """Says which answer is better.

        Args:
            swapped: show the second answer first.

        Raises:
            RostraError: a model that it needs failed.
        """
        ...


class Compare:
    """The solver: a judge over pairs.

    Args:
        times: how often each order is judged, with seeds of its own.

    Raises:
        InvalidRequest: `times` is out of its range.
    """

    def __init__(self, judge: PairJudge, *, times: int = 1) -> None:
        if not 1 <= times <= _MOST_TIMES:
            raise InvalidRequest(f"a judge is asked 1 to {_MOST_TIMES} times, not {times}")
        self._judge = judge
        self._times = times

    @property
    def name(self) -> str:
        """The judge's."""
        return self._judge.name

    def config(self) -> dict[str, Any]:
        """See `Solver.config`."""
        return {"judge": self._judge.config(), "times": self._times}

    async def __call__(self, state: State, seed: int) -> State:
        """See `Solver`.

        Raises:
            msgspec.ValidationError: the sample is no pair.
            RostraError: see `PairJudge.compare`.
        """
        pair = pair_of(state.sample)
        ballots = await both_orders(self._judge, pair, seed=seed, times=self._times)
        return msgspec.structs.replace(
            state,
            output=ballots.resolved or "",
            steps=2 * self._times,
            usage=sum((one.usage for one in [*ballots.given, *ballots.swapped]), Usage()),
            data={**state.data, "ballots": msgspec.to_builtins(ballots)},
        )


async def both_orders(judge: PairJudge, pair: Pair, *, seed: int, times: int = 1) -> Ballots:
    """Asks a judge about a pair in both orders.

    Raises:
        RostraError: see `PairJudge.compare`.
    """
    asked: dict[bool, list[Ballot]] = {False: [], True: []}
    for number in range(times):
        for swapped, ballots in asked.items():
            own = derived_seed(seed, number, int(swapped))
            ballots.append(await judge.compare(pair, swapped=swapped, seed=own))
    return Ballots(asked[False], asked[True])


def ballots_of(state: State) -> Ballots:
    """What a judge said about the pair of a state.

    Raises:
        Unscored: the state has no ballots.
    """
    if "ballots" not in state.data:
        raise Unscored("no judge was asked")
    return msgspec.convert(state.data["ballots"], Ballots)


class PairwiseJudge:
    """Any `Judge` as one of pairs, by a rubric of two answers.

    Args:
        rubric: takes `question`, `answer_a` and `answer_b`; says `a`, `b` and, maybe, `tie`.
        family: of systems that the judge is one of, where its name does not tell.

    Raises:
        BrokenRubric: there is no such rubric, or it is no such one.
    """

    def __init__(
        self, judge: Judge, rubric: Rubric | str = "pairwise", *, family: str = ""
    ) -> None:
        self._judge = judge
        self._rubric = find_rubric(rubric)
        self._family = family
        if set(self._rubric.values) != _SHOWN or not set(self._rubric.verdicts) <= set(_BY_CHOICE):
            raise BrokenRubric(f"rubric {self._rubric.name!r} does not compare two answers")

    @property
    def name(self) -> str:
        """The judge's."""
        return self._judge.name

    def config(self) -> dict[str, Any]:
        """See `PairJudge`."""
        told = {"rubric": f"{self._rubric.name} {self._rubric.version}", **self._judge.config()}
        return {**told, "family": self._family} if self._family else told

    async def compare(self, pair: Pair, *, swapped: bool, seed: int) -> Ballot:
        """See `PairJudge.compare`."""
        shown = (pair.second, pair.first) if swapped else (pair.first, pair.second)
        values = {"question": pair.question, "answer_a": shown[0], "answer_b": shown[1]}
        try:
            verdict = await self._judge.decide(Question(self._rubric, values), seed)
        except Unscored as unscored:
            usage = unscored.usage if isinstance(unscored, JudgeSaidNothing) else Usage()
            return Ballot(None, unscored.detail, unscored.reason, usage=usage)
        return ballot_of(verdict, swapped=swapped)


def ballot_of(verdict: Verdict, *, swapped: bool) -> Ballot:
    """A verdict about what was shown as one about the pair in the set's order."""

    def turned(choice: str) -> Winner:
        winner = _BY_CHOICE[choice]
        return TURNED[winner] if swapped else winner

    votes: dict[str, int] = {turned(said): count for said, count in verdict.votes.items()}
    return Ballot(
        turned(verdict.choice),
        verdict.reason,
        votes=votes if sum(votes.values()) > 1 else {},
        usage=verdict.usage,
    )
