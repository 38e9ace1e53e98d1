"""Faithfulness by claim, by a judge: does the text of its citations support each claim?"""

from collections.abc import Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score, Unscored
from evals.core.states import State, Usage
from evals.judge.ask import Judge, ask
from evals.judge.rubrics import find_rubric
from evals.judge.scorers import score_of_nothing
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
        values: list[float] = []
        why, usage = "", Usage()
        for at, claim in enumerate(state.claims[:MOST_CLAIMS]):
            evidence = evidence_of(state, at)
            if not evidence:
                values.append(0.0)
                why = why or f"no citation: {claim[:200]}"
                continue
            shown = {"claim": claim, "evidence": evidence}
            try:
                verdict = await ask(self._judge, self._rubric, shown, seed=seed + at)
            except Unscored as unscored:
                lost = score_of_nothing(self.name, unscored)
                return (
                    Score(
                        self.name,
                        None,
                        why=lost.why,
                        unscored=lost.unscored,
                        usage=usage + lost.usage,
                    ),
                )
            usage += verdict.usage
            values.append(verdict.value)
            if not verdict.value:
                why = why or f"{claim[:200]}: {verdict.reason}"
        value = sum(values) / len(values)
        return (Score(self.name, value, why=why, data={"claims": values}, usage=usage),)
