"""Rankings of other systems: both formats, ties, and what is wrong with them."""

import json
from pathlib import Path

import ir_measures
import pytest
from ir_measures import AP

from evals.core import Sample, State, make_dataset
from evals.errors import DatasetError
from evals.retrieval_measures import RankingScorer
from evals.retrieval_rankings import RankedSolver, read_rankings, with_rankings


def write(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_a_trec_run_is_ordered_by_score_and_named_by_its_tag(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "mine.run",
        "q1 Q0 a 1 1.5 bm25x",
        "q1 Q0 b 2 3.5 bm25x",
        "",
        "q2 Q0 c 1 -2e0 bm25x",
    )
    found = read_rankings(path)
    assert found.name == "bm25x"
    assert found.documents == {"q1": [("b", 3.5), ("a", 1.5)], "q2": [("c", -2.0)]}
    assert found.problems.all() == []


def test_equal_scores_are_ordered_as_trec_eval_orders_them(tmp_path: Path) -> None:
    lines = [f"q Q0 {document} 1 7 tag" for document in ("b", "a", "c")]
    found = read_rankings(write(tmp_path, "run.txt", *lines))
    relevant = {"q": {"a": 1}}
    tied = {"q": {"a": 7.0, "b": 7.0, "c": 7.0}}
    expected = ir_measures.calc_aggregate([AP @ 100], relevant, tied)[AP @ 100]
    order = [document for document, _ in found.documents["q"]]
    assert RankingScorer().values(relevant["q"], order)["map@100"] == pytest.approx(expected)


def test_json_lines_hold_a_ranking_or_a_place(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "mine.jsonl",
        json.dumps({"query": "q1", "documents": ["b", "a", 3]}),
        json.dumps({"query": 2, "document": "x", "score": 1}),
        json.dumps({"query": 2, "document": "y", "score": 2.5}),
    )
    found = read_rankings(path)
    assert found.name == "mine"
    assert [document for document, _ in found.documents["q1"]] == ["b", "a", "3"]
    assert [document for document, _ in found.documents["2"]] == ["y", "x"]


def test_what_cannot_be_used_is_counted(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "mine.run",
        "q1 Q0 a 1 1.5 tag",
        "q1 Q0 a 2 1.0 tag",
        "q1 Q0 b 2 nan tag",
        "q1 Q0 c 2 high tag",
        "q1 Q0 d",
        "qx Q0 d 1 1 tag",
    )
    found = read_rankings(path)
    assert found.documents["q1"] == [("a", 1.5)]
    dataset = make_dataset("set", [Sample(id=one, input=one) for one in ("q1", "q2")])
    problems = {one.reason: one.count for one in with_rankings(dataset, found).problems}
    assert problems == {
        "a line that is not query, Q0, document, rank, score, tag": 2,
        "a document ranked again for its query: the first one counts": 1,
        "a score that is no number": 1,
        "a ranking of a query that is not asked": 1,
        "a query without a ranking: it finds nothing": 1,
    }


async def test_a_query_without_a_ranking_finds_nothing_and_counts(tmp_path: Path) -> None:
    found = read_rankings(write(tmp_path, "mine.run", "q1 Q0 a 1 1.5 tag"))
    sample = Sample(id="q2", input="q2", data={"relevant": {"a": 1}})
    state = await RankedSolver(found)(State(sample=sample), 0)
    assert state.passages == []
    assert {one.value for one in await RankingScorer()(state, 0)} == {0.0}


@pytest.mark.parametrize("name", ["empty.run", "empty.jsonl"])
def test_a_file_without_a_ranking_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match="no ranking"):
        read_rankings(write(tmp_path, name))
    with pytest.raises(DatasetError, match=r"no ranking .*line 1"):
        read_rankings(write(tmp_path, name, "{nonsense"))
    with pytest.raises(DatasetError, match="No such file"):
        read_rankings(tmp_path / "gone.run")
