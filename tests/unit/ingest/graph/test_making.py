"""Entities, relations and communities out of what chunks say."""

import math
from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rostra.ingest.graph.communities import LEAST_MEMBERS, find_communities, with_sentences
from rostra.ingest.graph.making import (
    ALWAYS_FEW,
    MOST_RELATIONS,
    NamedChunk,
    make_entities,
)
from rostra.ingest.graph.mentioned import MOST_MENTIONS
from rostra.ingest.graph.reading import ChunkNames, joined, packed, read_by_rules, unpacked
from rostra.retrieval import Name, NameKind, NameReader
from rostra.store import Graph, entity_id

COLLECTION = UUID(int=1)


def chunk(number: int, *keys: str, document: int | None = None, **given: object) -> NamedChunk:
    kind = given.get("kind", NameKind.CODE)
    assert isinstance(kind, NameKind)
    links = given.get("links", ())
    assert isinstance(links, tuple)
    names = tuple(Name(key, key, kind) for key in keys)
    home = UUID(int=1000 + (number if document is None else document))
    return NamedChunk(UUID(int=number + 1), home, ChunkNames(names, links))


def keys_of(graph: Graph) -> set[str]:
    return {one.key for one in graph.entities}


def close(graph: Graph, one: str, other: str) -> int:
    ids = entity_id(COLLECTION, one), entity_id(COLLECTION, other)
    return graph.relations.get(ids, 0)


def test_what_one_chunk_has_and_what_many_have_is_left_out() -> None:
    chunks = [chunk(n, "everywhere", *(["some"] if n < 3 else [])) for n in range(ALWAYS_FEW + 1)]
    chunks.append(chunk(99, "once"))
    assert keys_of(make_entities(COLLECTION, chunks)) == {"some"}


def test_a_phrase_of_one_document_is_no_entity_a_heading_is() -> None:
    chunks = [
        *(chunk(n, "phrase", document=0, kind=NameKind.TERM) for n in range(3)),
        *(chunk(n, "title", document=0, kind=NameKind.HEADING) for n in range(3, 6)),
    ]
    assert keys_of(make_entities(COLLECTION, chunks)) == {"title"}


def test_a_word_counts_where_it_is_the_name_of_something() -> None:
    chunks = [
        chunk(0, "glob", kind=NameKind.HEADING),
        chunk(1, "glob", "plain", kind=NameKind.WORD),
        chunk(2, "plain", kind=NameKind.WORD),
    ]
    graph = make_entities(COLLECTION, chunks)
    assert keys_of(graph) == {"glob"}
    weights = {chunk_id.int: weight for (_, chunk_id), weight in graph.mentions.items()}
    assert weights == {1: 2, 2: 1}


def test_closeness_is_normalised_mutual_information() -> None:
    chunks = [chunk(n, "a", "b") for n in range(3)]
    chunks += [chunk(n, "a") for n in range(3, 5)]
    chunks += [chunk(n, "c") for n in range(5, 10)]
    graph = make_entities(COLLECTION, chunks)
    shared = 3 / 10
    expected = math.log(shared / (5 / 10 * 3 / 10)) / -math.log(shared)
    assert close(graph, "a", "b") == close(graph, "b", "a") == round(100 * expected)
    assert close(graph, "a", "c") == 0


def test_one_chunk_together_is_chance_a_link_is_not() -> None:
    apart = [chunk(0, "a", "b"), chunk(1, "a"), chunk(2, "b"), *(chunk(n, "c") for n in (3, 4))]
    assert close(make_entities(COLLECTION, apart), "a", "b") == 0
    told = [chunk(0, "a", "b", links=(("a", "b", 80),)), *apart[1:]]
    assert close(make_entities(COLLECTION, told), "a", "b") == 80
    assert close(make_entities(COLLECTION, told), "b", "a") == 80


names = st.lists(st.sampled_from([f"k{n}" for n in range(40)]), max_size=35, unique=True)


