"""Filters: one table of cases, and the same documents on both engines."""

from typing import Any

import pytest

from rostra.core import InvalidFilter, new_id
from rostra.store import (
    Collection,
    Database,
    chunk_records,
    index_rows,
    list_documents,
    matching_documents,
)

# By uri; the title is the uri in upper case.
DOCUMENTS: dict[str, dict[str, Any]] = {
    "int": {"v": 5},
    "real": {"v": 5.5},
    "whole": {"v": 5.0},
    "negative": {"v": -1},
    "big": {"v": 2**53 + 1},
    "huge": {"v": 10**30},
    "zero": {"v": 0},
    "one": {"v": 1},
    "true": {"v": True},
    "false": {"v": False},
    "text5": {"v": "5"},
    "texttrue": {"v": "true"},
    "empty": {"v": ""},
    "lower": {"v": "apple"},
    "upper": {"v": "Apple"},
    "accent": {"v": "äpple"},
    "astral": {"v": "\U0001f600pple"},
    "percent": {"v": "a%_pple"},
    "quote": {"v": 'it\'s "quoted" \\ --'},
    "date": {"v": "2021-05-01"},
    "null": {"v": None},
    "missing": {},
    "unicode": {"größe": 3, "a.b-c": "dotted", "5": "five", "": "empty key"},
    "sql": {"v": "') OR 1=1 --"},
}
HAVE_V = set(DOCUMENTS) - {"missing", "unicode"}
ALL = set(DOCUMENTS)

CASES: list[tuple[dict[str, Any], set[str]]] = [
    ({}, ALL),
    # Numbers are equal by value, and only to numbers.
    ({"v": 5}, {"int", "whole"}),
    ({"v": 5.0}, {"int", "whole"}),
    ({"v": 5.5}, {"real"}),
    ({"v": 0}, {"zero"}),
    ({"v": 1}, {"one"}),
    ({"v": 2**53}, set()),
    ({"v": 2**53 + 1}, {"big"}),
    ({"v": 10**30}, {"huge"}),
    ({"v": {"gt": 5}}, {"real", "big", "huge"}),
    ({"v": {"gte": 5, "lt": 5.5}}, {"int", "whole"}),
    ({"v": {"lt": 0}}, {"negative"}),
    ({"v": {"lte": 0}}, {"negative", "zero"}),
    ({"v": {"gt": 2**53}}, {"big", "huge"}),
    ({"v": {"gt": 10**100}}, set()),
    ({"v": {"lt": 1e-300, "gt": -0.5}}, {"zero"}),
    # Truth values are no numbers and no strings.
    ({"v": True}, {"true"}),
    ({"v": False}, {"false"}),
    ({"v": {"ne": True}}, ALL - {"true"}),
    # Strings by code point, whatever the collation.
    ({"v": "5"}, {"text5"}),
    ({"v": "true"}, {"texttrue"}),
    ({"v": ""}, {"empty"}),
    ({"v": "apple"}, {"lower"}),
    ({"v": {"gt": "apple"}}, {"accent", "astral", "texttrue", "quote"}),
    ({"v": {"gte": "Apple", "lt": "b"}}, {"lower", "upper", "percent"}),
    ({"v": {"gt": "ä"}}, {"accent", "astral"}),
    ({"v": {"gt": "\uffff"}}, {"astral"}),
    ({"v": {"gte": "2021-01-01", "lt": "2022-01-01"}}, {"date"}),
    ({"v": {"prefix": "a"}}, {"lower", "percent"}),
    ({"v": {"prefix": "A"}}, {"upper"}),
    ({"v": {"prefix": "a%"}}, {"percent"}),
    ({"v": {"prefix": "%"}}, set()),
    ({"v": {"prefix": "_"}}, set()),
    ({"v": {"prefix": "\U0001f600"}}, {"astral"}),
    ({"v": {"prefix": "äpp"}}, {"accent"}),
    ({"v": {"prefix": "5"}}, {"text5"}),
    (
        {"v": {"prefix": ""}},
        {u for u, meta in DOCUMENTS.items() if isinstance(meta.get("v"), str)},
    ),
    # `ne` is the opposite of `eq`, missing and other types included.
    ({"v": {"ne": 5}}, ALL - {"int", "whole"}),
    ({"v": {"ne": "apple"}}, ALL - {"lower"}),
    ({"v": {"eq": 5, "ne": 5}}, set()),
    ({"nowhere": {"ne": 1}}, ALL),
    ({"nowhere": 1}, set()),
    ({"nowhere": {"lt": 1}}, set()),
    # One of.
    ({"v": []}, set()),
    ({"v": [5, "apple", True]}, {"int", "whole", "lower", "true"}),
    ({"v": {"in": ["5", 5.5]}}, {"text5", "real"}),
    ({"v": [0, 1]}, {"zero", "one"}),
    ({"v": [True, False]}, {"true", "false"}),
    ({"v": list(range(1000))}, {"int", "whole", "zero", "one"}),
    ({"v": [str(n) for n in range(1000)]}, {"text5"}),
    # Columns, and more than one field.
    ({"uri": "int"}, {"int"}),
    ({"uri": ["int", "real", "INT"]}, {"int", "real"}),
    ({"title": "INT"}, {"int"}),
    ({"title": {"prefix": "te"}}, set()),
    ({"title": {"prefix": "TE"}}, {"text5", "texttrue"}),
    ({"uri": {"gte": "text", "lt": "tf"}}, {"text5", "texttrue"}),
    ({"uri": {"ne": "int"}}, ALL - {"int"}),
    ({"media_type": "text/plain"}, ALL),
    ({"media_type": {"prefix": "text/p"}, "v": 5}, {"int", "whole"}),
    ({"uri": "int", "v": 6}, set()),
    # Keys are keys, whatever is in them.
    ({"größe": 3}, {"unicode"}),
    ({"a.b-c": "dotted"}, {"unicode"}),
    ({"5": "five"}, {"unicode"}),
    ({"a": "dotted"}, set()),
    # Values are values, whatever is in them.
    ({"v": "') OR 1=1 --"}, {"sql"}),
    ({"v": "' OR '1'='1"}, set()),
    ({"v": {"prefix": "') OR 1=1"}}, {"sql"}),
    ({"v": {"prefix": "%' OR 1=1 --"}}, set()),
    ({"v": 'it\'s "quoted" \\ --'}, {"quote"}),
    ({"v": {"prefix": "it's \""}}, {"quote"}),
    ({"v": ["') OR 1=1 --", "x') --"]}, {"sql"}),
]


