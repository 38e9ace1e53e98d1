"""Biases that never vary: they are the plainest of all, and are told with an interval."""

from collections.abc import Callable
from typing import Any

import pytest

from evals.judge.compare import Ballot
from evals.judge.pairs import Pair, Winner

MakePairs = Callable[..., list[Pair]]


class Rigid:
    """Goes by one thing alone."""

    def __init__(self, by: Callable[[Pair, bool], Winner]) -> None:
        self.name = "rigid"
        self._by = by

    def config(self) -> dict[str, Any]:
        return {"judge": "model", "model": "rigid"}

    async def compare(self, pair: Pair, *, swapped: bool, seed: int) -> Ballot:
        return Ballot(self._by(pair, swapped))


async def test_the_longer_answer_always(make_pairs: MakePairs, measured: Any) -> None:
    report = await measured(Rigid(lambda pair, _: pair.longer), make_pairs(100))
    assert report.length_bias.mean == 1.0
    assert 0.8 < report.length_bias.interval.low < 1.0 == report.length_bias.interval.high
    assert "length +1.00" in report.fitness.remarks
    assert any("bias by length is at least 0.8" in reason for reason in report.fitness.reasons)


@pytest.mark.parametrize(("place", "bias"), [("first", 1.0), ("second", -1.0)])
async def test_one_place_always(
    place: str, bias: float, make_pairs: MakePairs, measured: Any
) -> None:
    def by_place(pair: Pair, swapped: bool) -> Winner:
        return "first" if (place == "first") is not swapped else "second"

    report = await measured(Rigid(by_place), make_pairs(100))
    found = report.position_bias
    assert found.mean == bias
    assert 0.9 < abs(found.interval.low + found.interval.high) / 2 <= 1.0
    assert f"position {bias:+.2f}" in report.fitness.remarks
    # Each pair is a tie, which agrees with people as often as chance has it.
    (reason,) = report.fitness.reasons
    assert reason == "it says tie of every pair, which is kappa 0.00 whatever people say"


async def test_no_place_ever(make_pairs: MakePairs, measured: Any) -> None:
    report = await measured(Rigid(lambda pair, _: pair.label or "tie"), make_pairs(50))
    found = report.position_bias
    assert found.mean == 0.0
    assert found.interval.low == -found.interval.high < 0
    assert report.fitness.remarks == ()


async def test_one_pair_tells_next_to_nothing(make_pairs: MakePairs, measured: Any) -> None:
    report = await measured(
        Rigid(lambda _, swapped: "second" if swapped else "first"), make_pairs(1)
    )
    assert report.position_bias.interval.contains(0)
    assert report.fitness.remarks == ()
