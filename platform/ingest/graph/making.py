"""Makes a graph of what was read from the chunks of a collection.

An entity is a name that some chunks have, and not too many: what one chunk alone has connects
nothing, and what many have says little. Entities are close that are in the same chunks more often
than chance has it, by normalised pointwise mutual information (Bouma, "Normalized (pointwise)
mutual information in collocation extraction", 2009), and those that headings or a model put
together.

What always holds: the graph depends on what was read alone, not on the order of time in which it
was; every entity is mentioned at least twice; a chunk mentions a bounded number of entities, and an
entity is close to a bounded number of others.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
import numpy.typing as npt
from scipy import sparse

from rostra.ingest.graph.mentioned import Standing, mentioned_names
from rostra.ingest.graph.reading import ChunkNames
from rostra.retrieval import NameKind
from rostra.store import Entity, Graph, entity_id

LEAST_CHUNKS = 2
MOST_SHARE = 0.015  # of the chunks; what more have says little
ALWAYS_FEW = 12  # chunks that are never too many
MOST_RELATIONS = 8  # of an entity
_LEAST_TOGETHER = 2  # chunks that two entities share before chance is ruled out
_BLOCK = 2_000  # entities whose company is counted at once
_MOST_SURFACES = 8


@dataclass(frozen=True, slots=True)
class NamedChunk:
    """A chunk, its document, and what was read from it."""

    id: UUID
    document_id: UUID
    found: ChunkNames


@dataclass(slots=True)
class _Known:
    """What all chunks together say of one key."""

    kind: NameKind
    chunks: int
    documents: set[UUID]
    surfaces: Counter[str]


def make_entities(collection_id: UUID, chunks: Sequence[NamedChunk]) -> Graph:
    """Entities, mentions and relations; see this module.

    Args:
        collection_id: whose chunks.
        chunks: all of them, in any order.
    """
    known = _known(chunks)
    most = max(ALWAYS_FEW, int(MOST_SHARE * len(chunks)))
    chosen = {
        key
        for key, one in known.items()
        if LEAST_CHUNKS <= one.chunks <= most
        and one.kind is not NameKind.WORD
        and (one.kind is not NameKind.TERM or len(one.documents) > 1)
    }
    standing = {key: Standing(known[key].kind, known[key].chunks) for key in chosen}
    mentioned = [mentioned_names(chunk.found.names, standing) for chunk in chunks]
    df = Counter(key for own in mentioned for key, _ in own)
    keys = sorted(key for key, count in df.items() if count >= LEAST_CHUNKS)
    ids = {key: entity_id(collection_id, key) for key in keys}
    entities = [
        Entity(ids[key], key, _surface(known[key]), known[key].kind.name.lower(), df[key])
        for key in keys
    ]
    mentions = {
        (ids[key], chunk.id): weight
        for chunk, own in zip(chunks, mentioned, strict=True)
        for key, weight in own
        if key in ids
    }
    rows = [[key for key, _ in own if key in ids] for own in mentioned]
    relations = {
        (ids[one], ids[other]): weight
        for one, other, weight in _relations(keys, rows, _links(chunks, ids))
    }
    return Graph(entities, mentions, relations)


def _known(chunks: Sequence[NamedChunk]) -> dict[str, _Known]:
    known: dict[str, _Known] = {}
    for chunk in chunks:
        for name in chunk.found.names:
            one = known.get(name.key)
            if one is None:
                one = known[name.key] = _Known(name.kind, 0, set(), Counter())
            one.kind = max(one.kind, name.kind)
            one.chunks += 1
            one.documents.add(chunk.document_id)
            if name.kind is not NameKind.WORD:
                one.surfaces[name.name] += 1
    return known


def _surface(one: _Known) -> str:
    """How it is written most often; of equal ones the first in order."""
    return min(one.surfaces, key=lambda name: (-one.surfaces[name], name))


def _links(chunks: Sequence[NamedChunk], ids: dict[str, int]) -> dict[tuple[str, str], int]:
    """Pairs that headings or a model put together, with the greatest weight of either way."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    for chunk in chunks:
        for one, other, weight in chunk.found.links:
            if one in ids and other in ids and one != other:
                found[one, other] = max(found[one, other], weight)
                found[other, one] = max(found[other, one], weight)
    return found


def _relations(
    keys: Sequence[str], rows: Sequence[Sequence[str]], links: dict[tuple[str, str], int]
) -> Iterator[tuple[str, str, int]]:
    """For each entity the closest others."""
    linked: dict[int, dict[int, int]] = defaultdict(dict)
    at = {key: place for place, key in enumerate(keys)}
    for (one, other), weight in links.items():
        linked[at[one]][at[other]] = weight
    in_chunks = _matrix(rows, at)
    df = np.asarray(in_chunks.sum(axis=0)).ravel()
    for start in range(0, len(keys), _BLOCK):
        together = (in_chunks[:, start : start + _BLOCK].T @ in_chunks).tocsr()
        for row in range(together.shape[0]):
            entity = start + row
            part = slice(together.indptr[row], together.indptr[row + 1])
            others, counts = together.indices[part], together.data[part]
            enough = (counts >= _LEAST_TOGETHER) & (others != entity)
            others, counts = others[enough], counts[enough]
            weights = dict(
                zip(
                    others.tolist(),
                    _closeness(counts, df[entity], df[others], len(rows)).tolist(),
                    strict=True,
                )
            )
            for near, weight in linked[entity].items():
                weights[near] = max(weights.get(near, 0), weight)
            best = sorted(
                ((near, weight) for near, weight in weights.items() if weight > 0),
                key=lambda one: (-one[1], keys[one[0]]),
            )
            for near, weight in best[:MOST_RELATIONS]:
                yield keys[entity], keys[near], weight


def _matrix(rows: Sequence[Sequence[str]], at: dict[str, int]) -> sparse.csc_array:
    """Which chunk has which entity, int32 [chunks, entities]."""
    indptr = np.cumsum([0, *(len(row) for row in rows)])
    indices = np.fromiter((at[key] for row in rows for key in row), np.int32, int(indptr[-1]))
    ones = np.ones(len(indices), np.int32)
    return sparse.csr_array((ones, indices, indptr), shape=(len(rows), len(at))).tocsc()


def _closeness(
    together: npt.NDArray[np.int32], own: int, others: npt.NDArray[np.int32], chunks: int
) -> npt.NDArray[np.int64]:
    """Normalised pointwise mutual information in hundredths; negative where they avoid each other.

    Args:
        together: chunks that have both.
        own: chunks that have the one.
        others: chunks that have the other.
        chunks: in all.
    """
    shared = together / chunks
    expected = (own / chunks) * (others / chunks)
    surprise = -np.log(shared)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.where(surprise > 0, np.log(shared / expected) / surprise, 1.0)
    rounded: npt.NDArray[np.int64] = np.rint(100 * np.clip(scaled, -1, 1)).astype(np.int64)
    return rounded


def idf(df: int, chunks: int) -> float:
    """How much an entity says: less, the more chunks mention it; above 0."""
    return math.log(1 + chunks / df)
