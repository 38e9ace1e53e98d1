"""Context precision and recall, and abstention: by hand and against scikit-learn."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score

from evals.core import Passage, Sample, State
from evals.rag.samples import rag_data
from evals.rag.scorers.abstention import Abstention, abstention_f1
from evals.rag.scorers.context import Context, ranked_precision, recall_at


def state(documents: str, gold: str, **more: Any) -> State:
    data = rag_data(answerable=more.pop("answerable", True), gold=list(gold))
    passages = [Passage(document) for document in documents]
    sample = Sample(id="q", input="q", data=data)
    return State(sample=sample, passages=passages, data={"mode": "quote"}, **more)


def values(scores: Any) -> dict[str, float | None]:
    return {one.name: one.value for one in scores}


async def test_by_hand() -> None:
    found = values(await Context()(state("xabyc", "abz"), 0))
    assert found == {
        "context precision": pytest.approx((1 / 2 + 2 / 3) / 2),
        "context recall": pytest.approx(2 / 3),
        "passage hit@1": 0.0,
    }


async def test_a_documents_best_passage_counts() -> None:
    assert await Context()(state("aaxb", "ab"), 0) == await Context()(state("axb", "ab"), 0)


async def test_nothing_found_is_zero_and_nothing_to_find_no_score() -> None:
    assert set(values(await Context()(state("", "a"), 0)).values()) == {0.0}
    assert list(await Context()(state("ab", ""), 0)) == []
    assert list(await Context()(state("ab", "a", answerable=False), 0)) == []
    sample = Sample(id="q", input="q", data=rag_data(answerable=True, gold=["a"]))
    assert list(await Context()(State(sample=sample, output="a model by itself"), 0)) == []


@given(st.lists(st.booleans(), min_size=1).filter(any))
def test_precision_by_rank_is_average_precision(useful: list[bool]) -> None:
    scores = [-float(at) for at in range(len(useful))]
    assert ranked_precision(useful) == pytest.approx(average_precision_score(useful, scores))


@given(st.lists(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef"), min_size=1))
def test_recall_never_falls_with_k(found: list[str], gold: set[str]) -> None:
    recalls = [recall_at(found, gold, k) for k in range(len(found) + 1)]
    assert recalls == sorted(recalls)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
async def test_abstention_against_scikit_learn(asked: list[tuple[bool, bool]]) -> None:
    found: dict[str, list[float]] = {}
    for answerable, abstained in asked:
        told = state("a", "", answerable=answerable, abstained=abstained)
        for score in await Abstention()(told, 0):
            assert score.value is not None
            found.setdefault(score.name, []).append(score.value)
    means = {name: sum(each) / len(each) for name, each in found.items()}
    right = [not answerable for answerable, _ in asked]
    said = [abstained for _, abstained in asked]
    if any(said):
        assert means["abstention precision"] == pytest.approx(precision_score(right, said))
    else:
        assert "abstention precision" not in means
    if any(right):
        assert means["abstention recall"] == pytest.approx(
            recall_score(right, said, zero_division=0.0)
        )
    else:
        assert "abstention recall" not in means
    assert len(found["abstention accuracy"]) == len(asked)
    f1 = abstention_f1(means.get("abstention precision"), means.get("abstention recall"))
    if any(said) and any(right):
        assert f1 == pytest.approx(f1_score(right, said, zero_division=0.0))
    else:
        assert f1 is None