@settings(max_examples=30)
@given(st.lists(names, max_size=25), st.randoms(use_true_random=False))
def test_a_graph_is_bounded_and_no_order_matters(rows: list[list[str]], random: Random) -> None:
    chunks = [chunk(number, *row, document=number // 3) for number, row in enumerate(rows)]
    graph = make_entities(COLLECTION, chunks)
    ids = {one.id for one in graph.entities}
    per_chunk: dict[UUID, int] = {}
    per_entity: dict[int, int] = {}
    for entity, chunk_id in graph.mentions:
        assert entity in ids
        per_chunk[chunk_id] = per_chunk.get(chunk_id, 0) + 1
        per_entity[entity] = per_entity.get(entity, 0) + 1
    assert all(count <= MOST_MENTIONS for count in per_chunk.values())
    assert {one.id: one.df for one in graph.entities} == per_entity
    assert all(one.df > 1 for one in graph.entities)
    sources = [source for source, _ in graph.relations]
    assert all(sources.count(entity) <= MOST_RELATIONS for entity in ids)
    assert all(1 <= weight <= 100 for weight in graph.relations.values())
    shuffled = list(chunks)
    random.shuffle(shuffled)
    assert make_entities(COLLECTION, shuffled) == graph


def two_cliques() -> list[NamedChunk]:
    left, right = ("a", "b", "c"), ("x", "y", "z")
    return [
        *(chunk(n, *left) for n in range(4)),
        *(chunk(n, *right) for n in range(4, 8)),
        chunk(8, "a", "x"),
    ]


def test_communities_are_what_hangs_together() -> None:
    chunks = two_cliques()
    graph = make_entities(COLLECTION, chunks)
    by_id = {one.id: one.key for one in graph.entities}
    found = find_communities(COLLECTION, graph, chunks)
    members = {frozenset(by_id[member] for member in one.members) for one in found}
    assert {frozenset("abc"), frozenset("xyz")} <= members
    assert all(len(one.members) >= LEAST_MEMBERS for one in found)
    assert find_communities(COLLECTION, graph, chunks) == found
    left = next(one for one in found if {by_id[m] for m in one.members} == set("abc"))
    assert {passage.chunk_id.int - 1 for passage in left.passages} <= {0, 1, 2, 3, 8}
    assert left.passages[0].chunk_id.int - 1 < 4


def test_a_graph_without_relations_has_no_communities() -> None:
    assert find_communities(COLLECTION, Graph(), []) == []


def test_the_first_passages_say_their_sentence() -> None:
    chunks = two_cliques()
    found = find_communities(COLLECTION, make_entities(COLLECTION, chunks), chunks)
    text = "Short. This sentence is long enough to tell what the passage is about. And more."
    texts = {passage.chunk_id: text for one in found for passage in one.passages}
    for one in with_sentences(found, texts):
        for at, passage in enumerate(one.passages):
            told = text[passage.start : passage.end]
            assert told.startswith("This sentence" if at < 3 else "")
            assert bool(told) is (at < 3)


def test_what_is_kept_of_a_chunk_comes_back() -> None:
    reader = NameReader()
    found = read_by_rules(
        reader, "Größe — a title", "Größe — a title > VACUUM", "max_workers is réel"
    )
    assert ("grösse", "vacuum", 50) in found.links
    assert unpacked(packed(found)) == found


def test_of_two_readings_the_kind_that_says_more_stays() -> None:
    one = ChunkNames((Name("a", "a", NameKind.WORD),), (("a", "b", 5),))
    other = ChunkNames((Name("a", "A", NameKind.NAME),), (("a", "b", 5), ("b", "c", 1)))
    assert joined(one, other) == ChunkNames(
        (Name("a", "A", NameKind.NAME),), (("a", "b", 5), ("b", "c", 1))
    )


@pytest.mark.parametrize("rows", [[], [[]], [["a"]]])
def test_little_makes_an_empty_graph(rows: list[list[str]]) -> None:
    graph = make_entities(COLLECTION, [chunk(n, *row) for n, row in enumerate(rows)])
    assert graph == Graph([], {}, {})
