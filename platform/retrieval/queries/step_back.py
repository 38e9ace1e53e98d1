"""Step-back: the more general question behind a particular one, which names the principle.

After Zheng et al. 2023, "Take a Step Back".
"""

from rostra.core import ChatModel, QueryStrategyName
from rostra.retrieval.queries.asking import TEXT, ask_json, read_text, record
from rostra.retrieval.queries.expansion import Asked, Expansion, Query

_TASK = (
    "Ask the one more general question whose answer would explain the background of this one: the "
    "rule, the mechanism or the definition behind it."
)
_FORM = '{"question": "..."}'
_TOKENS = 100


class StepBack:
    """See this module."""

    name: QueryStrategyName = "step_back"

    def applies(self, asked: Asked) -> bool:
        """Always."""
        return True

    async def expand(self, asked: Asked, model: ChatModel, queries: int) -> Expansion:
        """One question."""
        schema = record(question=TEXT)
        said = await ask_json(model, _TASK, _FORM, asked, schema, tokens=_TOKENS)
        return Expansion((Query(read_text(said.get("question"))),)[:queries])
