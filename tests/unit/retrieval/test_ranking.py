"""One ranking of several collections' candidates, against sorting them one by one."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rostra.retrieval import SearchMode
from rostra.retrieval.hits import HitScores
from rostra.retrieval.ranking import Ranking


def contribution(dense: list[float], lexical: list[float], documents: list[int]) -> Any:
    """What a collection contributes; candidate i stands at position 2 i."""
    document = np.repeat(np.array(documents, np.int32), 2)
    return SimpleNamespace(
        positions=2 * np.arange(len(dense)),
        dense=np.array(dense, np.float64),
        lexical=np.array(lexical, np.float64),
        index=SimpleNamespace(table=SimpleNamespace(document=document)),
    )


# Few values, so that there are ties.
_SCORE = st.sampled_from([0.0, 0.25, 0.5, 1.0])
_CANDIDATE = st.tuples(_SCORE, st.one_of(st.just(np.nan), _SCORE), st.integers(0, 3))
_COLLECTIONS = st.lists(st.lists(_CANDIDATE, max_size=12), min_size=1, max_size=3)


def made(collections: list[list[tuple[float, float, int]]]) -> list[Any]:
    return [
        contribution([one[0] for one in part], [one[1] for one in part], [one[2] for one in part])
        for part in collections
    ]


@settings(max_examples=60, deadline=None)
@given(_COLLECTIONS, st.integers(1, 4))
def test_ranked_and_limited_as_one_by_one(
    collections: list[list[tuple[float, float, int]]], most: int
) -> None:
    found = made(collections)
    ranking = Ranking.of(found, SearchMode.DENSE, "convex", dense_weight=0.6, rrf_k=60)
    expected = [
        (place, 2 * at, dense, document)
        for place, part in enumerate(collections)
        for at, (dense, _, document) in enumerate(part)
    ]
    expected.sort(key=lambda one: -one[2])  # stable, as ties are to stay
    rows = list(
        zip(
            ranking.places.tolist(), ranking.positions.tolist(), ranking.score.tolist(), strict=True
        )
    )
    assert rows == [one[:3] for one in expected]

    taken: Counter[tuple[int, int]] = Counter()
    kept = []
    for place, position, score, document in expected:
        taken[place, document] += 1
        if taken[place, document] <= most:
            kept.append((place, position, score))
    limited = ranking.limited(found, most)
    assert [
        (int(limited.places[row]), int(limited.positions[row]), float(limited.score[row]))
        for row in range(len(limited))
    ] == kept
    for row in range(len(limited)):
        assert limited.scores(row) == HitScores(dense=kept[row][2])


def test_each_mode_has_its_scores() -> None:
    found = made([[(0.5, 2.0, 0), (0.9, np.nan, 1)], [(0.7, 1.0, 0)]])

    def scores(mode: SearchMode) -> list[HitScores]:
        ranking = Ranking.of(found, mode, "convex", dense_weight=0.5, rrf_k=60)
        return [ranking.scores(row) for row in range(len(ranking))]

    assert scores(SearchMode.DENSE) == [HitScores(dense=value) for value in (0.9, 0.7, 0.5)]
    hybrid = scores(SearchMode.HYBRID)
    assert [(one.dense, one.lexical) for one in hybrid] == [(0.5, 2.0), (0.9, 0.0), (0.7, 1.0)]
    assert [one.fused for one in hybrid] == pytest.approx([0.5, 0.5, 0.5])
    lexical = made([[(np.nan, 2.0, 0)], [(np.nan, 3.0, 0)]])
    ranking = Ranking.of(lexical, SearchMode.LEXICAL, "convex", dense_weight=0.5, rrf_k=60)
    assert [ranking.scores(row) for row in range(2)] == [
        HitScores(lexical=3.0),
        HitScores(lexical=2.0),
    ]


def test_nothing_found() -> None:
    found = made([[], []])
    for mode in SearchMode:
        ranking = Ranking.of(found, mode, "convex", dense_weight=0.5, rrf_k=60)
        assert len(ranking) == len(ranking.limited(found, 1)) == 0
