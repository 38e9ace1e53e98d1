"""Search with the graph as one more retriever, behind the face of `Searcher`.

The hits of the plain search, the chunks near the question in the graph, and the passages of the
communities whose summary matches it are three rankings, made one by weighted reciprocal rank
fusion (Cormack, Clarke & Buettcher 2009).

What always holds: a chunk that the graph adds is read under the request's filters and from its
collections, as any hit is; a collection without a graph adds nothing; a result has at most
`k` hits, each chunk once, and at most `per_document` of a document.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import RostraError, Settings, normalize_text
from rostra.retrieval.graph.names import NameReader
from rostra.retrieval.graph.neighbourhood import SEED_CHUNKS, Near, named_entities, near_chunks
from rostra.retrieval.hits import Hit, HitScores, hit_of
from rostra.retrieval.once import once_each
from rostra.retrieval.request import SearchRequest, SearchResult
from rostra.retrieval.texts import TextIndex
from rostra.store import (
    ChunkRecord,
    Collection,
    Database,
    GraphState,
    chunk_records,
    community_texts,
    entities_by_key,
    get_collection,
    graph_state,
    passages_of,
    twin_groups,
)

DEPTH = 50  # places of each ranking that count
GRAPH_WEIGHT = 1.0
COMMUNITY_WEIGHT = 0.75
_MOST_KEYED = 64
_MOST_COMMUNITIES = 1_000
_BEST_COMMUNITIES = 3
_MOST_KEPT = 32  # collections whose summaries are kept
# Chunks of the graph that are looked up; those that do not pass the filters make room for the next.
_MOST_TRIED = 400


class Searches(Protocol):
    """What finds hits for a request; `Searcher` is one."""

    async def search(self, request: SearchRequest) -> SearchResult:
        """The hits, best first."""
        ...


class GraphNotBuilt(RostraError):
    """A search is to use a graph, and there is none."""

    code = "graph_not_built"
    status = 409


@dataclass(frozen=True, slots=True)
class GraphWeights:
    """How much the graph's rankings count beside the plain search, whose weight is 1."""

    graph: float = GRAPH_WEIGHT
    communities: float = COMMUNITY_WEIGHT


@dataclass(frozen=True, slots=True)
class _Found:
    """What the graph of one collection adds.

    Attributes:
        near: chunks near the question, the nearest first.
        told: passages of matching communities, best first.
        records: those of both that the request may see.
    """

    near: Sequence[Near]
    told: Sequence[UUID]
    records: Mapping[UUID, ChunkRecord]


