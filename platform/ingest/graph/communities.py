"""Communities of entities, and the passages that tell most of them.

Found by Louvain's method (Blondel et al., "Fast unfolding of communities in large networks", 2008)
as networkx has it, the finest and the coarsest level.

What always holds: equal graphs have equal communities; a community has at least three members; its
passages are chunks that mention several of them, at most two of one document.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import networkx

from rostra.core import sentence_spans
from rostra.ingest.graph.making import NamedChunk, idf
from rostra.store import Community, Graph, GraphPassage, community_id

LEAST_MEMBERS = 3
MOST_COMMUNITIES = 500  # of a level, the largest
MOST_PASSAGES = 8
_OF_ONE_DOCUMENT = 2
TOLD_PASSAGES = 3  # whose first sentence is in a summary
_SHORTEST_SENTENCE = 40
_LONGEST_SENTENCE = 400
_SEED = 0


def find_communities(
    collection_id: UUID, graph: Graph, chunks: Sequence[NamedChunk]
) -> list[Community]:
    """The communities of a graph's entities; passages are still without their sentences.

    Args:
        collection_id: whose graph.
        graph: entities, mentions and relations.
        chunks: all of them, in the order of documents and their text, which decides ties.
    """
    net = networkx.Graph()
    net.add_nodes_from(entity.id for entity in graph.entities)
    for (one, other), weight in sorted(graph.relations.items()):
        if net.has_edge(one, other):
            weight = max(weight, net.edges[one, other]["weight"])
        net.add_edge(one, other, weight=weight)
    if not net.number_of_edges():
        return []
    levels = list(networkx.community.louvain_partitions(net, weight="weight", seed=_SEED))
    chosen = [levels[0]] if len(levels) == 1 else [levels[0], levels[-1]]
    best = _Passages(graph, chunks)
    found: dict[int, Community] = {}
    for level, partition in enumerate(chosen):
        groups = [tuple(sorted(group)) for group in partition if len(group) >= LEAST_MEMBERS]
        groups.sort(key=lambda group: (-len(group), group))
        for members in groups[:MOST_COMMUNITIES]:
            id_ = community_id(collection_id, level, members)
            found[id_] = Community(id_, level, members, best.of(members))
    return list(found.values())


def with_sentences(communities: Sequence[Community], texts: Mapping[UUID, str]) -> list[Community]:
    """Communities whose best passages say which of their sentences stands in the summary."""
    return [
        replace(
            one,
            passages=tuple(
                _told(passage, texts.get(passage.chunk_id, "")) if at < TOLD_PASSAGES else passage
                for at, passage in enumerate(one.passages)
            ),
        )
        for one in communities
    ]


def _told(passage: GraphPassage, text: str) -> GraphPassage:
    """The passage with its first sentence that is one, or with its beginning."""
    spans = sentence_spans(text)
    long = [span for span in spans if span[1] - span[0] >= _SHORTEST_SENTENCE]
    if not spans:
        return passage
    start, end = (long or spans)[0]
    return replace(passage, start=start, end=min(end, start + _LONGEST_SENTENCE))


class _Passages:
    """Finds the chunks that tell most of some entities."""

    def __init__(self, graph: Graph, chunks: Sequence[NamedChunk]) -> None:
        self._order = {chunk.id: place for place, chunk in enumerate(chunks)}
        self._document = {chunk.id: chunk.document_id for chunk in chunks}
        weights = {entity.id: idf(entity.df, len(chunks)) for entity in graph.entities}
        self._mentions: dict[int, list[tuple[UUID, float]]] = defaultdict(list)
        total: Counter[UUID] = Counter()
        for (entity, chunk), weight in graph.mentions.items():
            total[chunk] += 1
            self._mentions[entity].append((chunk, weight * weights[entity]))
        self._total = total

    def of(self, members: Sequence[int]) -> tuple[GraphPassage, ...]:
        """Those with most weight of members, against all that they mention."""
        scores: dict[UUID, float] = defaultdict(float)
        for member in members:
            for chunk, weight in self._mentions[member]:
                scores[chunk] += weight
        ranked = sorted(
            scores,
            key=lambda chunk: (-round(scores[chunk] / self._total[chunk] ** 0.5, 9),
                               self._order[chunk]),
        )  # fmt: skip
        taken: list[GraphPassage] = []
        documents: Counter[UUID] = Counter()
        for chunk in ranked:
            if documents[self._document[chunk]] < _OF_ONE_DOCUMENT:
                documents[self._document[chunk]] += 1
                taken.append(GraphPassage(chunk, 0, 0))
            if len(taken) == MOST_PASSAGES:
                break
        return tuple(taken)
