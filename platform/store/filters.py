"""Metadata filters: what a search may narrow by, as SQL conditions on documents.

A filter maps a field to what it must be: a scalar (equal), a list (one of), or an object of
operators `eq ne gt gte lt lte in prefix`. Fields are `uri`, `title` and `media_type`, or a name in
the document's metadata.

What always holds: a document passes the same filters on every engine. Values of another type never
match, whatever the engine would coerce; strings compare by code point, whatever the collation; `ne`
is the opposite of `eq`, so it also keeps documents without the field.
"""

import operator
import re
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Numeric, case, cast, false, func, literal, or_

from rostra.core import InvalidFilter
from rostra.store.tables import DocumentRow

Filters = dict[str, Any]

_COMPARE: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}

_COLUMNS = {"uri", "title", "media_type"}
_KEY = re.compile(r"[\w.\-]{1,100}")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_MAX_FIELDS = 20
_MAX_LIST = 1000


def filter_conditions(filters: Filters, dialect: str) -> list[ColumnElement[bool]]:
    """SQL conditions on `DocumentRow`, all of which must hold.

    Args:
        filters: as above; empty means no condition.
        dialect: `sqlite` or `postgresql`.

    Raises:
        InvalidFilter: an unknown operator, a malformed field name or a value of a wrong type.
    """
    if len(filters) > _MAX_FIELDS:
        raise InvalidFilter(f"at most {_MAX_FIELDS} fields can be filtered by")
    conditions = []
    for key, wanted in filters.items():
        if not _KEY.fullmatch(key):
            raise InvalidFilter(f"filter field {key[:100]!r} is malformed")
        operators = wanted if isinstance(wanted, dict) else {_implied(wanted): wanted}
        if not operators:
            raise InvalidFilter(f"filter on {key!r} is empty")
        conditions += [_condition(key, name, value, dialect) for name, value in operators.items()]
    return conditions


def _implied(wanted: Any) -> str:
    return "in" if isinstance(wanted, list) else "eq"


def _condition(key: str, name: str, value: Any, dialect: str) -> ColumnElement[bool]:
    match name:
        case "in":
            if not isinstance(value, list) or len(value) > _MAX_LIST:
                raise InvalidFilter(f"filter on {key!r}: in takes a list of at most {_MAX_LIST}")
            return _one_of(key, value, dialect)
        case "ne":
            return ~_condition(key, "eq", value, dialect)
        case "prefix":
            if not isinstance(value, str):
                raise InvalidFilter(f"filter on {key!r}: prefix takes a string")
            # Not LIKE, which on SQLite ignores case.
            start = func.substr(_field(key, str, dialect), 1, len(value))
            return func.coalesce(start == _storable(key, value), false())
        case "eq" | "gt" | "gte" | "lt" | "lte":
            kind, wanted = _typed(key, value, dialect)
            if kind is bool and name != "eq":
                raise InvalidFilter(f"filter on {key!r}: true and false have no order")
            return func.coalesce(_COMPARE[name](_field(key, kind, dialect), wanted), false())
        case _:
            raise InvalidFilter(
                f"filter on {key!r}: there is no operator {name[:50]!r}",
                hint="Operators are eq, ne, gt, gte, lt, lte, in and prefix.",
            )


def _one_of(key: str, values: list[Any], dialect: str) -> ColumnElement[bool]:
    # One IN a type, because engines limit how deep a chain of ORs may be.
    by_type: dict[type, list[Any]] = {}
    for value in values:
        kind, wanted = _typed(key, value, dialect)
        by_type.setdefault(kind, []).append(wanted)
    return or_(
        false(),
        *(
            func.coalesce(_field(key, kind, dialect).in_(wanted), false())
            for kind, wanted in by_type.items()
        ),
    )


def _typed(key: str, value: Any, dialect: str) -> tuple[type, Any]:
    """The type to compare as, one of bool, str and float, and the value as the engine takes it."""
    match value:
        case str():
            return str, _storable(key, value)
        case _ if key in _COLUMNS:
            raise InvalidFilter(f"filter on {key!r} takes strings")
        case bool():
            return bool, value
        case int() | float() if abs(value) <= sys.float_info.max:
            if dialect == "postgresql":
                return float, Decimal(repr(value))
            # SQLite has integers of 64 bits, and reads longer ones in JSON as floats.
            return float, value if abs(value) < 2**63 else float(value)
        case _:
            raise InvalidFilter(
                f"filter on {key!r}: compare with a string, a finite number, true or false"
            )


def _storable(key: str, value: str) -> str:
    if _UNSTORABLE.search(value):
        raise InvalidFilter(f"filter on {key!r}: a string may have no NUL and no surrogates")
    return value


def _field(key: str, kind: type, dialect: str) -> ColumnElement[Any]:
    """The field as SQL of this type; NULL where the stored type differs."""
    binary = "C" if dialect == "postgresql" else "BINARY"
    if key in _COLUMNS:
        column: ColumnElement[str] = getattr(DocumentRow, key).expression
        return column.collate(binary)
    stored = DocumentRow.meta[key]
    if dialect == "postgresql":
        type_name = func.jsonb_typeof(stored)
        number: ColumnElement[Any] = cast(stored.as_string(), Numeric)
        names = {bool: ["boolean"], str: ["string"], float: ["number"]}
    else:
        path = literal(f'$."{key}"')
        type_name = func.json_type(DocumentRow.meta, path)
        number = func.json_extract(DocumentRow.meta, path)  # as_float would round integers
        names = {bool: ["true", "false"], str: ["text"], float: ["integer", "real"]}
    as_kind = {bool: stored.as_boolean(), str: stored.as_string().collate(binary), float: number}
    return case((type_name.in_(names[kind]), as_kind[kind]))
