"""Whether the generator that is set made the answer: quote mode answers for one that fails."""

from collections.abc import Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import State


class Generated:
    """1 if a generator made the answer, 0 if it was asked and did not; else no score."""

    name = "generated"

    @property
    def measures(self) -> Sequence[Measure]:
        """One."""
        return (Measure(self.name, unit="share"),)

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        mode = state.data.get("mode")
        was_made = mode == "generate"
        if mode is None or not (was_made or state.steps):
            return ()
        return (Score(self.name, float(was_made)),)
