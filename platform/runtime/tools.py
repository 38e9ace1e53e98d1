"""The user's documents as tools of agents: search, read, list.

What always holds: nothing here changes anything; what is shown of a document is verbatim and named
with its place, so that an answer can cite it; results are bounded.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from rostra.agents import (
    DocumentSpan,
    Effect,
    Origin,
    StaticToolset,
    ToolFailure,
    ToolResult,
    function_toolset,
)
from rostra.answer import Answerer, Question
from rostra.core import RostraError, parse_id
from rostra.retrieval import Searcher, SearchRequest
from rostra.store import (
    DEFAULT_COLLECTION,
    Database,
    get_collection,
    get_document,
    get_text,
    list_documents,
)

_MAX_QUERY = 1000
_MAX_HITS = 20
_MAX_DOCUMENTS = 50
_MAX_TEXT = 8000

CollectionName = Annotated[str, Field(max_length=128, description="Name of a collection.")]


def document_tools(
    database: Database,
    searcher: Searcher,
    collection: str = DEFAULT_COLLECTION,
    *,
    quotes: Answerer | None = None,
    query: str | None = None,
) -> StaticToolset:
    """The tools `search`, `read_document` and `list_documents`.

    Args:
        collection: searched where a call names none.
        quotes: an answerer without a generator; `search` then gives what it quotes, for models
            that choose sentences less well.
        query: the only one that such a `search` takes; None leaves it to the model.
    """

    async def read_document(
        document_id: Annotated[
            str, Field(max_length=64, description="As search and list_documents give it.")
        ],
        start: Annotated[int, Field(ge=0, le=10**9, description="First character.")] = 0,
        length: Annotated[int, Field(ge=1, le=_MAX_TEXT, description="Most characters.")] = 4000,
    ) -> ToolResult:
        """Read a document's text from a place on."""
        wanted = parse_id(document_id)
        if wanted is None:
            raise ToolFailure(f"{document_id!r} is no document id; search gives them.", began=False)
        try:
            async with database.read() as session:
                document = await get_document(session, wanted)
                end = min(document.length, start + length)
                text = await get_text(session, wanted, min(start, end), end)
        except RostraError as error:
            raise _failure(error) from error
        shown = _Shown()
        shown.add(f"{document.title}, {start} to {end} of {document.length}:\n")
        shown.quote(text, str(wanted), min(start, end))
        return shown.result()

    async def list_of_documents(
        contains: Annotated[
            str, Field(max_length=500, description="Part of a name or title; empty lists all.")
        ] = "",
        limit: Annotated[int, Field(ge=1, le=_MAX_DOCUMENTS, description="Most documents.")] = 20,
        collection: CollectionName = collection,
    ) -> ToolResult:
        """List a collection's documents by name."""
        try:
            async with database.read() as session:
                found = await get_collection(session, collection)
                items, total = await list_documents(
                    session, found.id, limit=limit, contains=contains
                )
        except RostraError as error:
            raise _failure(error) from error
        lines = [f"{item.id}: {item.title} ({item.uri})" for item in items]
        return ToolResult("\n".join([f"{total} documents.", *lines]), Origin.DOCUMENT)

    list_of_documents.__name__ = "list_documents"
    search = (
        _searching(searcher, collection) if quotes is None else _quoting(quotes, collection, query)
    )
    return function_toolset(search, read_document, list_of_documents, effect=Effect.READ)


def _searching(searcher: Searcher, default: str) -> Callable[..., Any]:
    """The tool `search` that gives passages."""

    async def search(
        query: Annotated[
            str,
            Field(min_length=1, max_length=_MAX_QUERY, description="What to look for, in words."),
        ],
        k: Annotated[int, Field(ge=1, le=_MAX_HITS, description="Most passages.")] = 5,
        collection: CollectionName = default,
    ) -> ToolResult:
        """Find the passages of the user's documents that match a query best."""
        try:
            found = await searcher.search(
                SearchRequest(query=query, collections=(collection,), k=k)
            )
        except RostraError as error:
            raise _failure(error) from error
        return _shown([(hit.title, hit.document_id, hit.start, hit.text) for hit in found.hits])

    return search


def _quoting(quotes: Answerer, default: str, only: str | None) -> Callable[..., Any]:
    """The tool `search` that gives the sentences which an answer would quote."""

    async def search(
        query: Annotated[
            str,
            Field(
                min_length=1,
                max_length=_MAX_QUERY,
                description="What to look for, in words.",
                json_schema_extra=None if only is None else {"const": only},
            ),
        ],
        collection: CollectionName = default,
    ) -> ToolResult:
        """Find the sentences of the user's documents that answer a question."""
        try:
            answer = await quotes.answer(Question(query.strip(), (collection,)))
        except RostraError as error:
            raise _failure(error) from error
        cited = answer.citations if answer.found else []
        return _shown([(one.title, one.document_id, one.start, one.quote) for one in cited])

    return search


def _shown(passages: Sequence[tuple[str, UUID, int, str]]) -> ToolResult:
    """Passages as (title, document, start, text), each under where it stands."""
    if not passages:
        return ToolResult("Nothing was found.", Origin.DOCUMENT, citable=False)
    shown = _Shown()
    for title, document_id, start, text in passages:
        shown.add(f"{title} (document {document_id}, from {start}):\n")
        shown.quote(text, str(document_id), start)
        shown.add("\n\n")
    return shown.result()


class _Shown:
    """A text of our words and of quotes, which knows where the quotes are."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._spans: list[DocumentSpan] = []

    def add(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)

    def quote(self, text: str, document_id: str, start: int) -> None:
        self._spans.append(DocumentSpan(self._length, document_id, start, start + len(text)))
        self.add(text)

    def result(self) -> ToolResult:
        return ToolResult("".join(self._parts).rstrip(), Origin.DOCUMENT, tuple(self._spans))


def _failure(error: RostraError) -> ToolFailure:
    hint = f" {error.hint}" if error.hint else ""
    return ToolFailure(f"{error.message}{hint}", began=False)
