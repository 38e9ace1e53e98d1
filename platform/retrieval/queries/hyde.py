"""HyDE: a passage as it could stand in the documents, compared with them as one.

A question and its answer are worded differently; two passages that say the same are not (Gao, Ma,
Lin & Callan 2022, "Precise Zero-Shot Dense Retrieval without Relevance Labels").

What always holds: the passage takes part on the dense side only: terms that a model made up find
nothing by themselves.
"""

from rostra.core import ChatModel, QueryStrategyName
from rostra.retrieval.queries.asking import TEXT, ask_json, read_text, record
from rostra.retrieval.queries.expansion import Asked, Expansion, Query

_TASK = (
    "Write the passage of two to four sentences that would answer the question, as it could stand "
    "in such documents and in their language. Plain statements; do not speak of the question."
)
_FORM = '{"passage": "..."}'
_MOST_CHARS = 800
_TOKENS = 250


class Hyde:
    """See this module."""

    name: QueryStrategyName = "hyde"

    def applies(self, asked: Asked) -> bool:
        """Where vectors are searched."""
        return asked.by_meaning

    async def expand(self, asked: Asked, model: ChatModel, queries: int) -> Expansion:
        """One passage."""
        schema = record(passage=TEXT)
        said = await ask_json(model, _TASK, _FORM, asked, schema, tokens=_TOKENS)
        passage = read_text(said.get("passage"), _MOST_CHARS)
        return Expansion((Query(passage, is_passage=True),)[:queries])
