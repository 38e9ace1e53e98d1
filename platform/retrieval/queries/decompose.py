"""Decomposition: the parts of a question of several, each of which one document may answer."""

from rostra.core import ChatModel, QueryStrategyName
from rostra.retrieval.queries.asking import TEXT, ask_json, read_texts, record
from rostra.retrieval.queries.expansion import Asked, Expansion, Query

_TASK = (
    "Take the question apart into up to four simpler ones that together answer it, each about one "
    "fact and standing by itself. A question of one part stays as it is."
)
_FORM = '{"questions": ["...", "..."]}'
_MOST = 4
_TOKENS = 250


class Decomposition:
    """See this module."""

    name: QueryStrategyName = "decompose"

    def applies(self, asked: Asked) -> bool:
        """Always."""
        return True

    async def expand(self, asked: Asked, model: ChatModel, queries: int) -> Expansion:
        """Up to four questions."""
        most = min(_MOST, queries)
        schema = record(
            questions={"type": "array", "items": dict(TEXT), "minItems": 1, "maxItems": most}
        )
        said = await ask_json(model, _TASK, _FORM, asked, schema, tokens=_TOKENS)
        return Expansion(tuple(map(Query, read_texts(said.get("questions"), most))))
