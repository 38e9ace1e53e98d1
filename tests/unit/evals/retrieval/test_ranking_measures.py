"""Ranking measures: by hand, and against ir-measures over whole sets and scikit-learn."""

import ir_measures
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import AP, RR, P, R, nDCG
from sklearn.metrics import average_precision_score, ndcg_score

from evals.core import Passage, Sample, State
from evals.retrieval_measures import RankingScorer

DOCUMENTS = [f"d{number}" for number in range(30)]
rankings = st.lists(st.sampled_from(DOCUMENTS), max_size=30, unique=True)
judgements = st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(1, 4), min_size=1)


def test_by_hand() -> None:
    values = RankingScorer().values({"a": 1, "b": 1, "gone": 1}, ["x", "a", "y", "b"])
    # Gains 1 at places 2 and 4, of at best 1 at 1, 2 and 3.
    ideal = 1 + 0.6309297535714575 + 0.5
    assert values["ndcg@10"] == pytest.approx((0.6309297535714575 + 0.43067655807339306) / ideal)
    assert values["recall@100"] == pytest.approx(2 / 3)  # what is not in the corpus is missed
    assert values["precision@10"] == pytest.approx(0.2)  # by ten, not by four
    assert values["mrr@10"] == pytest.approx(0.5)
    assert values["map@100"] == pytest.approx((1 / 2 + 2 / 4) / 3)


def test_a_ranking_of_nothing_has_all_measures_at_zero() -> None:
    assert set(RankingScorer().values({"a": 1}, []).values()) == {0.0}


def test_of_a_document_that_is_there_twice_the_first_place_counts() -> None:
    scorer = RankingScorer()
    assert scorer.values({"a": 1}, ["x", "a", "a"]) == scorer.values({"a": 1}, ["x", "a"])


async def test_places_count_and_scores_do_not() -> None:
    sample = Sample(id="q", input="q", data={"relevant": {"a": 1}})
    passages = [Passage("a", score=0.5), Passage("b", score=0.5), Passage("c", score=9.0)]
    scores = await RankingScorer()(State(sample=sample, passages=passages), 0)
    assert {one.name: one.value for one in scores}["mrr@10"] == 1.0
    assert [one.name for one in scores] == [measure.name for measure in RankingScorer().measures]


def test_cuts_are_as_asked() -> None:
    scorer = RankingScorer(k=1, depth=2)
    values = scorer.values({"a": 1, "b": 1}, ["x", "a", "b"])
    assert values["precision@1"] == values["ndcg@1"] == values["mrr@1"] == 0
    assert values["recall@2"] == 0.5
    assert scorer.config() != RankingScorer().config()


@given(st.dictionaries(st.sampled_from("abcd"), st.tuples(judgements, rankings), min_size=1))
def test_means_of_queries_are_those_of_the_whole_set(
    asked: dict[str, tuple[dict[str, int], list[str]]],
) -> None:
    measures = [nDCG @ 10, R @ 100, P @ 10, RR @ 10, AP @ 100]
    relevant = {query: judged for query, (judged, _) in asked.items()}
    run = {
        query: {document: -float(at) for at, document in enumerate(ranked)}
        for query, (_, ranked) in asked.items()
    }
    whole = ir_measures.calc_aggregate(measures, relevant, run)
    each = [RankingScorer().values(judged, ranked) for judged, ranked in asked.values()]
    for name, measure in zip(each[0], measures, strict=True):
        assert sum(one[name] for one in each) / len(each) == pytest.approx(whole[measure])


@given(judgements, st.permutations(DOCUMENTS))
def test_against_scikit_learn(judged: dict[str, int], ranked: list[str]) -> None:
    values = RankingScorer(k=10, depth=30).values(judged, ranked)
    gains = [judged.get(document, 0) for document in ranked]
    scores = [-float(at) for at in range(len(ranked))]
    assert values["ndcg@10"] == pytest.approx(ndcg_score([gains], [scores], k=10))
    binary = [int(gain > 0) for gain in gains]
    assert values["map@30"] == pytest.approx(average_precision_score(binary, scores))


@given(judgements, rankings, st.integers(1, 29))
def test_more_places_never_lower_recall(
    judged: dict[str, int], ranked: list[str], depth: int
) -> None:
    fewer = RankingScorer(depth=depth).values(judged, ranked)[f"recall@{depth}"]
    more = RankingScorer(depth=depth + 1).values(judged, ranked)[f"recall@{depth + 1}"]
    assert fewer <= more
