"""What is near a question in the graph of a collection: chunks with scores.

A walk begins at the entities that the question names and at the chunks that other retrievers found
first, goes over mentions and relations, and scores every chunk that it reaches. Two hops of
relations are looked up, each bounded, the rarest entities and the closest relations first.

What always holds: a chunk's score is above 0 and depends on the rows and the question alone; the
number of rows looked up has a limit that does not grow with the collection.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.retrieval.graph.walk import DAMPING, personalised_pagerank
from rostra.store import Entity, mentions_in, mentions_of, relations_from

MOST_NAMED = 16  # entities of a question
SEED_CHUNKS = 10  # of other retrievers' best
_OF_SEEDS = 200  # entities that these chunks mention
_HOPS = 2
_OF_A_HOP = 400  # relations
_MOST_ENTITIES = 500
_MOST_MENTIONS = 4_000


@dataclass(frozen=True, slots=True)
class Near:
    """A chunk that the walk reached."""

    chunk_id: UUID
    score: float


def named_entities(keys: Sequence[str], entities: Sequence[Entity]) -> list[Entity]:
    """The entities that a question names: of overlapping names the longest, the rarest first.

    Args:
        keys: of the question, the longest first; see `NameReader.query_keys`.
        entities: that go by any of them.
    """
    by_key = {entity.key: entity for entity in entities}
    taken: list[str] = []
    for key in keys:
        if key in by_key and not any(f" {key} " in f" {longer} " for longer in taken):
            taken.append(key)
    chosen = sorted((by_key[key] for key in taken), key=lambda one: (one.df, one.key))
    return chosen[:MOST_NAMED]


async def near_chunks(
    session: AsyncSession,
    collection_id: UUID,
    named: Sequence[Entity],
    seeds: Sequence[UUID],
    *,
    chunks: int,
    most: int,
) -> list[Near]:
    """The chunks nearest to a question, the nearest first.

    Args:
        session: a reading session.
        collection_id: whose graph.
        named: entities that the question names.
        seeds: chunks of the collection that others found, best first; the first few count.
        chunks: in the graph, which decides how much a rare entity weighs.
        most: chunks.
    """
    seeds = list(dict.fromkeys(seeds))[:SEED_CHUNKS]
    of_seeds = await mentions_in(session, collection_id, seeds, _OF_SEEDS)
    entities = dict.fromkeys([*(one.id for one in named), *(row[0] for row in of_seeds)])
    relations: dict[tuple[int, int], int] = {}
    fresh = list(entities)
    for _ in range(_HOPS):
        rows = await relations_from(session, fresh, _OF_A_HOP)
        relations.update({(row[0], row[1]): row[2] for row in rows})
        fresh = [id_ for id_ in dict.fromkeys(row[1] for row in rows) if id_ not in entities]
        fresh = fresh[: _MOST_ENTITIES - len(entities)]
        entities |= dict.fromkeys(fresh)
        if not fresh:
            break
    mentions = {
        (row[0], row[1]): row[2]
        for row in (*of_seeds, *await mentions_of(session, list(entities), _MOST_MENTIONS))
    }
    reached = dict.fromkeys([*seeds, *sorted(chunk for _, chunk in mentions)])
    if not entities or not mentions:
        return []
    nodes: list[int | UUID] = [*entities, *reached]
    place = {node: at for at, node in enumerate(nodes)}
    edges = [
        (place[entity], place[chunk], float(weight)) for (entity, chunk), weight in mentions.items()
    ]
    edges += [
        (place[one], place[other], weight / 100)
        for (one, other), weight in relations.items()
        if other in entities
    ]
    restart = np.zeros(len(place))
    for one in named:
        restart[place[one.id]] = math.log(1 + chunks / one.df)
    if named and restart.sum():
        restart /= restart.sum()
    if seeds:
        first = np.array([1 / (1 + rank) for rank in range(len(seeds))])
        restart[[place[chunk] for chunk in seeds]] = first / first.sum()
    # Without what a seed has only because the walk begins there: others have put it first already.
    scores = personalised_pagerank(edges, restart) - (1 - DAMPING) * restart / restart.sum()
    near = [Near(chunk, float(scores[place[chunk]])) for chunk in reached]
    near = [one for one in near if one.score > 0]
    # Rounded, so that the last bits of a sum do not decide ties.
    near.sort(key=lambda one: (-round(one.score, 12), one.chunk_id))
    return near[:most]
