"""What the documents of some collections can be filtered by: fields of their metadata, with values.

What always holds: at most so many fields and values are told, whatever documents carry; a field
whose values are too many or too long to be told is left out, unless they are dates or numbers; each
value told is one that some document has.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.store.tables import DocumentRow

_MOST_DOCUMENTS = 2_000
_MOST_FIELDS = 20
_MOST_VALUES = 40
_MOST_CHARS = 80
# Filters by these names mean the documents' own, which tell each of them apart.
_NAMES = {"uri", "title"}
_KEY = re.compile(r"[\w.\-]{1,100}")
_DATE = re.compile(r"\d{4}(-\d\d(-\d\d([T ].{1,40})?)?)?", re.ASCII)

Value = str | float | bool


class FacetKind(StrEnum):
    """How the values of a field compare."""

    TEXT = "text"
    DATE = "date"
    """Text as ISO 8601 writes dates: its order is theirs."""
    NUMBER = "number"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Facet:
    """A field to filter by.

    Attributes:
        values: of text all that were seen, in order; of dates and numbers the least and the most.
    """

    field: str
    kind: FacetKind
    values: tuple[Value, ...]


async def metadata_facets(session: AsyncSession, collection_ids: Sequence[UUID]) -> list[Facet]:
    """The fields that most documents have first, among the first 2,000 documents by uri."""
    rows = await session.execute(
        select(DocumentRow.meta, DocumentRow.media_type)
        .where(DocumentRow.collection_id.in_(collection_ids))
        .order_by(DocumentRow.uri)
        .limit(_MOST_DOCUMENTS)
    )
    return facets_of(meta | {"media_type": media_type} for meta, media_type in rows)


def facets_of(documents: Iterable[dict[str, Any]]) -> list[Facet]:
    """The facets of some documents' metadata; see `metadata_facets`."""
    seen: dict[tuple[str, FacetKind], Counter[Value]] = {}
    for meta in documents:
        for key, value in meta.items():
            kind = _kind(value)
            if kind is not None and _KEY.fullmatch(key) and key not in _NAMES:
                seen.setdefault((key, kind), Counter())[value] += 1
    # Of a field with values of several kinds the most common one.
    by_field: dict[str, tuple[int, Facet]] = {}
    for (key, kind), values in seen.items():
        facet, count = _facet(key, kind, values), values.total()
        if facet is not None and count > by_field.get(key, (0, facet))[0]:
            by_field[key] = count, facet
    ranked = sorted(by_field.values(), key=lambda found: (-found[0], found[1].field))
    return [facet for _, facet in ranked[:_MOST_FIELDS]]


def _kind(value: Any) -> FacetKind | None:
    match value:
        case bool():
            return FacetKind.BOOLEAN
        case int() | float():
            return FacetKind.NUMBER if abs(value) < 1e15 and math.isfinite(value) else None
        case str():
            return FacetKind.TEXT
    return None


def _facet(key: str, kind: FacetKind, values: Counter[Value]) -> Facet | None:
    if kind is FacetKind.TEXT:
        texts = sorted(map(str, values))
        if all(_DATE.fullmatch(text) for text in texts):
            return Facet(key, FacetKind.DATE, _ends(texts))
        if len(texts) > _MOST_VALUES or any(
            not 0 < len(text) <= _MOST_CHARS or not text.isprintable() for text in texts
        ):
            return None
        return Facet(key, kind, tuple(texts))
    if kind is FacetKind.BOOLEAN:
        return Facet(key, kind, tuple(sorted(values)))
    return Facet(key, kind, _ends(sorted(map(float, values))))


def _ends(ordered: "list[str] | list[float]") -> tuple[Value, ...]:
    return (ordered[0],) if ordered[0] == ordered[-1] else (ordered[0], ordered[-1])
