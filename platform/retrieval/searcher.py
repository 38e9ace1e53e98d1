"""Search, whole: query in, hits with every partial score and stage timings out.

What always holds: filters mask both sides before anything is ranked and are checked again on the
rows that hits are filled in from; every candidate of the union has both scores before fusion; equal
rows give equal hits, ties included. A hit's text is what the database holds now.
"""

import asyncio
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

import numpy as np

from rostra.core import (
    Embedder,
    EmptyQuery,
    FloatVector,
    InvalidRequest,
    QueryTooLong,
    Settings,
    SpaceMismatch,
    StoreUnavailable,
    normalize_text,
)
from rostra.retrieval.candidates import Candidates, OpenCollection, find_candidates
from rostra.retrieval.fuse import fuse
from rostra.retrieval.hits import Hit, HitScores, hit_of
from rostra.retrieval.index import CollectionIndex
from rostra.retrieval.indexes import Indexes
from rostra.retrieval.lexical import (
    DamagedIndex,
    LexicalQuery,
    ParsedQuery,
    parse_query,
    term_weight,
)
from rostra.retrieval.once import once_each
from rostra.retrieval.parents import expand
from rostra.retrieval.refine import Plan, Refiner, judged
from rostra.retrieval.rerank import LateInteraction, Reranker
from rostra.store import (
    DEFAULT_COLLECTION,
    ChunkRecord,
    Collection,
    Database,
    Filters,
    chunk_records,
    get_collection,
    matching_ids,
    page_starts,
    twin_groups,
)

_MAX_COLLECTIONS = 20


