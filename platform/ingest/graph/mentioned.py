"""Which of a graph's entities a chunk mentions: at most 24, those that say most."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rostra.retrieval import Name, NameKind

MOST_MENTIONS = 24  # entities of a chunk


@dataclass(frozen=True, slots=True)
class Standing:
    """What an entity is: the kind that says most, and how many chunks have it."""

    kind: NameKind
    chunks: int


def mentioned_names(
    names: Iterable[Name], entities: Mapping[str, Standing]
) -> list[tuple[str, int]]:
    """Which entities a chunk mentions, by key, and with what weight: what says most first.

    Args:
        names: read from the chunk.
        entities: by key.
    """
    own = [
        name
        for name in names
        if name.key in entities
        # A word counts where it is the name of something, not where it is half of a phrase.
        and (name.kind is not NameKind.WORD or entities[name.key].kind >= NameKind.CODE)
    ]
    own.sort(key=lambda name: (-entities[name.key].kind, entities[name.key].chunks, name.key))
    return [(name.key, 2 if name.kind is NameKind.HEADING else 1) for name in own[:MOST_MENTIONS]]
