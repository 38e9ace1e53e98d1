"""Scorers that ask a judge about an answer: by a rubric, against a reference, against a baseline.

What always holds: a judge that gives no verdict leaves a score without a value, with its reason and
what was used up; a scorer gives no score where the sample lacks what its rubric needs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score, Unscored
from evals.core.states import State, Usage
from evals.judge.ask import Judge, ask
from evals.judge.compare import PairwiseJudge, both_orders
from evals.judge.model import JudgeSaidNothing
from evals.judge.pairs import Pair, Winner
from evals.judge.rubrics import BrokenRubric, Rubric, find_rubric
from evals.judge.verdicts import Verdict

_POINTS: Mapping[Winner, float] = {"first": 1.0, "tie": 0.5, "second": 0.0}


class RubricScorer:
    """How good an answer is by a rubric, 0 to 1 in those of the library.

    The rubric may take `question`, `answer`, `reference` (the sample's targets, a line each) and
    `passages`; without a target a rubric that takes a reference gives no score.

    Args:
        name: of the scorer and its measure; the rubric's by default.

    Raises:
        BrokenRubric: there is no such rubric, or it takes other values.
    """

    def __init__(
        self, judge: Judge, rubric: Rubric | str = "helpfulness", *, name: str = ""
    ) -> None:
        self._judge = judge
        self._rubric = find_rubric(rubric)
        self._name = name or self._rubric.name
        if unknown := set(self._rubric.values) - {"question", "answer", "reference", "passages"}:
            raise BrokenRubric(f"rubric {self._rubric.name!r} takes {', '.join(sorted(unknown))}")

    @property
    def name(self) -> str:
        """As it was given."""
        return self._name

    @property
    def measures(self) -> Sequence[Measure]:
        """One, by the scorer's name."""
        return (Measure(self._name, unit="share"),)

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        version = f"{self._rubric.name} {self._rubric.version}"
        return {"rubric": version, "judge": self._judge.config()}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        sample = state.sample
        if "reference" in self._rubric.values and not sample.targets:
            return ()
        if not state.output.strip():
            return (Score(self._name, min(self._rubric.verdicts.values()), why="no answer"),)
        shown = {
            "question": sample.input,
            "answer": state.output,
            "reference": "\n".join(sample.targets),
            "passages": "\n\n".join(passage.text for passage in state.passages),
        }
        values = {name: shown[name] for name in self._rubric.values}
        try:
            verdict = await ask(self._judge, self._rubric, values, seed=seed)
        except Unscored as unscored:
            return (score_of_nothing(self._name, unscored),)
        return (score_of(self._name, verdict),)


class ReferenceScorer(RubricScorer):
    """Whether an answer says what one of the sample's targets says."""

    def __init__(
        self, judge: Judge, rubric: Rubric | str = "correctness", *, name: str = "correctness"
    ) -> None:
        super().__init__(judge, rubric, name=name)
        if "reference" not in self._rubric.values:
            raise BrokenRubric(f"rubric {self._rubric.name!r} takes no reference")


class PairScorer:
    """How an answer does against a baseline's: 1 better, 0.5 a tie, 0 worse, in both orders.

    The baseline's answer stands in `Sample.data`; a sample without one gets no score.

    Args:
        judge: sees both answers; who prefers one in one order and the other in the other says tie.
        baseline: the key of the baseline's answer.
    """

    def __init__(
        self,
        judge: Judge,
        *,
        baseline: str = "baseline",
        rubric: Rubric | str = "pairwise",
        name: str = "win rate",
    ) -> None:
        self._judge = PairwiseJudge(judge, rubric)
        self._baseline = baseline
        self._name = name

    @property
    def name(self) -> str:
        """As it was given."""
        return self._name

    @property
    def measures(self) -> Sequence[Measure]:
        """The share of wins, and how often both orders had the same winner."""
        return (
            Measure(self._name, unit="share"),
            Measure(f"{self._name} consistency", unit="share"),
        )

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {"baseline": self._baseline, "judge": self._judge.config()}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        other = state.sample.data.get(self._baseline)
        if not isinstance(other, str):
            return ()
        pair = Pair(
            id=state.sample.id,
            question=state.sample.input,
            first=state.output,
            second=other,
            labels=[],
            label=None,
        )
        ballots = await both_orders(self._judge, pair, seed=seed)
        asked = [*ballots.given, *ballots.swapped]
        usage = sum((ballot.usage for ballot in asked), Usage())
        names = [measure.name for measure in self.measures]
        winner = ballots.resolved
        if winner is None:
            told = next((ballot.reason for ballot in asked if ballot.unscored), "")
            why = ballots.unscored
            return (
                Score(names[0], None, why=told, unscored=why, usage=usage),
                Score(names[1], None, unscored=why),
            )
        given, swapped = ballots.winners
        data = {"given": given, "swapped": swapped}
        return (
            Score(names[0], _POINTS[winner], why=asked[0].reason, data=data, usage=usage),
            Score(names[1], float(given == swapped)),
        )


async def ask_of_each(
    judge: Judge,
    rubric: Rubric,
    shown: Sequence[Mapping[str, str] | None],
    *,
    seed: int,
) -> tuple[list[Verdict | None], Usage]:
    """A judge's verdicts about the parts of an answer, one after the other.

    Args:
        shown: a part each; about None nobody is asked.

    Returns:
        verdicts, None for those, and what all of them used up.

    Raises:
        Unscored: there is no verdict about one part; with what was used up till then.
        BrokenRubric, RostraError: see `ask`.
    """
    verdicts: list[Verdict | None] = []
    usage, attempts = Usage(), 0
    for at, values in enumerate(shown):
        if values is None:
            verdicts.append(None)
            continue
        try:
            verdict = await ask(judge, rubric, values, seed=seed + at)
        except Unscored as lost:
            used = lost.usage if isinstance(lost, JudgeSaidNothing) else Usage()
            asked = attempts + (lost.attempts if isinstance(lost, JudgeSaidNothing) else 1)
            raise JudgeSaidNothing(lost.reason, lost.detail, usage + used, asked) from lost
        usage += verdict.usage
        attempts += verdict.attempts
        verdicts.append(verdict)
    return verdicts, usage


def score_of(name: str, verdict: Verdict) -> Score:
    """A verdict as a score, with the votes behind it."""
    data: dict[str, Any] = {"verdict": verdict.choice, "votes": verdict.votes}
    if verdict.by:
        data["by"] = verdict.by
    if verdict.lost:
        data["lost"] = verdict.lost
    if verdict.agreement is not None:
        data["agreement"] = verdict.agreement
    return Score(name, verdict.value, why=verdict.reason, data=data, usage=verdict.usage)


def score_of_nothing(name: str, unscored: Unscored) -> Score:
    """The score of a judge that gave no verdict, with what it used up."""
    usage = unscored.usage if isinstance(unscored, JudgeSaidNothing) else Usage()
    return Score(name, None, why=unscored.detail, unscored=unscored.reason, usage=usage)
