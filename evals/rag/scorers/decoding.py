"""How fast a generator answered: new tokens by second, its reading of the prompt included."""

from collections.abc import Sequence
from typing import Any

from evals.core.measures import Better, Measure
from evals.core.scores import Score
from evals.core.states import State
from evals.solvers.ask import MODEL_SECONDS


class Decoding:
    """Tokens by second and seconds of each answer that a generator made; others get no score."""

    name = "decoding"

    @property
    def measures(self) -> Sequence[Measure]:
        """Two, which depend on the machine and what else it did."""
        return (
            Measure("tokens/s", Better.NEITHER),
            Measure("model seconds", Better.NEITHER),
        )

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        seconds = state.data.get(MODEL_SECONDS)
        if not seconds or not state.usage.completion_tokens:
            return ()
        speed = state.usage.completion_tokens / seconds
        return Score("tokens/s", speed), Score("model seconds", seconds)
