"""More tools than fit a prompt: the best for a query, and a tool that finds the others.

Words of names and descriptions are looked for as in any few texts, and where there is an embedder
their meaning too; see `TextIndex`.

What always holds: among fewer tools than are catalogued, `search_tools` is one; the same query over
the same tools gives the same tools in the same order; what tools say of themselves is no evidence.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Any

from rostra.agents.events import Effect
from rostra.agents.tools.catalog import MAX_TOOLS, Catalog
from rostra.agents.tools.tool import CallContext, StaticToolset, ToolInfo, ToolResult
from rostra.core import Embedder, FloatMatrix, FloatVector, RostraError, get_logger

log = get_logger(__name__)

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


class ToolVectors:
    """Makes indexes that go by meaning too; embeds each tool's text once, for all of them.

    The model is loaded when the first index is made. Where it cannot be had, words have to do.

    Args:
        embedder: loads or gives the model; may block.
        most: texts whose vectors are remembered; the longest unused go first.
    """

    def __init__(self, embedder: Callable[[], Embedder], *, most: int = 2 * MAX_TOOLS) -> None:
        self._embedder = embedder
        self._most = most
        self._vectors: OrderedDict[str, FloatVector] = OrderedDict()
        self._one = asyncio.Lock()

    async def index(self, tools: Sequence[ToolInfo]) -> ToolIndex:
        """An index of some tools."""
        texts = [_text(info) for info in tools if info.name != SEARCH_TOOLS]
        if not texts:
            return ToolIndex(tools)
        try:
            embedder = await asyncio.to_thread(self._embedder)
            async with self._one:
                vectors = await self._embedded(embedder, texts)
        except RostraError as error:
            log.warning("tools are found by words alone", reason=error.message)
            return ToolIndex(tools)
        return ToolIndex(tools, embedder, vectors)

    async def _embedded(self, embedder: Embedder, texts: Sequence[str]) -> FloatMatrix:
        import numpy as np  # What runs without an embedder do not need.

        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        made = await asyncio.to_thread(embedder.embed_documents, new) if new else ()
        known = self._vectors | dict(zip(new, made, strict=True))
        for text in texts:
            self._vectors[text] = known[text]
            self._vectors.move_to_end(text)
        while len(self._vectors) > self._most:
            self._vectors.popitem(last=False)
        return np.stack([known[text] for text in texts])


async def searchable(
    catalog: Catalog,
    indexed: Callable[[Sequence[ToolInfo]], Awaitable[ToolIndex]] | None = None,
    *,
    above: int = SHOWN,
) -> tuple[Catalog, ToolIndex]:
    """An index of a catalog's tools, and the catalog with `search_tools` if it has more than
    `above`.

    Args:
        indexed: makes the index of so many tools; None goes by words.
    """
    if len(catalog.tools) <= above:
        return catalog, ToolIndex(catalog.tools)
    index = await indexed(catalog.tools) if indexed is not None else ToolIndex(catalog.tools)

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
