"""How the graph's rankings join the others, and what a question names."""

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rostra.retrieval.graph.neighbourhood import MOST_NAMED, named_entities
from rostra.retrieval.graph.searching import DEPTH, fused
from rostra.store import Entity

IDS = [UUID(int=number) for number in range(80)]


def test_ranks_add_up_by_weight() -> None:
    scores = fused([(1.0, IDS[:2]), (0.5, [IDS[1], IDS[2]])], 60)
    assert scores[IDS[0]] == pytest.approx(1 / 61)
    assert scores[IDS[1]] == pytest.approx(1 / 62 + 0.5 / 61)
    assert scores[IDS[2]] == pytest.approx(0.5 / 62)


def test_only_the_first_ranking_counts_whole() -> None:
    scores = fused([(1.0, IDS), (1.0, IDS)], 60)
    assert set(scores) == set(IDS)
    assert scores[IDS[DEPTH]] == pytest.approx(1 / (61 + DEPTH))


def test_without_weight_a_ranking_adds_nothing() -> None:
    assert set(fused([(1.0, IDS[:3]), (0.0, IDS[3:])], 60)) == set(IDS[:3])


@settings(max_examples=40)
@given(st.permutations(IDS[:10]), st.permutations(IDS[:10]))
def test_who_is_first_everywhere_is_first(one: list[UUID], other: list[UUID]) -> None:
    other.remove(one[0])
    scores = fused([(1.0, one), (1.0, [one[0], *other])], 60)
    assert max(scores, key=lambda id_: scores[id_]) == one[0]


def entity(key: str, df: int = 5) -> Entity:
    return Entity(hash(key) & 0xFFFF, key, key, "term", df)


def test_of_overlapping_names_the_longest_is_meant() -> None:
    keys = ["creat index concurr", "creat index", "index concurr", "creat", "index", "lock"]
    known = [entity("creat index"), entity("index"), entity("lock", 2)]
    assert [one.key for one in named_entities(keys, known)] == ["lock", "creat index"]


def test_a_question_names_a_bounded_number() -> None:
    keys = [f"key{number}" for number in range(50)]
    named = named_entities(keys, [entity(key, number + 1) for number, key in enumerate(keys)])
    assert [one.key for one in named] == keys[:MOST_NAMED]
