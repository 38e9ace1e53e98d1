"""Did the run do what its task asks for?

A run succeeds if it came to an end of its own (an answer, or that there is none; not a spent
budget, nor waiting for somebody) and all that is expected of its answer, of the state of its world
and of abstaining holds. A sample of which none of these is expected has no score.
"""

from collections.abc import Sequence
from typing import Any

from evals.agents.repeats import success_measures
from evals.agents.scorers.facts import missing_facts
from evals.agents.scorers.state_checks import check_count, failed_checks
from evals.core.scores import Score
from evals.core.states import State
from rostra.agents import Status

SUCCESS = "task success"
_ENDS = (Status.COMPLETED, Status.ABSTAINED)


class TaskSuccess:
    """See this module.

    Args:
        repeats: attempts at each sample; with several, pass@n and pass^n are measured too.
    """

    name = SUCCESS

    def __init__(self, repeats: int = 1) -> None:
        self.measures = success_measures(SUCCESS, repeats)

    def config(self) -> dict[str, Any]:
        """Nothing can be chosen; the number of attempts is the task's."""
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """1 or 0, and what is wrong."""
        data = state.sample.data
        if not (data.get("facts") or check_count(state) or "abstains" in data):
            return []
        wrong: list[str] = []
        if state.data["status"] not in _ENDS:
            wrong.append(f"the run is {state.data['status']}")
        wrong += [f"not said: {fact}" for fact in missing_facts(state)]
        wrong += [f"not so: {check}" for check in failed_checks(state)]
        if "abstains" in data and data["abstains"] != state.abstained:
            wrong.append("it abstained" if state.abstained else "it did not abstain")
        return [Score(SUCCESS, float(not wrong), why="; ".join(wrong)[:1000])]
