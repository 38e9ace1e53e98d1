"""Pointwise judging of pairs: each answer by itself, by a rubric; the higher number wins.

What always holds: the judge never sees two answers at once, so the order cannot sway it; it is
asked for each order all the same, with seeds of their own, so that consistency tells whether it
says the same again. Equal numbers are a tie.
"""

from typing import Any

from evals.core.scores import Unscored
from evals.core.states import Usage
from evals.judge.ask import Judge, Question
from evals.judge.compare import Ballot, PairJudge, PairwiseJudge
from evals.judge.model import JudgeSaidNothing
from evals.judge.pairs import Pair, Winner
from evals.judge.rubrics import BrokenRubric, Rubric, find_rubric
from evals.judge.seeds import derived_seed

NO_REFERENCE = "the pair has no reference"
_SHOWN = {"question", "answer", "reference"}


class PointwiseJudge:
    """See this module.

    An empty answer has the lowest number, and nobody is asked.

    Args:
        rubric: takes `answer` and, maybe, `question` and `reference`.
        family: of systems that the judge is one of, where its name does not tell.

    Raises:
        BrokenRubric: there is no such rubric, or it is no such one.
    """

    def __init__(
        self, judge: Judge, rubric: Rubric | str = "helpfulness", *, family: str = ""
    ) -> None:
        self._judge = judge
        self._rubric = find_rubric(rubric)
        self._family = family
        if "answer" not in self._rubric.values or not set(self._rubric.values) <= _SHOWN:
            raise BrokenRubric(f"rubric {self._rubric.name!r} does not judge one answer")

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
        if "reference" in self._rubric.values and not pair.reference.strip():
            return Ballot(None, unscored=NO_REFERENCE)
        usage, numbers, reasons = Usage(), [], []
        for place, answer in enumerate(pair.answers):
            if not answer.strip():
                numbers.append(min(self._rubric.verdicts.values()))
                reasons.append("no answer")
                continue
            shown = {"question": pair.question, "answer": answer, "reference": pair.reference}
            values = {name: shown[name] for name in self._rubric.values}
            try:
                own = derived_seed(seed, place)
                verdict = await self._judge.decide(Question(self._rubric, values), own)
            except Unscored as unscored:
                lost = unscored.usage if isinstance(unscored, JudgeSaidNothing) else Usage()
                return Ballot(None, unscored.detail, unscored.reason, usage=usage + lost)
            usage += verdict.usage
            numbers.append(verdict.value)
            reasons.append(f"{verdict.choice}: {verdict.reason}")
        winner: Winner = "tie"
        if numbers[0] != numbers[1]:
            winner = "first" if numbers[0] > numbers[1] else "second"
        return Ballot(winner, f"first {reasons[0]}; second {reasons[1]}", usage=usage)


def judge_of_pairs(judge: Judge, rubric: Rubric | str, *, family: str = "") -> PairJudge:
    """A judge of pairs by a rubric of two answers, or by one of one answer.

    Raises:
        BrokenRubric: there is no such rubric, or it is neither.
    """
    found = find_rubric(rubric)
    kind = PairwiseJudge if "answer_a" in found.values else PointwiseJudge
    return kind(judge, found, family=family)
