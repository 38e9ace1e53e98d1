"""pass@k and pass^k against their definitions and closed forms."""

import random
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.agents.repeats import pass_at, pass_hat, passes, success_measures
from evals.core import Score, State, Task, read_run, report_of
from tests.eval_parts import Echo, numbers, run


@given(st.lists(st.booleans(), min_size=1, max_size=7), st.data())
def test_estimates_are_shares_of_the_subsets(tries: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(tries)))
    drawn = list(combinations(tries, k))
    at = sum(any(each) for each in drawn) / len(drawn)
    hat = sum(all(each) for each in drawn) / len(drawn)
    assert pass_at(len(tries), sum(tries), k) == pytest.approx(at)
    assert pass_hat(len(tries), sum(tries), k) == pytest.approx(hat)


@given(st.integers(1, 12), st.floats(0, 1), st.data())
def test_estimates_have_no_bias(attempts: int, chance: float, data: st.DataObject) -> None:
    """Their expectation over a binomial number of successes is the closed form."""
    k = data.draw(st.integers(1, attempts))
    weights = [
        comb(attempts, c) * chance**c * (1 - chance) ** (attempts - c) for c in range(attempts + 1)
    ]
    hat = sum(w * pass_hat(attempts, c, k) for c, w in enumerate(weights))
    at = sum(w * pass_at(attempts, c, k) for c, w in enumerate(weights))
    assert hat == pytest.approx(chance**k, abs=1e-9)
    assert at == pytest.approx(1 - (1 - chance) ** k, abs=1e-9)


@pytest.mark.parametrize(("attempts", "successes", "k"), [(3, 4, 1), (3, 1, 0), (3, 1, 4)])
def test_impossible_counts_are_refused(attempts: int, successes: int, k: int) -> None:
    for estimate in (pass_at, pass_hat):
        with pytest.raises(ValueError, match="attempts"):
            estimate(attempts, successes, k)


class Chancy(Echo):
    """Says the right thing with a chance that is the sample's own."""

    async def __call__(self, state: State, seed: int) -> State:
        solved = await super().__call__(state, seed)
        chance = 0.9 if int(state.sample.input) % 2 else 0.4
        return solved if random.Random(seed).random() < chance else State(sample=state.sample)


class Right:
    name = "right"

    def __init__(self, repeats: int) -> None:
        self.measures = success_measures("right", repeats)

    def config(self) -> dict[str, Any]:
        return {}

    async def __call__(self, state: State, seed: int) -> list[Score]:
        return [Score("right", float(state.output in state.sample.targets))]


async def test_the_cores_reduction_is_pass_of_all_attempts(tmp_path: Path) -> None:
    repeats = 4
    path = tmp_path / "run.jsonl"
    await run(path, [Task(numbers(600), Chancy(), [Right(repeats)], repeats=repeats)])
    record = read_run(path)
    (task,) = report_of(record).tasks
    found = {one.measure.name: one.estimate for one in task.measures}
    rows = {row["k"]: row for row in passes(record.outcomes, "right")}
    assert list(rows) == [1, 2, 3, 4]
    assert {row["samples"] for row in rows.values()} == {600}
    for name, kind in (("right", None), ("pass@4", "pass@k"), ("pass^4", "pass^k")):
        estimate = found[name]
        assert estimate is not None
        assert rows[4 if kind else 1][kind or "pass@k"] == pytest.approx(estimate.mean, abs=1e-6)
    for k, row in rows.items():
        # Chances differ between samples: neither is a power of the mean chance.
        hat = (0.9**k + 0.4**k) / 2
        at = 1 - (0.1**k + 0.6**k) / 2
        assert row["pass^k"] == pytest.approx(hat, abs=0.05)
        assert row["pass@k"] == pytest.approx(at, abs=0.05)


async def test_an_attempt_that_failed_is_no_attempt(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await run(path, [Task(numbers(2), Echo(fails=["s1"]), [Right(3)], repeats=3)])
    rows = passes(read_run(path).outcomes, "right")
    assert [(row["k"], row["samples"], row["pass^k"]) for row in rows] == [
        (1, 1, 1.0),
        (2, 1, 1.0),
        (3, 1, 1.0),
    ]
    assert passes((), "right") == []
