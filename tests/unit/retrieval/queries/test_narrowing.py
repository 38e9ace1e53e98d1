"""Filters taken from questions can only narrow, whatever a model says."""

import json
from typing import Any

import hypothesis.strategies as st
import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings

from rostra.core import JsonSchema
from rostra.retrieval.queries.expansion import Nonsense
from rostra.retrieval.queries.narrowing import conditions_schema, read_conditions
from rostra.serving.grammar.translate import translate
from rostra.store import Facet, FacetKind
from rostra.store.facets import facets_of
from rostra.store.filters import filter_conditions

FACETS = (
    Facet("lang", FacetKind.TEXT, ("de", "en", "fr")),
    Facet("published", FacetKind.DATE, ("2019-01-02", "2024-05-06")),
    Facet("year", FacetKind.NUMBER, (1999.0, 2024.0)),
    Facet("draft", FacetKind.BOOLEAN, (False, True)),
)
FIELDS = {facet.field for facet in FACETS}

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["de", "en", "2024", "2024-05", ["de"], {"eq": "de"}]),
)
conditions = st.fixed_dictionaries(
    {
        "field": st.sampled_from([*FIELDS, "owner", "uri", "", "$"]) | values,
        "operator": st.sampled_from(["eq", "ne", "in", "gt", "prefix", "lt", "or"]) | values,
        "value": values,
    }
)


@given(said=st.lists(conditions | values, max_size=8))
@settings(max_examples=200)
def test_only_what_was_offered_comes_out_and_the_store_takes_it(said: list[Any]) -> None:
    filters = read_conditions(said, FACETS)
    assert set(filters) <= FIELDS
    for field, operators in filters.items():
        facet = next(facet for facet in FACETS if facet.field == field)
        assert operators
        for name, value in operators.items():
            if facet.kind is FacetKind.TEXT:
                assert name in ("eq", "ne", "in")
                assert set(value if name == "in" else [value]) <= set(facet.values)
    for dialect in ("sqlite", "postgresql"):
        filter_conditions(filters, dialect)


@given(said=st.lists(conditions, max_size=4))
@settings(max_examples=100)
def test_what_the_schema_takes_is_taken(said: list[dict[str, Any]]) -> None:
    validator = jsonschema.Draft202012Validator(conditions_schema(FACETS))
    # No schema can say how large a number may be that all engines hold to.
    numbers = [one["value"] for one in said if isinstance(one["value"], int | float)]
    if all(abs(number) < 1e15 for number in numbers) and validator.is_valid({"conditions": said}):
        assert {one["field"] for one in said} == set(read_conditions(said, FACETS))


def test_several_values_are_alternatives() -> None:
    said = [
        {"field": "lang", "operator": "eq", "value": value} for value in ("de", "en", "fr", "xx")
    ]
    assert read_conditions(said, FACETS) == {"lang": {"in": ["de", "en", "fr"]}}
    bounds = [
        {"field": "year", "operator": "gte", "value": 2000},
        {"field": "year", "operator": "lt", "value": 2010},
        {"field": "year", "operator": "lt", "value": 1e400},
    ]
    assert read_conditions(bounds, FACETS) == {"year": {"gte": 2000, "lt": 2010}}
    with pytest.raises(Nonsense):
        read_conditions({"lang": "de"}, FACETS)


def test_the_engine_enforces_the_whole_schema() -> None:
    # Strict: refused were there anything in it that the grammar leaves out.
    translate(JsonSchema(json.dumps(conditions_schema(FACETS)), strict=True), {})


def test_facets_are_bounded_and_of_one_kind() -> None:
    documents: list[dict[str, Any]] = [
        {
            "lang": "de" if number % 2 else "en",
            "serial": f"s{number}",
            "when": f"2024-01-{number % 28 + 1:02}",
            "size": number,
            "mixed": number if number % 3 else "text",
            "flag": number % 2 == 0,
            "tags": ["a"],
            "long": "x" * 200,
            "uri": "mine",
            "odd key'": "v",
            "inf": float("inf"),
        }
        for number in range(100)
    ]
    found = {facet.field: facet for facet in facets_of(documents)}
    assert set(found) == {"lang", "when", "size", "mixed", "flag"}
    assert found["lang"].values == ("de", "en")
    assert (found["when"].kind, found["when"].values) == (
        FacetKind.DATE,
        ("2024-01-01", "2024-01-28"),
    )
    assert found["size"].values == (0.0, 99.0)
    assert found["mixed"].kind is FacetKind.NUMBER
    assert found["flag"].values == (False, True)
    many = [{f"key{number}": "v" for number in range(50)}]
    assert len(facets_of(many)) == 20
