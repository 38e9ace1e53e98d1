"""Judges with known biases: the measures find each bias, and find none where there is none."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from evals.core import RunRecord, report_of
from evals.judge.biases import JudgedPair, judged_pair, length_bias, length_control, self_preference
from evals.judge.compare import ballots_of, both_orders
from evals.judge.pairs import Pair
from evals.judge.simulated import SimulatedJudge, usual_judges
from evals.statistics import Estimate
from rostra.core import InvalidRequest

SEEDS = 10
# Of 10 intervals at 95 % fewer than 7 hold the true number in 1 of 1,000 cases.
HELD = 7

MakePairs = Callable[..., list[Pair]]


def judge(**parts: Any) -> SimulatedJudge:
    return SimulatedJudge("sim", family="llama", **parts)


def judged(record: RunRecord) -> list[JudgedPair]:
    return [judged_pair(one.state.sample, ballots_of(one.state)) for one in record.outcomes]


def read(record: RunRecord, bias: str) -> Estimate | None:
    if bias == "length":
        return length_bias(judged(record), seed=0)
    if bias == "own":
        return self_preference(judged(record), "llama", seed=0)
    (task,) = report_of(record).tasks
    found = task.measure({"position": "position bias"}.get(bias, bias))
    return None if found is None else found.estimate


CASES: list[tuple[SimulatedJudge, dict[str, float]]] = [
    (judge(accuracy=0.9), {"accuracy": 0.9, "position": 0.0, "length": 0.0, "own": 0.0}),
    (judge(accuracy=0.8, position=0.25), {"position": 0.25, "accuracy": 0.75 * 0.8 + 0.125}),
    (judge(accuracy=0.8, position=-0.15), {"position": -0.15, "length": 0.0}),
    (judge(accuracy=0.8, length=0.2), {"length": 0.2, "position": 0.0}),
    (judge(accuracy=0.8, length=-0.3), {"length": -0.3}),
    (judge(accuracy=0.8, own=0.4), {"own": 0.4, "length": 0.0}),
    (judge(accuracy=0.9, noise=0.5), {"accuracy": 0.5 * 0.9 + 0.25, "position": 0.0}),
    # All together: each is found beside the others.
    (
        judge(accuracy=0.9, position=0.2, length=0.2, own=0.2, noise=0.1),
        {"position": 0.2, "length": 0.2, "own": 0.2},
    ),
    # Nonsense takes verdicts away, not their shares.
    (judge(accuracy=0.9, length=0.16, nonsense=0.2), {"length": 0.2}),
]


@pytest.mark.parametrize(("judge", "truths"), CASES)
async def test_each_bias_is_within_its_interval(
    judge: SimulatedJudge, truths: Mapping[str, float], make_pairs: MakePairs, recorded: Any
) -> None:
    found: dict[str, list[float]] = {bias: [] for bias in truths}
    held = dict.fromkeys(truths, 0)
    for seed in range(SEEDS):
        record = await recorded(judge, make_pairs(200, seed=seed), seed=seed)
        for bias, truth in truths.items():
            estimate = read(record, bias)
            assert estimate is not None
            assert estimate.interval is not None
            held[bias] += estimate.interval.contains(truth)
            found[bias].append(estimate.mean)
    for bias, truth in truths.items():
        assert held[bias] >= HELD, bias
        assert sum(found[bias]) / SEEDS == pytest.approx(truth, abs=0.05), bias


async def test_at_equal_length_a_judge_that_likes_length_is_less_right(
    make_pairs: MakePairs, recorded: Any
) -> None:
    """Where the longer answer mostly is right, its liking looks like knowledge."""
    longer_right = [pair for pair in make_pairs(600) if pair.longer == pair.label]
    pairs = longer_right + [pair for pair in make_pairs(600) if pair.longer != pair.label][:60]
    biased = length_control(judged(await recorded(judge(accuracy=0.6, length=0.6), pairs)))
    fair = length_control(judged(await recorded(judge(accuracy=0.6), pairs)))
    assert biased is not None
    assert fair is not None
    assert biased.length_effect > 1 > abs(fair.length_effect)
    assert biased.raw.mean > biased.win_rate.mean + 0.05
    assert fair.win_rate.interval is not None
    assert fair.win_rate.interval.contains(0.6)


async def test_a_verdict_depends_on_the_seed_alone(make_pairs: MakePairs) -> None:
    (pair,) = make_pairs(1)
    one = judge(accuracy=0.5, noise=0.3, nonsense=0.2)
    for seed in range(20):
        first = await both_orders(one, pair, seed=seed, times=2)
        assert first == await both_orders(one, pair, seed=seed, times=2)
    assert len({str(await both_orders(one, pair, seed=seed)) for seed in range(20)}) > 1


async def test_a_judge_without_doubt_is_always_right(make_pairs: MakePairs) -> None:
    for pair in make_pairs(50):
        ballots = await both_orders(judge(accuracy=1.0), pair, seed=1)
        assert ballots.winners == (pair.label, pair.label)
        ballots = await both_orders(judge(position=1.0), pair, seed=1)
        assert ballots.winners == ("first", "second")
        ballots = await both_orders(judge(length=-1.0), pair, seed=1)
        assert pair.longer not in ballots.winners


@pytest.mark.parametrize(
    "parts",
    [
        {"accuracy": 1.1},
        {"noise": -0.1},
        {"position": 0.6, "length": -0.6},
        {"nonsense": 0.5, "own": 0.6},
        {"position": 2.0},
    ],
)
def test_chances_that_are_none(parts: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest):
        judge(**parts)


def test_the_usual_ones_have_names_of_their_own() -> None:
    names = [one.name for one in usual_judges("llama")]
    assert len(names) == len(set(names)) == 7
    assert len(usual_judges()) == 6


async def test_sets_and_judges_share_no_draws() -> None:
    async def verdicts(name: str, text: str) -> list[str | None]:
        coin = SimulatedJudge(name, noise=1.0)
        pairs = [
            Pair(id=str(n), question=f"{text} {n}?", first="a", second="b", labels=[], label=None)
            for n in range(40)
        ]
        return [(await coin.compare(pair, swapped=False, seed=n)).winner
                for n, pair in enumerate(pairs)]  # fmt: skip

    one = await verdicts("one", "set")
    assert one == await verdicts("one", "set")
    for other in (await verdicts("two", "set"), await verdicts("one", "another")):
        assert 5 < sum(a == b for a, b in zip(one, other, strict=True)) < 35
