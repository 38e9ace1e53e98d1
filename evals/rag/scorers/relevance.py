"""Answer relevance: whether the answer speaks to the question, true or not."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import State
from evals.judge.ask import Judge
from evals.judge.scorers import RubricScorer
from rostra.core import Embedder


class AnswerRelevance:
    """The cosine of question and answer in the platform's embedding space.

    Only comparable within one embedding model: what is near depends on it. An answer that says that
    there is none gets no score.

    Args:
        embedder: loads it; called in a thread.
        space: fingerprint of its space.
    """

    name = "answer relevance"

    def __init__(self, embedder: Callable[[], Embedder], space: str) -> None:
        self._embedder = embedder
        self._space = space

    @property
    def measures(self) -> Sequence[Measure]:
        """One."""
        return (Measure(self.name, unit="signed"),)

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {"space": self._space}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        if not speaks(state):
            return ()
        value = await asyncio.to_thread(self._cosine, state.sample.input, state.output)
        return (Score(self.name, value),)

    def _cosine(self, question: str, answer: str) -> float:
        embedder = self._embedder()
        asked, said = embedder.embed_query(question), embedder.embed_documents([answer])[0]
        # Rounding of the vectors may lead a little past the ends of a cosine.
        return round(min(1.0, max(-1.0, float(asked @ said))), 6)


class JudgedRelevance:
    """1 relevant, 0.5 partly, 0 irrelevant, as a judge sees it."""

    name = "answer relevance (judge)"

    def __init__(self, judge: Judge) -> None:
        self._scorer = RubricScorer(judge, "relevance", name=self.name)

    @property
    def measures(self) -> Sequence[Measure]:
        """One."""
        return self._scorer.measures

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return self._scorer.config()

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        return await self._scorer(state, seed) if speaks(state) else ()


def speaks(state: State) -> bool:
    """Whether there is an answer that could be relevant."""
    return not state.abstained and bool(state.output.strip())
