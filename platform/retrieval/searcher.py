"""Search, whole: query in, hits with every partial score and stage timings out.

What always holds: no hit comes from outside the searched collections or past a filter, and a hit's
text is what the database holds now; see `rostra.retrieval.finding`.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import UUID

from rostra.core import (
    Embedder,
    EmptyQuery,
    InvalidRequest,
    QueryTooLong,
    Settings,
    normalize_text,
)
from rostra.retrieval.finding import HitFinder
from rostra.retrieval.hits import Hit
from rostra.retrieval.indexes import Indexes
from rostra.retrieval.parents import expand
from rostra.retrieval.refine import Refiner, judged
from rostra.retrieval.request import SearchMode, SearchRequest, SearchResult
from rostra.retrieval.rerank import LateInteraction, Reranker
from rostra.retrieval.stopwatch import Stopwatch
from rostra.store import Database, page_starts

_MAX_COLLECTIONS = 20


class Searcher:
    """The one face of retrieval. Safe to share between tasks."""

    def __init__(
        self,
        database: Database,
        indexes: Indexes,
        embedder: Callable[[], Embedder],
        settings: Settings,
        reranker: Callable[[], Reranker | None] = lambda: None,
        late: LateInteraction | None = None,
    ) -> None:
        """Ties the parts together.

        Args:
            database: where collections and chunks are.
            indexes: kept up to date from it.
            embedder: called in a thread on first need; it may load a model.
            settings: fusion, shortlists and limits.
            reranker: likewise; None when no cross-encoder is set.
            late: reranks without one; None never does.
        """
        self._database = database
        self._indexes = indexes
        self._settings = settings
        self._refiner = Refiner(database, settings, reranker, late)
        self._finder = HitFinder(database, indexes, embedder, settings, self._refiner)

    def check(self, request: SearchRequest) -> SearchRequest:
        """Returns the request if it can be answered at all.

        Raises:
            EmptyQuery: there is no word in it.
            QueryTooLong: it is longer than `max_query_chars`.
            InvalidRequest: k or the collections are out of bounds, or a probability is asked for
                that one side alone cannot give.
        """
        if not request.query.strip():
            raise EmptyQuery("the query is empty", hint="Ask with at least one word.")
        if len(request.query) > self._settings.max_query_chars:
            raise QueryTooLong(
                f"the query has {len(request.query)} characters, "
                f"at most {self._settings.max_query_chars} are read",
                hint="Shorten it, or raise max_query_chars.",
            )
        if not 1 <= request.k <= self._settings.max_k:
            raise InvalidRequest(
                f"k is {request.k}, it must be from 1 to {self._settings.max_k}", field="k"
            )
        if request.per_document is not None and request.per_document < 1:
            raise InvalidRequest("per_document must be at least 1", field="per_document")
        for name in ("diversity", "min_probability"):
            given = getattr(request, name)
            if given is not None and not 0 <= given <= 1:
                raise InvalidRequest(f"{name} must be from 0 to 1", field=name)
        if request.min_probability is not None and request.mode is not SearchMode.HYBRID:
            raise InvalidRequest(
                "how likely a hit is relevant is known where both sides have scored it, and mode "
                f"{str(request.mode)!r} asks one",
                field="min_probability",
                hint="Search with mode `hybrid`, or leave `min_probability` out.",
            )
        if not 1 <= len(request.collections) <= _MAX_COLLECTIONS:
            raise InvalidRequest(f"search 1 to {_MAX_COLLECTIONS} collections at once")
        return request

    async def search(self, request: SearchRequest) -> SearchResult:
        """Finds the chunks that answer best.

        Raises:
            InvalidRequest: as `check` says; also `InvalidFilter`.
            CollectionNotFound: no collection of a given name.
            SpaceMismatch: the collections, or the settings' model, differ in embedding space.
            StoreUnavailable: an index can neither be read nor built.
        """
        request = self.check(replace(request, query=normalize_text(request.query)))
        watch = Stopwatch()
        with watch("total"):
            targets, found = await asyncio.to_thread(self._finder.begin, request, watch)
            if found is None:
                with watch("index"):
                    indexes = [await self._indexes.current(one.collection) for one in targets]
                found = await asyncio.to_thread(self._finder.find, request, targets, indexes, watch)
            refined = await self._refiner.refine(found.plan, request.query, found.hits, watch)
        hits, probability = judged(
            found.plan,
            refined.hits,
            found.term_weights,
            len(refined.hits) if request.candidates else request.k,
            request.min_probability,
        )
        return SearchResult(
            request.query,
            hits,
            watch.milliseconds,
            found.term_weights,
            refined.reranked,
            probability,
        )

    async def pages(self, places: Sequence[tuple[UUID, int]]) -> list[int | None]:
        """The page on which each place lies: a document and a code point of its text.

        None where the document has no pages, or is gone.
        """
        if not places:
            return []
        async with self._database.read() as session:
            starts = await page_starts(session, {document for document, _ in places})
        return [_page_at(starts.get(document, []), at) for document, at in places]

    async def passages(self, hits: Sequence[Hit]) -> list[Hit]:
        """The passages around hits, where stored with such; fewer where hits share one."""
        async with self._database.read() as session:
            return await expand(session, hits)

    def query_terms(self, text: str) -> list[str]:
        """The terms of a text, as the lexical side counts them."""
        return self._indexes.query_terms(text)


def _page_at(pages: Sequence[tuple[int, int]], at: int) -> int | None:
    before = bisect_right(pages, at, key=lambda page: page[0])
    return pages[before - 1][1] if before else None
