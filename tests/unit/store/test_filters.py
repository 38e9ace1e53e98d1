"""Filters that are refused before any SQL runs, and where the values of the others go."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import and_
from sqlalchemy.dialects import postgresql, sqlite

from rostra.core import InvalidFilter
from rostra.store.filters import filter_conditions

DIALECTS = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect()}  # type: ignore[no-untyped-call]

REFUSED: list[dict[str, Any]] = [
    {"": 1},
    {"a b": 1},
    {"a'b": 1},
    {'a"b': 1},
    {"a]": 1},
    {"$": 1},
    {"a" * 101: 1},
    {"a\n": 1},
    {"a": {}},
    {"a": None},
    {"a": {"eq": None}},
    {"a": {"like": "x"}},
    {"a": {"EQ": "x"}},
    {"a": {"in": "x"}},
    {"a": {"in": [[1]]}},
    {"a": [None]},
    {"a": [{"eq": 1}]},
    {"a": {"eq": [1]}},
    {"a": {"eq": {"eq": 1}}},
    {"a": {"prefix": 1}},
    {"a": {"gt": True}},
    {"a": {"lte": False}},
    {"a": float("nan")},
    {"a": float("inf")},
    {"a": 10**400},
    {"a": -(10**400)},
    {"a": "nul\x00"},
    {"a": {"prefix": "\x00"}},
    {"a": {"prefix": "\udc80"}},
    {"a": ["\ud800"]},
    {"uri": 1},
    {"title": True},
    {"media_type": {"gt": 1.5}},
    {"uri": [1]},
    {"a": list(range(1001))},
    {f"a{n}": 1 for n in range(21)},
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("filters", REFUSED, ids=lambda filters: ascii(filters)[:30])
def test_a_filter_that_cannot_be_understood_is_refused(
    filters: dict[str, Any], dialect: str
) -> None:
    with pytest.raises(InvalidFilter):
        filter_conditions(filters, dialect)


KEYS = st.text(min_size=1, max_size=8) | st.sampled_from(["uri", "year", "') OR 1=1 --", '"', "$."])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
OPERATORS = st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte", "in", "prefix", "; DROP"])
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=4)


@given(st.dictionaries(KEYS, VALUES | st.dictionaries(OPERATORS, VALUES, max_size=2), max_size=3))
def test_any_json_is_refused_or_becomes_sql_that_contains_none_of_it(filters: Any) -> None:
    for name, dialect in DIALECTS.items():
        try:
            conditions = filter_conditions(filters, name)
        except InvalidFilter:
            continue
        sql = str(and_(True, *conditions).compile(dialect=dialect))
        assert "--" not in sql
        assert "DROP" not in sql
        assert ";" not in sql