async def test_filters_keep_the_same_documents_on_every_engine(
    database: Database, collection: Collection, make_document: Any, put: Any
) -> None:
    async with database.write() as session:
        for uri, metadata in DOCUMENTS.items():
            new = make_document(uri, uri, metadata=metadata, title=uri.upper())
            await put(session, collection, new)
    wrong = []
    async with database.read() as session:
        documents, _ = await list_documents(session, collection.id, limit=100)
        uris = {document.id: document.uri for document in documents}
        chunks = await index_rows(session, collection.id, collection.space_id)
        chunk_ids = [row.chunk_id for row in chunks]
        for filters, expected in CASES:
            found = {uris[i] for i in await matching_documents(session, collection.id, filters)}
            rechecked = {
                record.uri
                for record in (
                    await chunk_records(session, collection.id, chunk_ids, filters)
                ).values()
            }
            if found != expected or rechecked != expected:
                wrong.append((filters, found ^ expected, rechecked ^ expected))
        assert await matching_documents(session, new_id(), {}) == set()
    assert wrong == []


async def test_the_widest_filter_that_is_allowed_runs(
    database: Database, collection: Collection
) -> None:
    filters = {f"field{n}": [f"{n}-{i}" for i in range(1000)] for n in range(20)}
    async with database.read() as session:
        assert await matching_documents(session, collection.id, filters) == set()
        ids = [new_id() for _ in range(1000)]
        assert await chunk_records(session, collection.id, ids, filters) == {}


async def test_a_refused_filter_leaves_the_session_usable(
    database: Database, collection: Collection
) -> None:
    async with database.read() as session:
        with pytest.raises(InvalidFilter):
            await matching_documents(session, collection.id, {"a": {"like": "x"}})
        assert await matching_documents(session, collection.id, {}) == set()
