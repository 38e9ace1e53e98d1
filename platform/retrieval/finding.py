"""From a request to its hits, in one thread: each way to another one and back costs as much as a
small search.

What always holds: filters mask both sides before anything is ranked and are checked again on the
rows that hits are filled in from, which are read last; every candidate of the union has both scores
before fusion; equal rows give equal hits, ties included.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import numpy as np

from rostra.core import Embedder, FloatVector, Settings, SpaceMismatch, StoreUnavailable
from rostra.retrieval.candidates import Candidates, OpenCollection, find_candidates
from rostra.retrieval.hits import Hit, hit_of
from rostra.retrieval.index import CollectionIndex
from rostra.retrieval.indexes import Indexes
from rostra.retrieval.lexical import (
    DamagedIndex,
    LexicalQuery,
    ParsedQuery,
    TermSearch,
    parse_query,
    term_weight,
)
from rostra.retrieval.once import once_each
from rostra.retrieval.ranking import Ranking
from rostra.retrieval.refine import Plan, Refiner
from rostra.retrieval.request import SearchMode, SearchRequest
from rostra.retrieval.spaces import check_comparable, embedder_within
from rostra.retrieval.stopwatch import Stopwatch
from rostra.retrieval.table import Ids
from rostra.store import (
    ChunkRecord,
    Collection,
    Database,
    UnusableVector,
    read_collection,
    read_matching_ids,
    read_records,
)


@dataclass(frozen=True, slots=True)
class Target:
    """A collection to search in, as its row was when the search began.

    Attributes:
        allowed: uint8 [documents, 16], those that pass the filters; None where there are none.
    """

    collection: Collection
    allowed: Ids | None


@dataclass(frozen=True, slots=True)
class Found:
    """What a search has before its hits are reranked.

    Attributes:
        plan: what is to become of them.
        hits: best first.
        term_weights: see `SearchResult`.
    """

    plan: Plan
    hits: list[Hit]
    term_weights: dict[str, float]


class HitFinder:
    """Finds hits; every method blocks. Safe to share between threads.

    Args:
        database: where collections and chunks are.
        indexes: of the collections.
        embedder: of queries; it may load a model.
        settings: fusion, shortlists and limits.
        refiner: plans what comes after.
    """

    def __init__(
        self,
        database: Database,
        indexes: Indexes,
        embedder: Callable[[], Embedder],
        settings: Settings,
        refiner: Refiner,
    ) -> None:
        self._database = database
        self._indexes = indexes
        self._embedder = embedder
        self._settings = settings
        self._refiner = refiner
        self._terms = TermSearch(settings.lexical_device)

    def begin(self, request: SearchRequest, watch: Stopwatch) -> tuple[list[Target], Found | None]:
        """What to search in, and what is found there where every index is up to date.

        Raises:
            CollectionNotFound: no collection of a given name.
            InvalidFilter: the filters cannot be understood.
            RostraError: see `find`.
        """
        with watch("index"):
            targets = self._targets(request)
            indexes = [self._indexes.ready(one.collection) for one in targets]
        ready = [index for index in indexes if index is not None]
        if len(ready) < len(targets):
            return targets, None
        return targets, self.find(request, targets, ready, watch)

    def find(
        self,
        request: SearchRequest,
        targets: Sequence[Target],
        indexes: Sequence[CollectionIndex],
        watch: Stopwatch,
    ) -> Found:
        """What is found.

        Args:
            targets: what to search in.
            indexes: theirs, no older than they are.
            watch: times the stages.

        Raises:
            InvalidRequest, ModelUnavailable: see `Refiner.plan`.
            SpaceMismatch: a collection is in another space than the settings' model gives.
            StoreUnavailable: an index cannot be read, or the database does not answer.
            UnusableVector: the model makes nothing of the query that can be searched for.
        """
        with watch("index"):
            opened = [_opened(*one) for one in zip(targets, indexes, strict=True)]
            plan = self._plan(request, [one.collection for one in opened])
        parsed = parse_query(request.query) if request.operators else ParsedQuery(request.query)
        vectors: Sequence[FloatVector | None] = [None] * len(opened)
        if request.mode is not SearchMode.LEXICAL:
            with watch("embed"):
                vectors = self._embed(parsed.words or " ".join(parsed.prefixes), opened)
        query = self._indexes.analyzed(parsed, [one.index.lexical for one in opened])
        found = [
            self._candidates(request, one, vector, query, watch)
            for one, vector in zip(opened, vectors, strict=True)
        ]
        with watch("fuse"):
            ranking = Ranking.of(
                found,
                request.mode,
                plan.fusion,
                dense_weight=plan.dense_weight,
                rrf_k=self._settings.rrf_k,
            )
            if request.per_document is not None:
                ranking = ranking.limited(found, request.per_document)
        with watch("hydrate"):
            wanted = len(ranking) if request.candidates else plan.wanted
            hits = self._shown(request, ranking, found, wanted)
        weights = {}
        if request.mode is not SearchMode.DENSE:
            own = self._indexes.query_terms(parsed.words) if parsed.prefixes else query.terms
            weights = _weights(own, [one.index for one in opened])
        return Found(plan, hits, weights)

    # --- Within ---------------------------------------------------------------------------------
    def _targets(self, request: SearchRequest) -> list[Target]:
        filters = request.filters
        targets = []
        with self._database.reading(one_state=bool(filters)) as connection:
            for name in dict.fromkeys(request.collections):
                collection = read_collection(connection, name)
                allowed = read_matching_ids(connection, collection.id, filters) if filters else None
                targets.append(Target(collection, allowed))
        return targets

    def _plan(self, request: SearchRequest, collections: Sequence[Collection]) -> Plan:
        plan = self._refiner.plan(
            collections,
            request.k,
            automatic=request.mode is SearchMode.HYBRID,
            rerank=False if request.candidates else request.rerank,
            diversity=0.0 if request.candidates else request.diversity,
            min_probability=request.min_probability,
        )
        # The curve takes the scores of both sides.
        return plan if request.mode is SearchMode.HYBRID else replace(plan, calibration=None)

    def _embed(self, query: str, opened: Sequence[OpenCollection]) -> list[FloatVector]:
        """The query's vector for each collection; one vector where they are of one space."""
        embedder = self._embedder()
        by_space: dict[str, FloatVector] = {}
        for one in opened:
            own = embedder_within(embedder, one.collection.space)
            if one.index.space != own.space.fingerprint:
                raise SpaceMismatch(
                    f"collection {one.collection.name!r} has vectors of {one.collection.space}, "
                    f"the settings ask for {embedder.space}",
                    hint=f"Run `rostra embed apply --collection {one.collection.name}`, "
                    "or set the embedding model back.",
                )
            if one.index.space not in by_space:
                by_space[one.index.space] = _usable(own.embed_query(query))
        if len(by_space) > 1:
            check_comparable(embedder, [one.collection for one in opened])
        return [by_space[one.index.space] for one in opened]

    def _candidates(
        self,
        request: SearchRequest,
        one: OpenCollection,
        vector: FloatVector | None,
        query: LexicalQuery,
        watch: Stopwatch,
    ) -> Candidates:
        try:
            return find_candidates(
                one,
                vector,
                query,
                terms=self._terms if request.mode is not SearchMode.DENSE else None,
                wanted=max(self._settings.shortlist, request.k),
                watch=watch,
            )
        except DamagedIndex as error:
            self._indexes.rebuild(one.collection.id, error)
            raise StoreUnavailable(
                f"the index of collection {one.collection.name!r} is damaged: {error}",
                hint="Search again: it is then built anew.",
            ) from error

    def _shown(
        self,
        request: SearchRequest,
        ranking: Ranking,
        found: Sequence[Candidates],
        wanted: int,
    ) -> list[Hit]:
        """The best candidates, of near duplicates the best one, which names the others.

        Where all candidates are wanted, each of these is one.
        """
        threshold = 0.0 if request.candidates else self._settings.near_duplicates
        hits: list[Hit] = []
        groups: dict[UUID, UUID] = {}
        at, most = 0, wanted
        while True:
            at = self._hydrate(request, ranking, found, at, most, hits, groups)
            if not threshold:
                return hits
            shown = once_each(hits, groups, threshold)
            if len(shown) >= wanted or len(hits) < most:
                break
            most *= 2
        return [
            replace(one.hit, near_duplicates=tuple(other.chunk_id for other in one.others))
            if one.others
            else one.hit
            for one in shown[:wanted]
        ]

    def _hydrate(
        self,
        request: SearchRequest,
        ranking: Ranking,
        found: Sequence[Candidates],
        at: int,
        most: int,
        hits: list[Hit],
        groups: dict[UUID, UUID],
    ) -> int:
        """Fills in candidates from `at` on until there are `most` hits; where it stopped.

        Those that are gone by now make room for the next.
        """
        while len(hits) < most and at < len(ranking):
            page = range(at, min(len(ranking), at + most - len(hits)))
            at = page.stop
            places = ranking.places[page.start : page.stop].tolist()
            positions = ranking.positions[page.start : page.stop].tolist()
            ids = [
                found[place].index.table.chunk_id(position)
                for place, position in zip(places, positions, strict=True)
            ]
            records: dict[UUID, ChunkRecord] = {}
            with self._database.reading() as connection:
                for place, part in enumerate(found):
                    own = [one for one, of in zip(ids, places, strict=True) if of == place]
                    if own:
                        records |= read_records(
                            connection, part.collection.id, own, request.filters
                        )
            for row, id_ in zip(page, ids, strict=True):
                record = records.get(id_)
                if record is not None:
                    hits.append(hit_of(record, float(ranking.score[row]), ranking.scores(row)))
                    if record.twins is not None:
                        groups[id_] = record.twins
        return at


def _usable(vector: FloatVector) -> FloatVector:
    if not np.isfinite(vector).all() or not vector.any():
        raise UnusableVector(
            "the embedding model gives this query a vector of zeros or one that is not finite",
            hint="Search with mode `lexical`, or look at the embedding model.",
        )
    return vector


def _opened(target: Target, index: CollectionIndex) -> OpenCollection:
    mask = index.table.mask_of(target.allowed) if target.allowed is not None else None
    return OpenCollection(target.collection, index, mask)


def _weights(terms: Sequence[str], indexes: Sequence[CollectionIndex]) -> dict[str, float]:
    """How much each term of a query matters in these collections together."""
    distinct = list(dict.fromkeys(terms))
    chunks = sum(index.chunks for index in indexes)
    counts = [index.lexical.frequencies(distinct) for index in indexes]
    return {
        term: term_weight(sum(int(found[at]) for found in counts), chunks)
        for at, term in enumerate(distinct)
    }
