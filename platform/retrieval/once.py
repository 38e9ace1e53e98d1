"""Near duplicates in a result: the best of them is shown, the others are named with it.

What always holds: every hit is shown or named, exactly once, and the order of those shown is that
of the hits; a hit is named with another one only if both are linked in their collection and share
as much of their wording as the threshold asks, so that nothing disappears behind a text that says
something else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from rostra.retrieval.hits import Hit
from rostra.retrieval.wording import Shingles, resemblance, shingles


@dataclass(frozen=True, slots=True)
class Once:
    """A hit, and those that say nearly the same, best first."""

    hit: Hit
    others: tuple[Hit, ...] = ()


def once_each(hits: Sequence[Hit], groups: Mapping[UUID, UUID], threshold: float) -> list[Once]:
    """Puts near duplicates together.

    Args:
        hits: best first; those beyond the number wanted too, so that what is left out makes room.
        groups: of chunks that are linked, by chunk; see `rostra.store.twin_groups`.
        threshold: least share of shingles in common; 0 leaves the hits as they are.
    """
    if not threshold:
        return [Once(hit) for hit in hits]
    shown: list[tuple[Hit, list[Hit]]] = []
    leaders: dict[UUID, list[tuple[int, Shingles]]] = {}
    for hit in hits:
        group = groups.get(hit.chunk_id)
        if group is None:
            shown.append((hit, []))
            continue
        own = shingles(hit.text)
        of_group = leaders.setdefault(group, [])
        for place, leader in of_group:
            if resemblance(own, leader) >= threshold:
                shown[place][1].append(hit)
                break
        else:
            of_group.append((len(shown), own))
            shown.append((hit, []))
    return [Once(hit, tuple(others)) for hit, others in shown]
