"""What is read from one chunk for the graph, by rules, and how it is kept.

What always holds: what is kept depends on the chunk's title, headings and text alone. Whoever
changes the rules changes the recipe of `NameReader`, so that chunks are read again.
"""

import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from rostra.retrieval import Name, NameKind, NameReader, heading_parts

_HEADINGS = " > "
# Between cells of a table.
_BORDER = re.compile(r"(?<!\\)\|")
# How close a heading and the one above it are, of 100.
_BELOW = 50


@dataclass(frozen=True, slots=True)
class ChunkNames:
    """Names in a chunk.

    Attributes:
        links: pairs of keys that belong together, and how close they are, 1 to 100.
    """

    names: tuple[Name, ...]
    links: tuple[tuple[str, str, int], ...] = ()


def read_by_rules(reader: NameReader, title: str, context: str, text: str) -> ChunkNames:
    """The names in a chunk, and each heading above it with the one above that."""
    headings = list(dict.fromkeys([title, *_headings(context, text)]))
    path = [key for heading in headings if (key := _first_key(reader, heading))]
    links = tuple((one, other, _BELOW) for one, other in pairwise(path) if one != other)
    return ChunkNames(tuple(reader.names(text, headings)), links)


def _headings(context: str, text: str) -> list[str]:
    """What of a chunk's context is headings; the header of its table, which comes last, is none.

    A header mostly begins with the border of its first cell. One without is known by the row of
    its table that the chunk begins with.
    """
    parts = context.split(_HEADINGS)
    for at, part in enumerate(parts):
        if part.startswith("|"):
            return parts[:at]
    if _BORDER.search(parts[-1]) and _BORDER.search(text.split("\n", 1)[0]):
        return parts[:-1]
    return parts


def joined(one: ChunkNames, other: ChunkNames) -> ChunkNames:
    """What either says; of a name that both have, the kind that says more."""
    best: dict[str, Name] = {}
    for name in (*one.names, *other.names):
        if name.key not in best or best[name.key].kind < name.kind:
            best[name.key] = name
    return ChunkNames(tuple(best.values()), tuple(dict.fromkeys((*one.links, *other.links))))


def packed(found: ChunkNames) -> bytes:
    """As it is stored: JSON, deflated. Words are their own keys."""
    body = {
        "names": [
            [int(one.kind), one.key] if one.kind is NameKind.WORD else [*_row(one)]
            for one in found.names
        ],
        "links": found.links,
    }
    return zlib.compress(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())


def unpacked(stored: bytes) -> ChunkNames:
    """The reverse of `packed`."""
    body = json.loads(zlib.decompress(stored))
    return ChunkNames(
        tuple(Name(row[1], row[-1], NameKind(row[0])) for row in body["names"]),
        tuple((one, other, weight) for one, other, weight in body["links"]),
    )


def _row(one: Name) -> Iterable[int | str]:
    return int(one.kind), one.key, one.name


def _first_key(reader: NameReader, heading: str) -> str:
    return next((key for part in heading_parts(heading) if (key := reader.key(part))), "")