class GraphSearcher:
    """Searches with the graph where there is one. Safe to share between tasks.

    Args:
        searcher: of plain searches.
        database: where graphs and chunks are.
        settings: fusion and limits.
        weights: of the graph's rankings.
    """

    def __init__(
        self,
        searcher: Searches,
        database: Database,
        settings: Settings,
        weights: GraphWeights | None = None,
    ) -> None:
        self._searcher = searcher
        self._database = database
        self._settings = settings
        self._weights = weights or GraphWeights()
        self._reader = NameReader()
        self._summaries: dict[UUID, tuple[tuple[GraphState, int], list[int], TextIndex]] = {}

    async def search(self, request: SearchRequest) -> SearchResult:
        """Finds the chunks that answer best.

        Raises:
            GraphNotBuilt: none of the collections has a graph.
            RostraError: whatever the plain search raises.
        """
        return await self.extend(request, await self._searcher.search(self.deep(request)))

    def deep(self, request: SearchRequest) -> SearchRequest:
        """The request with as many hits as `extend` looks at."""
        if request.k < 1:  # which is refused as it is
            return request
        return replace(request, k=max(request.k, min(DEPTH, self._settings.max_k)))

    async def extend(self, request: SearchRequest, plain: SearchResult) -> SearchResult:
        """A result with what the graph adds.

        A hit's `score` is that of the fused ranking; it has partial scores where it was there
        before.

        Args:
            request: what was searched for.
            plain: found for `deep(request)`.

        Raises:
            GraphNotBuilt: none of the collections has a graph.
            CollectionNotFound, InvalidFilter: of the request.
        """
        began = time.perf_counter()
        request = replace(request, query=normalize_text(request.query))
        near: list[tuple[float, UUID]] = []
        told: list[UUID] = []
        records: dict[UUID, ChunkRecord] = {}
        built = False
        for name in dict.fromkeys(request.collections):
            found = await self._in_collection(request, name, plain.hits)
            if found is None:
                continue
            built = True
            near += [(one.score, one.chunk_id) for one in found.near]
            told += found.told
            records |= found.records
        if not built:
            raise GraphNotBuilt(
                f"no graph was built of {', '.join(request.collections)}",
                hint=f"Run `rostra graph build -c {request.collections[0]}`.",
            )
        hits = {hit.chunk_id: hit for hit in plain.hits}
        if request.min_probability is None:  # nothing says it of what the graph alone finds
            hits |= {
                id_: hit_of(one, 0.0, HitScores())
                for id_, one in records.items()
                if id_ not in hits
            }
        # Rounded, so that the last bits of a sum do not decide ties.
        near.sort(key=lambda one: (-round(one[0], 12), one[1]))
        scores = fused(
            [
                (1.0, [hit.chunk_id for hit in plain.hits]),
                (self._weights.graph, _there((chunk for _, chunk in near), hits)),
                (self._weights.communities, _there(told, hits)),
            ],
            self._settings.rrf_k,
        )
        order = sorted(scores, key=lambda id_: -scores[id_])  # stable: by ranking, then by place
        ranked = [replace(hits[id_], score=scores[id_]) for id_ in order]
        shown = await self._shown(ranked)
        if request.per_document is not None:
            shown = _limited(shown, request.per_document)
        spent = (time.perf_counter() - began) * 1000
        timings = plain.timings_ms | {"graph": round(spent, 3)}
        timings["total"] = round(timings.get("total", 0.0) + spent, 3)
        return replace(plain, hits=shown[: request.k], timings_ms=timings)

    async def _in_collection(
        self, request: SearchRequest, name: str, hits: Sequence[Hit]
    ) -> "_Found | None":
        """What the graph of a collection adds; None where it has none."""
        keys = self._reader.query_keys(request.query)
        async with self._database.read() as session:
            collection = await get_collection(session, name)
            state = await graph_state(session, collection.id)
            if state is None:
                return None
            entities = await entities_by_key(session, collection.id, keys, _MOST_KEYED)
            near = await near_chunks(
                session,
                collection.id,
                named_entities(keys, entities),
                [hit.chunk_id for hit in hits if hit.collection == name][:SEED_CHUNKS],
                chunks=state.chunks,
                most=_MOST_TRIED,
            )
            ids, index = await self._summaries_of(session, collection, state)
            best = await asyncio.to_thread(index.best, request.query, _BEST_COMMUNITIES)
            passages = await passages_of(session, [ids[at] for at in best])
            told = list(dict.fromkeys(chunk for at in best for chunk in passages[ids[at]]))
            wanted = list(dict.fromkeys([*(one.chunk_id for one in near), *told]))
            records = await chunk_records(session, collection.id, wanted, request.filters)
        return _Found(near, told, records)

    async def _summaries_of(
        self, session: AsyncSession, collection: Collection, state: GraphState
    ) -> tuple[list[int], TextIndex]:
        """Ids of the communities, and their summaries to be searched; kept while the graph is."""
        kept = self._summaries.get(collection.id)
        if kept is None or kept[0] != (state, collection.generation):
            found = await community_texts(session, collection.id, most=_MOST_COMMUNITIES)
            texts = [f"{', '.join(one.names)}. {one.summary}" for one in found]
            index = await asyncio.to_thread(TextIndex, texts)
            ids = [one.id for one in found]
            while len(self._summaries) >= _MOST_KEPT:
                self._summaries.pop(next(iter(self._summaries)), None)
            kept = self._summaries[collection.id] = ((state, collection.generation), ids, index)
        return kept[1], kept[2]

    async def _shown(self, ranked: Sequence[Hit]) -> list[Hit]:
        """Of near duplicates the best one, which names the others."""
        threshold = self._settings.near_duplicates
        if not threshold:
            return list(ranked)
        async with self._database.read() as session:
            groups = await twin_groups(session, [hit.chunk_id for hit in ranked])
        return [
            replace(
                one.hit,
                near_duplicates=tuple(
                    dict.fromkeys(
                        (*one.hit.near_duplicates, *(other.chunk_id for other in one.others))
                    )
                ),
            )
            for one in once_each(ranked, groups, threshold)
        ]


def fused(rankings: Sequence[tuple[float, Sequence[UUID]]], rrf_k: int) -> dict[UUID, float]:
    """Weighted sum of `1 / (rrf_k + rank)` over the first `DEPTH` places of each ranking but the
    first, which counts whole.
    """
    scores: dict[UUID, float] = {}
    for place, (weight, ranking) in enumerate(rankings):
        if not weight:
            continue
        for rank, chunk in enumerate(ranking if place == 0 else ranking[:DEPTH], 1):
            scores[chunk] = scores.get(chunk, 0.0) + weight / (rrf_k + rank)
    return scores


def _there(chunks: Iterable[UUID], hits: Mapping[UUID, Hit]) -> list[UUID]:
    return [chunk for chunk in dict.fromkeys(chunks) if chunk in hits]


def _limited(hits: Sequence[Hit], per_document: int) -> list[Hit]:
    seen: Counter[UUID] = Counter()
    kept = []
    for hit in hits:
        seen[hit.document_id] += 1
        if seen[hit.document_id] <= per_document:
            kept.append(hit)
    return kept
