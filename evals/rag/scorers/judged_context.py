"""Context precision by a judge: which of the passages found help to find the answer?"""

from collections.abc import Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score, Unscored
from evals.core.states import State
from evals.judge.ask import Judge
from evals.judge.rubrics import find_rubric
from evals.judge.scorers import ask_of_each, score_of_nothing
from evals.rag.samples import is_answerable
from evals.rag.scorers.context import ranked_precision

MOST_PASSAGES = 10


class JudgedContext:
    """Precision weighted by rank of the first ten passages, each judged by itself.

    Of a question that nothing answers there is no score. If the judge says nothing about one
    passage, the sample is unscored.
    """

    name = "context precision (judge)"

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._rubric = find_rubric("context")

    @property
    def measures(self) -> Sequence[Measure]:
        """One."""
        return (Measure(self.name, unit="share"),)

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {
            "rubric": f"{self._rubric.name} {self._rubric.version}",
            "most_passages": MOST_PASSAGES,
            "judge": self._judge.config(),
        }

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        passages = [passage for passage in state.passages if passage.text][:MOST_PASSAGES]
        if not passages or not is_answerable(state.sample):
            return ()
        shown = [
            {
                "question": state.sample.input,
                "reference": "\n".join(state.sample.targets),
                "passage": passage.text,
            }
            for passage in passages
        ]
        try:
            verdicts, usage = await ask_of_each(self._judge, self._rubric, shown, seed=seed)
        except Unscored as unscored:
            return (score_of_nothing(self.name, unscored),)
        useful = [verdict is not None and verdict.value >= 0.5 for verdict in verdicts]
        value = ranked_precision(useful)
        return (Score(self.name, value, data={"useful": useful}, usage=usage),)
