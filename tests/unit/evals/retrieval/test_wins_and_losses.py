"""Which queries gained and lost most, of a comparison of two systems on the same queries."""

from pathlib import Path

import pytest

from evals.beir import RELEVANT
from evals.compare import compare_systems
from evals.core import Passage, Sample, State, Task, make_dataset, read_run
from evals.retrieval import report_retrieval, wins_and_losses
from evals.retrieval_measures import RankingScorer
from evals.statistics import holm
from tests.eval_parts import run

# The place of the one relevant document by query: before and after.
PLACES = {"a": (1, 4), "b": (1, 2), "c": (2, 1), "d": (5, 1), "e": (3, 3), "f": (1, 3)}


class Placed:
    """Finds each query's document at a given place."""

    def __init__(self, name: str, column: int) -> None:
        self.name = name
        self._column = column

    def config(self) -> dict[str, int]:
        return {}

    async def __call__(self, state: State, seed: int) -> State:
        place = PLACES[state.sample.id][self._column]
        others = [Passage(f"x{number}") for number in range(place - 1)]
        return State(sample=state.sample, passages=[*others, Passage("right")])


async def test_the_greatest_losses_come_first_and_the_greatest_gain_last(tmp_path: Path) -> None:
    samples = [Sample(id=one, input=f"{one}?", data={RELEVANT: {"right": 1}}) for one in PLACES]
    dataset = make_dataset("set", samples)
    path = tmp_path / "run.jsonl"
    systems = (Placed("before", 0), Placed("after", 1))
    await run(path, [Task(dataset, one, [RankingScorer()]) for one in systems])
    (compared,) = (one for one in compare_systems(read_run(path)) if one.measure.name == "mrr@10")
    assert (compared.wins, compared.losses, compared.ties) == (2, 3, 1)
    told = wins_and_losses(compared, 10)
    assert [one["query"] for one in told] == ["a", "f", "b", "c", "d"]
    assert told[0] == {
        "query": "a",
        "text": "a?",
        "baseline": 1.0,
        "candidate": 0.25,
        "difference": -0.75,
    }
    assert [one["query"] for one in wins_and_losses(compared, 1)] == ["a", "d"]


async def test_both_kinds_of_p_values_are_adjusted_over_all_comparisons(tmp_path: Path) -> None:
    samples = [Sample(id=one, input=f"{one}?", data={RELEVANT: {"right": 1}}) for one in PLACES]
    dataset = make_dataset("set", samples)
    path = tmp_path / "run.jsonl"
    systems = (Placed("before", 0), Placed("after", 1))
    await run(path, [Task(dataset, one, [RankingScorer()]) for one in systems])
    told = report_retrieval(read_run(path)).to_dict()["comparisons"]
    moved = [one for one in told if one["wins"] or one["losses"]]
    assert len(moved) > 1
    for given, holms in (
        ([one["p"] for one in moved], [one["p_holm"] for one in moved]),
        (
            [one["bootstrap"]["p"] for one in moved],
            [one["bootstrap"]["p_holm"] for one in moved],
        ),
    ):
        assert holms == pytest.approx(holm(given))
    # Where no query differs there is nothing to adjust.
    same = [one for one in told if one not in moved]
    assert all(one["bootstrap"]["p_holm"] == 1.0 for one in same)
