"""Multi-query: the same question in other words, so that one unlucky wording decides nothing."""

from rostra.core import ChatModel, QueryStrategyName
from rostra.retrieval.queries.asking import TEXT, ask_json, read_texts, record
from rostra.retrieval.queries.expansion import Asked, Expansion, Query

_TASK = (
    "Put the question into other words, up to three times: other terms for the same things, as "
    "different documents might use. Each must ask for the same and stand by itself."
)
_FORM = '{"queries": ["...", "..."]}'
_MOST = 3
_TOKENS = 200


class MultiQuery:
    """See this module."""

    name: QueryStrategyName = "multi"

    def applies(self, asked: Asked) -> bool:
        """Always."""
        return True

    async def expand(self, asked: Asked, model: ChatModel, queries: int) -> Expansion:
        """Up to three wordings."""
        most = min(_MOST, queries)
        schema = record(
            queries={"type": "array", "items": dict(TEXT), "minItems": 1, "maxItems": most}
        )
        said = await ask_json(model, _TASK, _FORM, asked, schema, tokens=_TOKENS)
        return Expansion(tuple(map(Query, read_texts(said.get("queries"), most))))