class SearchMode(StrEnum):
    """Which sides find candidates."""

    HYBRID = "hybrid"
    DENSE = "dense"
    LEXICAL = "lexical"


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What to look for.

    Attributes:
        query: in words.
        collections: names; several are ranked as one, their vectors must be of one space.
        k: most hits.
        mode: which sides find candidates.
        filters: see `rostra.store.Filters`.
        rerank: read the best hits with the reranker; None does so as the settings say.
        per_document: most hits of one document; None sets no limit.
        diversity: how much hits that resemble better ones are put back, 0 to 1; None takes the
            setting.
        min_probability: leave out hits that are less likely relevant; needs a tuned collection.
        candidates: return every candidate, whatever `k`, fused and nothing more.
        operators: read "words in quotes" as a phrase that must occur, and word* as the terms that
            start so; else they are words like others.
    """

    query: str
    collections: tuple[str, ...] = (DEFAULT_COLLECTION,)
    k: int = 10
    mode: SearchMode = SearchMode.HYBRID
    filters: Filters = field(default_factory=dict)
    rerank: bool | None = None
    per_document: int | None = None
    diversity: float | None = None
    min_probability: float | None = None
    candidates: bool = False
    operators: bool = False


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What was found.

    Attributes:
        query: as asked.
        hits: best first.
        timings_ms: how long each stage took.
        term_weights: how much each of the query's terms matters, above 0; see `term_weight`.
        reranked: whether a reranker had its say; not when it took too long.
        probability: how likely the likeliest hit is relevant; None where nothing was tuned.
    """

    query: str
    hits: list[Hit]
    timings_ms: dict[str, float]
    term_weights: dict[str, float] = field(default_factory=dict)
    reranked: bool = False
    probability: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As the CLI's `--json` and the API print it."""
        body = asdict(self)
        del body["term_weights"]
        return body


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
        self._embedder = embedder
        self._refiner = Refiner(database, settings, reranker, late)
        self._settings = settings

    def check(self, request: SearchRequest) -> SearchRequest:
        """Returns the request if it can be answered at all.

        Raises:
            EmptyQuery: there is no word in it.
            QueryTooLong: it is longer than `max_query_chars`.
            InvalidRequest: k or the collections are out of bounds.
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
        watch = _Stopwatch()
        with watch("total"):
            with watch("index"):
                opened = await self._open(request)
                plan = await self._plan(request, [one.collection for one in opened])
            parsed = parse_query(request.query) if request.operators else ParsedQuery(request.query)
            vector = None
            if request.mode is not SearchMode.LEXICAL:
                with watch("embed"):
                    text = parsed.words or " ".join(parsed.prefixes)
                    vector = await asyncio.to_thread(self._embed, text, opened)
            readers = [one.index.lexical for one in opened]
            query = await asyncio.to_thread(self._indexes.analyzed, parsed, readers)
            by_terms = request.mode is not SearchMode.DENSE
            wanted = max(self._settings.shortlist, request.k)
            find = partial(find_candidates, by_terms=by_terms, wanted=wanted, watch=watch)
            found = [await self._found(find, one, vector, query) for one in opened]
            with watch("fuse"):
                ranked = self._rank(request, found, plan)
                if request.per_document is not None:
                    ranked = _limit(ranked, found, request.per_document)
            with watch("hydrate"):
                wanted = len(ranked) if request.candidates else plan.wanted
                hits = await self._shown(request, ranked, found, wanted)
            refined = await self._refiner.refine(plan, request.query, hits, watch)
        terms = self._indexes.query_terms(parsed.words) if by_terms else []
        weights = _weights(terms, [one.index for one in opened])
        hits, probability = judged(
            plan,
            refined.hits,
            weights,
            len(hits) if request.candidates else request.k,
            request.min_probability,
        )
        return SearchResult(
            request.query, hits, watch.milliseconds, weights, refined.reranked, probability
        )

    async def _plan(self, request: SearchRequest, collections: Sequence[Collection]) -> Plan:
        return await self._refiner.plan(
            collections,
            request.k,
            automatic=request.mode is SearchMode.HYBRID,
            rerank=False if request.candidates else request.rerank,
            diversity=0.0 if request.candidates else request.diversity,
            min_probability=request.min_probability,
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

    async def _open(self, request: SearchRequest) -> list[OpenCollection]:
        opened = []
        for name in dict.fromkeys(request.collections):
            async with self._database.read() as session:
                collection = await get_collection(session, name)
                allowed = (
                    await matching_ids(session, collection.id, request.filters)
                    if request.filters
                    else None
                )
            index = await self._indexes.current(collection)
            mask = (
                await asyncio.to_thread(index.table.mask_of, allowed)
                if allowed is not None
                else None
            )
            opened.append(OpenCollection(collection, index, mask))
        return opened

    async def _found(
        self,
        find: Callable[[OpenCollection, FloatVector | None, LexicalQuery], Candidates],
        one: OpenCollection,
        vector: FloatVector | None,
        query: LexicalQuery,
    ) -> Candidates:
        try:
            return await asyncio.to_thread(find, one, vector, query)
        except DamagedIndex as error:
            self._indexes.rebuild(one.collection.id, error)
            raise StoreUnavailable(
                f"the index of collection {one.collection.name!r} is damaged: {error}",
                hint="Search again: it is then built anew.",
            ) from error

    def _embed(self, query: str, opened: Sequence[OpenCollection]) -> FloatVector:
        embedder = self._embedder()
        for one in opened:
            if one.index.space != embedder.space.fingerprint:
                raise SpaceMismatch(
                    f"collection {one.collection.name!r} has vectors of {one.collection.space}, "
                    f"the settings ask for {embedder.space}",
                    hint=f"Run `rostra embed apply --collection {one.collection.name}`, "
                    "or set the embedding model back.",
                )
        return embedder.embed_query(query)

    def _rank(
        self, request: SearchRequest, found: Sequence[Candidates], plan: Plan
    ) -> list[tuple[int, int, float, HitScores]]:
        """(place in `found`, position, score, scores) of every candidate, best first."""
        dense = np.concatenate([part.dense for part in found])
        lexical = np.concatenate([part.lexical for part in found])
        fused = None
        match request.mode:
            case SearchMode.DENSE:
                score = dense
            case SearchMode.LEXICAL:
                score = lexical
            case SearchMode.HYBRID:
                score = fused = fuse(
                    plan.fusion,
                    dense,
                    lexical,
                    dense_weight=plan.dense_weight,
                    rrf_k=self._settings.rrf_k,
                )
        places = [
            (place, int(position))
            for place, part in enumerate(found)
            for position in part.positions
        ]
        ranked = []
        # Stable: candidates stand by collection and tie, which decide among equals.
        for row in np.argsort(-score, kind="stable"):
            scores = HitScores(
                dense=None if request.mode is SearchMode.LEXICAL else float(dense[row]),
                lexical=None
                if request.mode is SearchMode.DENSE
                else float(np.nan_to_num(lexical[row])),
                fused=None if fused is None else float(fused[row]),
            )
            ranked.append((*places[row], float(score[row]), scores))
        return ranked

    async def _shown(
        self,
        request: SearchRequest,
        ranked: Sequence[tuple[int, int, float, HitScores]],
        found: Sequence[Candidates],
        wanted: int,
    ) -> list[Hit]:
        """The best candidates, of near duplicates the best one, which names the others."""
        threshold = self._settings.near_duplicates
        read = wanted
        while True:
            hits = await self._hydrate(request, ranked, found, read)
            if not threshold:
                return hits
            async with self._database.read() as session:
                groups = await twin_groups(session, [hit.chunk_id for hit in hits])
            shown = [
                replace(one.hit, near_duplicates=tuple(other.chunk_id for other in one.others))
                for one in once_each(hits, groups, threshold)
            ]
            if len(shown) >= wanted or len(hits) < read:
                return shown[:wanted]
            read *= 2

    async def _hydrate(
        self,
        request: SearchRequest,
        ranked: Sequence[tuple[int, int, float, HitScores]],
        found: Sequence[Candidates],
        wanted: int,
    ) -> list[Hit]:
        """Fills in the best candidates; those that are gone by now make room for the next."""
        hits: list[Hit] = []
        at = 0
        while len(hits) < wanted and at < len(ranked):
            page = ranked[at : at + wanted - len(hits)]
            at += len(page)
            records: dict[UUID, ChunkRecord] = {}
            async with self._database.read() as session:
                for place, part in enumerate(found):
                    ids = [part.index.table.chunk_id(row[1]) for row in page if row[0] == place]
                    records |= await chunk_records(
                        session, part.collection.id, ids, request.filters
                    )
            for place, position, score, scores in page:
                record = records.get(found[place].index.table.chunk_id(position))
                if record is not None:
                    hits.append(hit_of(record, score, scores))
        return hits


def _weights(terms: Sequence[str], indexes: Sequence[CollectionIndex]) -> dict[str, float]:
    """How much each term of a query matters in these collections together."""
    distinct = list(dict.fromkeys(terms))
    chunks = sum(index.chunks for index in indexes)
    counts = [index.lexical.frequencies(distinct) for index in indexes]
    return {
        term: term_weight(sum(int(found[at]) for found in counts), chunks)
        for at, term in enumerate(distinct)
    }


def _page_at(pages: Sequence[tuple[int, int]], at: int) -> int | None:
    before = bisect_right(pages, at, key=lambda page: page[0])
    return pages[before - 1][1] if before else None


def _limit(
    ranked: Sequence[tuple[int, int, float, HitScores]],
    found: Sequence[Candidates],
    most: int,
) -> list[tuple[int, int, float, HitScores]]:
    """The best `most` candidates of each document, in the same order."""
    taken: Counter[tuple[int, int]] = Counter()
    kept = []
    for row in ranked:
        document = row[0], int(found[row[0]].index.table.document[row[1]])
        taken[document] += 1
        if taken[document] <= most:
            kept.append(row)
    return kept


class _Stopwatch:
    """Milliseconds by stage; a stage that runs twice adds up."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = (time.perf_counter() - started) * 1000
            self.milliseconds[stage] = round(self.milliseconds.get(stage, 0.0) + spent, 3)
