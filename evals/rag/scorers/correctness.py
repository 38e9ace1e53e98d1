"""Correctness by a judge: does the answer say what a right one says?"""

from collections.abc import Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import State
from evals.judge.ask import Judge
from evals.judge.scorers import ReferenceScorer


class JudgedCorrectness:
    """1 correct, 0.5 partly, 0 wrong, against the sample's targets.

    An answer that says that there is none is wrong without asking; without a target there is no
    score.
    """

    name = "correctness (judge)"

    def __init__(self, judge: Judge) -> None:
        self._scorer = ReferenceScorer(judge, name=self.name)

    @property
    def measures(self) -> Sequence[Measure]:
        """One."""
        return self._scorer.measures

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return self._scorer.config()

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        if state.sample.targets and state.abstained:
            return (Score(self.name, 0.0, why="said that there is no answer"),)
        return await self._scorer(state, seed)
