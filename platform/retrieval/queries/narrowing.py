"""Filters taken from a question: "in the German manuals of 2023" narrows what is searched.

What always holds: only fields that documents have, operators that fit them and, for text, values
that documents have can be taken, by the schema and again by the check afterwards; a field that the
request filters by itself is not offered. Whatever a question says, more documents than without it
are never searched.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rostra.core import ChatModel, QueryStrategyName
from rostra.retrieval.queries.asking import ask_json, record
from rostra.retrieval.queries.expansion import Asked, Expansion, Nonsense
from rostra.store import Facet, FacetKind, Filters

_TASK = """Take from the question what it says about which documents are meant, as conditions on
their fields. Only what the question itself says; most questions say nothing of the kind, and then
the list is empty."""
_FORM = '{"conditions": [{"field": "...", "operator": "...", "value": ...}]}'
_MOST = 4
_TOKENS = 200
_DATE = r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?"
_OPERATORS: Mapping[FacetKind, tuple[str, ...]] = {
    FacetKind.TEXT: ("eq", "ne"),
    FacetKind.DATE: ("prefix", "gte", "lt"),
    FacetKind.NUMBER: ("eq", "gt", "gte", "lt", "lte"),
    FacetKind.BOOLEAN: ("eq",),
}


class Narrowing:
    """See this module."""

    name: QueryStrategyName = "filters"

    def applies(self, asked: Asked) -> bool:
        """Where documents have something to filter by."""
        return bool(asked.facets)

    async def expand(self, asked: Asked, model: ChatModel, queries: int) -> Expansion:
        """Conditions, and no query."""
        said = await ask_json(
            model,
            _TASK,
            _FORM,
            asked,
            conditions_schema(asked.facets),
            tokens=_TOKENS,
            fields="\n".join(map(_described, asked.facets)),
        )
        return Expansion(filters=read_conditions(said.get("conditions"), asked.facets))


def conditions_schema(facets: Sequence[Facet]) -> dict[str, Any]:
    """What can be said of these fields, and nothing else."""
    condition = {
        "anyOf": [
            record(
                field={"const": facet.field},
                operator={"enum": list(_OPERATORS[facet.kind])},
                value=_value_schema(facet),
            )
            for facet in facets
        ]
    }
    return record(conditions={"type": "array", "items": condition, "maxItems": _MOST})


def read_conditions(said: Any, facets: Sequence[Facet]) -> Filters:
    """The conditions that hold to these fields, as filters; others are passed over.

    Several values that a text may be equal to are alternatives.

    Raises:
        Nonsense: it is no list.
    """
    if not isinstance(said, list):
        raise Nonsense("no list of conditions")
    by_field = {facet.field: facet for facet in facets}
    filters: dict[str, dict[str, Any]] = {}
    for one in said[:_MOST]:
        if not isinstance(one, dict):
            continue
        field, name, value = one.get("field"), one.get("operator"), one.get("value")
        facet = by_field.get(field) if isinstance(field, str) else None
        if facet is None or not _admissible(facet, name, value):
            continue
        operators = filters.setdefault(facet.field, {})
        if name == "eq" and "eq" in operators:
            operators["in"] = [operators.pop("eq"), value]
        elif name == "eq" and "in" in operators:
            operators["in"].append(value)
        else:
            operators.setdefault(str(name), value)
    return dict(filters)


def _admissible(facet: Facet, name: Any, value: Any) -> bool:
    if name not in _OPERATORS[facet.kind]:
        return False
    match facet.kind:
        case FacetKind.TEXT:
            return isinstance(value, str) and value in facet.values
        case FacetKind.DATE:
            return isinstance(value, str) and re.fullmatch(_DATE, value) is not None
        case FacetKind.NUMBER:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return is_number and abs(value) < 1e15 and math.isfinite(value)
        case FacetKind.BOOLEAN:
            return isinstance(value, bool)


def _value_schema(facet: Facet) -> dict[str, Any]:
    match facet.kind:
        case FacetKind.TEXT:
            return {"enum": list(facet.values)}
        case FacetKind.DATE:
            return {"type": "string", "pattern": f"^{_DATE}$"}
        case FacetKind.NUMBER:
            return {"type": "number"}
        case FacetKind.BOOLEAN:
            return {"type": "boolean"}


def _described(facet: Facet) -> str:
    match facet.kind:
        case FacetKind.TEXT:
            return f"- {facet.field}: one of {', '.join(map(repr, facet.values))}"
        case FacetKind.BOOLEAN:
            return f"- {facet.field}: true or false"
    ends = " to ".join(
        f"{value:g}" if isinstance(value, float) else str(value) for value in facet.values
    )
    return f"- {facet.field}: a {facet.kind}, {ends}"
