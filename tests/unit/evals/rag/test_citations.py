"""Citations against annotated spans, by hand; exactness; sentences."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.core import Cited, Sample, Score, State
from evals.rag.samples import rag_data
from evals.rag.scorers.citations import CitationExactness, CitationSpans, against
from evals.rag.scorers.sentence_f1 import SentenceF1, sentence_f1
from evals.solvers.ask import sentences_in

ENDS = st.tuples(st.integers(0, 20), st.integers(1, 10)).map(lambda one: (one[0], sum(one)))


def cited(*places: tuple[int, int], document: str = "d", exact: bool | None = True) -> list[Cited]:
    return [Cited(document, start, end, "q", exact=exact) for start, end in places]


def state(citations: list[Cited], data: dict[str, Any], **more: Any) -> State:
    sample = Sample(id="q", input="q", data=data)
    return State(sample=sample, citations=citations, data={"mode": "quote"}, **more)


def values(scores: Any) -> dict[str, float | None]:
    return {one.name: one.value for one in scores}


def test_half_of_a_citation_makes_it_right_and_more_than_half_of_a_span_found() -> None:
    spans = [("d", 0, 10), ("d", 20, 30)]
    # 0-5 lies inside and covers just half; 24-36 lies half inside and covers more than half.
    assert against(cited((0, 5), (24, 36)), spans) == (1.0, 0.5)
    # 25-40 lies a third inside and covers just half.
    assert against(cited((25, 40)), spans) == (0.0, 0.0)
    assert against(cited((0, 10), document="other"), spans) == (0.0, 0.0)


def test_what_several_cover_together_counts_once() -> None:
    spans = [("d", 0, 10)]
    assert against(cited((0, 4), (2, 6)), spans) == (1.0, 1.0)
    assert against(cited((0, 4), (0, 4)), spans) == (1.0, 0.0)
    # A citation over two spans that touch.
    assert against(cited((0, 20)), [("d", 0, 5), ("d", 5, 12)]) == (1.0, 1.0)


@given(st.lists(ENDS, min_size=1, max_size=6, unique=True), st.data())
def test_one_more_citation_never_lowers_recall(spans: list[tuple[int, int]], data: Any) -> None:
    gold = [("d", start, end) for start, end in spans]
    citations = cited(*data.draw(st.lists(ENDS, min_size=1, max_size=6)))
    _, recall = against(citations, gold)
    _, more = against([*citations, *cited(data.draw(ENDS))], gold)
    assert recall <= more


@given(st.lists(ENDS, min_size=1, max_size=6, unique=True))
def test_to_cite_the_annotation_is_perfect(spans: list[tuple[int, int]]) -> None:
    assert against(cited(*spans), [("d", start, end) for start, end in spans]) == (1.0, 1.0)


async def test_the_closest_annotation_counts() -> None:
    data = rag_data(answerable=True, spans=[[("d", 50, 60)], [("d", 0, 10)]])
    found = values(await CitationSpans()(state(cited((0, 10)), data), 0))
    assert found == {"citation precision": 1.0, "citation recall": 1.0}


async def test_an_answer_without_citations_has_recall_and_no_precision() -> None:
    data = rag_data(answerable=True, spans=[[("d", 0, 10)]])
    assert values(await CitationSpans()(state([], data), 0)) == {"citation recall": 0.0}


async def test_no_score_where_there_is_nothing_to_measure() -> None:
    unknown, none = rag_data(answerable=True), rag_data(answerable=False)
    for data in (unknown, none):
        assert list(await CitationSpans()(state(cited((0, 1)), data), 0)) == []
    bare = State(sample=Sample(id="q", input="q", data={"spans": [[("d", 0, 10)]]}), output="x")
    assert list(await CitationSpans()(bare, 0)) == []  # a model that never cites


async def test_exactness_is_a_share_of_an_answers_citations() -> None:
    both = cited((0, 1)) + cited((1, 2), exact=False)
    assert values(await CitationExactness()(state(both, {}), 0)) == {"citation exactness": 0.5}
    assert list(await CitationExactness()(state([], {}), 0)) == []
    unknown = await CitationExactness()(state(cited((0, 1), exact=None), {}), 0)
    assert list(unknown) == [
        Score("citation exactness", None, unscored="citations were not looked up")
    ]


def test_a_sentence_is_cited_if_more_than_half_of_it_is() -> None:
    table = {"d": [(0, 10), (11, 21)]}
    assert sentences_in(cited((0, 16)), table) == [("d", 0)]
    assert sentences_in(cited((0, 17)), table) == [("d", 0), ("d", 1)]
    assert sentences_in(cited((0, 17), document="other"), table) == []


def test_sentence_f1_by_hand() -> None:
    a, b, c = ("p", 0), ("p", 1), ("p", 2)
    assert sentence_f1({a, b}, [{a}]) == pytest.approx(2 / 3)
    assert sentence_f1({a}, [{b}, {a, b, c}]) == pytest.approx(0.5)
    assert sentence_f1({a}, [{a}, {a, b, c}]) == 1  # the closest, not the last
    assert sentence_f1(set(), [{a}]) == 0
    assert sentence_f1({a}, [{a}]) == 1


async def test_sentence_f1_needs_chosen_sentences_and_a_system_that_cites_them() -> None:
    data = rag_data(answerable=True, sentences=[[("d", 0), ("d", 1)]])
    sample = Sample(id="q", input="q", data=data)
    told = State(sample=sample, data={"sentences": [["d", 0]]})
    assert values(await SentenceF1()(told, 0)) == {"sentence f1": pytest.approx(2 / 3)}
    silent = State(sample=sample, abstained=True, data={"sentences": []})
    assert values(await SentenceF1()(silent, 0)) == {"sentence f1": 0.0}
    assert list(await SentenceF1()(State(sample=sample), 0)) == []
    chose_none = State(sample=Sample(id="q", input="q"), data={"sentences": []})
    assert list(await SentenceF1()(chose_none, 0)) == []
