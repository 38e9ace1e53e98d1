"""More tools than fit a prompt: the best for a query, and a tool that finds the others.

Words of names and descriptions are looked for as in any few texts, and where there is an embedder
their meaning too; see `TextIndex`.

What always holds: among fewer tools than are catalogued, `search_tools` is one; the same query over
the same tools gives the same tools in the same order; what tools say of themselves is no evidence.
"""

import asyncio
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from rostra.agents.events import Effect
from rostra.agents.tools.catalog import Catalog
from rostra.agents.tools.tool import CallContext, StaticToolset, ToolInfo, ToolResult
from rostra.core import Embedder, FloatMatrix

SEARCH_TOOLS = "search_tools"
SHOWN = 20
MOST_FOUND = 20
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|\d+")
_INDEXED_CHARACTERS = 2000
_SHOWN_CHARACTERS = 300

SEARCH_INFO = ToolInfo(
    SEARCH_TOOLS,
    "Finds tools by what they do. Not all tools are shown; those found here can be called.",
    {
        "type": "object",
        "properties": {
            "query": {
                "type": "string",
                "minLength": 1,
                "maxLength": 400,
                "description": "What the tool should do, in a few words.",
            },
            "limit": {"type": "integer", "minimum": 1, "maximum": MOST_FOUND, "default": 5},
        },
        "required": ["query"],
        "additionalProperties": False,
    },
    Effect.READ,
)


class ToolIndex:
    """Finds tools by words, and by meaning where `build` is given an embedder."""

    def __init__(
        self,
        tools: Sequence[ToolInfo],
        embedder: Embedder | None = None,
        vectors: FloatMatrix | None = None,
    ) -> None:
        """Takes unit vectors of the tools' texts, float32 [tools, dimensions], with an embedder."""
        # Here, because it imports what the rest of a run does not need.
        from rostra.retrieval import TextIndex

        self._tools = tuple(info for info in tools if info.name != SEARCH_TOOLS)
        texts = [_text(info) for info in self._tools]
        self._index = TextIndex(texts, vectors, _NamesAndWords())
        self._embedder = embedder

    @classmethod
    async def build(
        cls, tools: Sequence[ToolInfo], embedder: Embedder | None = None
    ) -> "ToolIndex":
        """An index; embedding runs in a thread, a time for all tools."""
        if embedder is None or not tools:
            return cls(tools)
        texts = [_text(info) for info in tools if info.name != SEARCH_TOOLS]
        return cls(tools, embedder, await asyncio.to_thread(embedder.embed_documents, texts))

    async def best(self, query: str, k: int = SHOWN) -> list[ToolInfo]:
        """At most `k` tools, best first; `search_tools` last, unless these are all there are."""
        if len(self._tools) <= k:
            return list(self._tools)
        return [*await self.find(query, k - 1), SEARCH_INFO]

    async def choose(self, query: str, tools: Sequence[ToolInfo]) -> list[ToolInfo]:
        """The best of some of the tools, as `best`; what strategies take as a chooser."""
        allowed = {info.name for info in tools}
        ranked = await self.find(query, len(self._tools))
        return [info for info in ranked if info.name in allowed][: SHOWN - 1]

    async def find(self, query: str, k: int) -> list[ToolInfo]:
        """The `k` best, best first; equally good ones in the catalog's order.

        Where fewer fit the query, those that do not fill up.
        """
        if not self._tools or k < 1:
            return []
        vector = None
        if self._embedder is not None:
            vector = await asyncio.to_thread(self._embedder.embed_query, query)
        found = self._index.best(query, k, vector)
        fit = set(found)
        rest = (at for at in range(len(self._tools)) if at not in fit)
        return [self._tools[at] for at in [*found, *islice(rest, k - len(found))]]


async def searchable(
    catalog: Catalog, embedder: Embedder | None = None, *, above: int = SHOWN
) -> tuple[Catalog, ToolIndex]:
    """An index of a catalog's tools, and the catalog with `search_tools` if it has more than
    `above`."""
    index = await ToolIndex.build(catalog.tools, embedder)
    if len(catalog.tools) <= above:
        return catalog, index

    async def search(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        found = await index.find(arguments["query"], arguments.get("limit", 5))
        lines = [f"- {info.name}: {_first_words(info.description)}" for info in found]
        names = [info.name for info in found]
        return ToolResult("\n".join(lines), structured=names, citable=False)

    return catalog.with_toolset([SEARCH_INFO], StaticToolset(((SEARCH_INFO, search),))), index


def _text(info: ToolInfo) -> str:
    parameters = info.parameters.get("properties")
    names = " ".join(parameters) if isinstance(parameters, dict) else ""
    return f"{info.name} {info.description[:_INDEXED_CHARACTERS]} {names[:_INDEXED_CHARACTERS]}"


class _NamesAndWords:
    """Stems of the words, names in camel or snake case taken apart."""

    name = "names-and-words"

    def __init__(self) -> None:
        import Stemmer

        self._stem = Stemmer.Stemmer("english")

    def terms(self, text: str) -> list[str]:
        """See `Analyzer.terms`."""
        words: list[str] = self._stem.stemWords([word.casefold() for word in _WORD.findall(text)])
        return words


def _first_words(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}..."
