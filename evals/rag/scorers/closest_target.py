"""The score of an answer by the closest of the right ones, which two measures share."""

from collections.abc import Callable, Sequence

from evals.core.scores import Score
from evals.core.states import State


def closest_target(
    name: str, state: State, likeness: Callable[[str, str], float]
) -> Sequence[Score]:
    """The greatest likeness of an answer to one of the targets.

    An answer that says that there is none has 0; without a target there is no score.

    Args:
        likeness: of an answer and a target, 0 to 1.
    """
    targets = state.sample.targets
    if not targets:
        return ()
    if state.abstained:
        return (Score(name, 0.0, why="said that there is no answer"),)
    return (Score(name, max(likeness(state.output, one) for one in targets)),)
