"""The share of the expected facts that stand in an answer."""

import re
from collections.abc import Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import State

_SPACE = re.compile(r"\s+")


class FactRecall:
    """See this module; a sample without `facts` has no score."""

    name = "facts in answer"
    measures = (Measure("facts in answer", unit="share"),)

    def config(self) -> dict[str, Any]:
        """Nothing can be chosen."""
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """The share, and which are missing."""
        facts = state.sample.data.get("facts")
        if not facts:
            return []
        missing = missing_facts(state)
        why = f"missing: {'; '.join(missing)}" if missing else ""
        return [Score(self.name, 1 - len(missing) / len(facts), why=why[:1000])]


def missing_facts(state: State) -> list[str]:
    """Facts of which no form stands in the answer, whatever its case and whitespace."""
    said = _plain(state.output)
    facts = state.sample.data.get("facts") or []
    return [forms[0] for forms in facts if not any(_plain(form) in said for form in forms)]


def _plain(text: str) -> str:
    return _SPACE.sub(" ", text).strip().casefold()
