"""Whether the generator that is set made the answer: quote mode answers for one that fails."""

from collections.abc import Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import State


class Generated:
    """1 if a generator made the answer, else 0; a system without the choice gets no score."""

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
        if not isinstance(mode, str):
            return ()
        return (Score(self.name, float(mode == "generate")),)
