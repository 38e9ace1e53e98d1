"""The share of a sample's checks that hold of the state in which a run left its world."""

from collections.abc import Sequence
from typing import Any

import msgspec

from evals.agents.matching import same
from evals.agents.own.checks import Check, holds
from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import State


class StateChecks:
    """See this module; a sample without `checks` and `whole` has no score."""

    name = "state checks"
    measures = (Measure("state checks", unit="share"),)

    def config(self) -> dict[str, Any]:
        """Nothing can be chosen."""
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """The share, and which do not hold."""
        total = check_count(state)
        if not total:
            return []
        failed = failed_checks(state)
        why = f"not so: {'; '.join(failed)}" if failed else ""
        return [Score(self.name, 1 - len(failed) / total, why=why[:1000])]


def check_count(state: State) -> int:
    """How many checks a sample has; the whole state is one."""
    data = state.sample.data
    return len(data.get("checks") or ()) + ("whole" in data)


def failed_checks(state: State) -> list[str]:
    """Those that do not hold, in words."""
    data, world = state.sample.data, state.data.get("world", {})
    rows = data.get("checks") or []
    failed = [str(row) for row in rows if not holds(msgspec.convert(row, Check), world)]
    if "whole" in data and not same(world, data["whole"]):
        failed.append("the state is another one")
    return failed
