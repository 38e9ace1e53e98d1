"""Tuning that keeps nothing on little, and says which judgements name nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evals import DatasetError, JudgedSet
from evals.tuning.choices import JudgedQuery
from evals.tuning.judgements import with_documents
from evals.tuning.tune import LEAST_QUERIES, tune
from rostra.core import Settings


def query(number: int) -> JudgedQuery:
    """Its relevant document is the last by meaning, and the first by words."""
    return JudgedQuery(
        id=f"q{number}",
        documents=("wrong", "other", "right"),
        dense=np.array([0.9, 0.5, 0.1]),
        lexical=np.array([np.nan, 0.5, 5.0]),
        shares=np.array([0.0, 0.1, 1.0]),
        late=None,
        relevant={"right": 1},
    )


@pytest.mark.parametrize("count", [2, LEAST_QUERIES - 1, LEAST_QUERIES])
def test_little_is_no_reason_to_keep_anything(count: int) -> None:
    settings = Settings(dense_weight=0.8)
    report = tune("some", [query(number) for number in range(count)], settings)
    assert report.enough is (count >= LEAST_QUERIES)
    assert report.found != report.before
    assert (report.kept == report.found) is report.enough
    told = report.to_dict()
    assert (told["enough"], told["least_queries"]) == (report.enough, LEAST_QUERIES)


def test_intervals_lie_where_the_measure_does() -> None:
    """Of two queries, one wholly found and one not, t gives an interval of -5.9 to 6.9."""
    lost = replace(query(1), relevant={"nowhere": 1})
    report = tune("two", [query(0), lost], Settings(dense_weight=0.0))
    for one in report.to_dict()["measures"]:
        for told in (one["untuned"], one["tuned_cross_validated"]):
            low, high = told["interval"]
            assert 0 <= low <= told["mean"] <= high <= 1
        if one["interval"]:
            low, high = one["interval"]
            assert -1 <= low <= one["difference"] <= high <= 1


def judged(relevant: dict[str, dict[str, int]]) -> JudgedSet:
    return JudgedSet("mine", Path("mine"), {one: f"text of {one}" for one in relevant}, relevant)


def test_judgements_of_documents_that_are_not_there_are_counted() -> None:
    given = judged({"q1": {"a": 1, "no-such": 2}, "q2": {"gone": 1}, "q3": {"b": 1}})
    found = with_documents(given, {"a", "b", "c"})
    assert found.queries.keys() == found.relevant.keys() == {"q1", "q3"}
    # As missed: a better recall than there is would be told without it.
    assert found.relevant["q1"] == {"a": 1, "no-such": 2}
    told = {problem.count: problem for problem in found.problems}
    assert sorted(told) == [1, 2]
    assert told[2].examples == ["query q1, document no-such", "query q2, document gone"]
    assert told[1].examples == ["q2"]
    assert with_documents(judged({"q1": {"a": 1}}), {"a"}).problems == ()


def test_judgements_of_nothing_that_is_there_are_refused() -> None:
    with pytest.raises(DatasetError, match="no document") as refused:
        with_documents(judged({"q1": {"file:///nope": 1}, "q2": {"file:///nope": 1}}), {"a"})
    assert "file:///nope" in str(refused.value)
    assert "uri" in (refused.value.hint or "")
