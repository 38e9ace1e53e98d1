"""Faithfulness by claim, by a judge: does the text of its citations support each claim?"""

from collections.abc import Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score, Unscored
from evals.core.states import State
from evals.judge.ask import Judge
from evals.judge.rubrics import find_rubric
from evals.judge.scorers import ask_of_each, score_of_nothing
from evals.rag.scorers.faithfulness import evidence_of, rests_on_something

MOST_CLAIMS = 30


class JudgedFaithfulness:
    """The share of an answer's claims that a judge finds supported by their citations' text.

    A claim without a citation is not supported, and nobody is asked. Of a longer answer the first
    30 claims count. If the judge says nothing about one claim, the answer is unscored.
    """

    name = "faithfulness (judge)"

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._rubric = find_rubric("support")

    @property
    def measures(self) -> Sequence[Measure]:
        """One."""
        return (Measure(self.name, unit="share"),)

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {
            "rubric": f"{self._rubric.name} {self._rubric.version}",
            "most_claims": MOST_CLAIMS,
            "judge": self._judge.config(),
        }

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        if not rests_on_something(state):
            return ()
        claims = state.claims[:MOST_CLAIMS]
        evidence = [evidence_of(state, at) for at in range(len(claims))]
        shown = [
            {"claim": claim, "evidence": found} if found else None
            for claim, found in zip(claims, evidence, strict=True)
        ]
        try:
            verdicts, usage = await ask_of_each(self._judge, self._rubric, shown, seed=seed)
        except Unscored as unscored:
            return (score_of_nothing(self.name, unscored),)
        values = [verdict.value if verdict is not None else 0.0 for verdict in verdicts]
        why = next(
            (
                f"{claim[:200]}: {verdict.reason}" if verdict else f"no citation: {claim[:200]}"
                for claim, verdict in zip(claims, verdicts, strict=True)
                if verdict is None or not verdict.value
            ),
            "",
        )
        value = sum(values) / len(values)
        return (Score(self.name, value, why=why, data={"claims": values}, usage=usage),)
