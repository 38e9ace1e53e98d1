"""Conversational rewriting: a follow-up as a question that stands by itself.

What always holds: without turns before it a question is not rewritten, and no model is asked. What
comes of it is what the other strategies work on.
"""

from rostra.core import ChatModel, QueryStrategyName
from rostra.retrieval.queries.asking import TEXT, ask_json, read_text, record
from rostra.retrieval.queries.expansion import Asked, Expansion, Query

_TASK = (
    "The question follows the turns before it. Write it so that it can be understood without them: "
    "put the things it points back to in place of `it`, `that` and the like, and add nothing else. "
    "If it stands by itself already, repeat it."
)
_FORM = '{"question": "..."}'
_TOKENS = 150


class Rewriting:
    """See this module."""

    name: QueryStrategyName = "rewrite"

    def applies(self, asked: Asked) -> bool:
        """To follow-ups."""
        return bool(asked.turns)

    async def expand(self, asked: Asked, model: ChatModel, queries: int) -> Expansion:
        """One question."""
        schema = record(question=TEXT)
        said = await ask_json(model, _TASK, _FORM, asked, schema, tokens=_TOKENS)
        return Expansion((Query(read_text(said.get("question"))),)[:queries])
