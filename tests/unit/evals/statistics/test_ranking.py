"""Bradley-Terry: against a logistic regression, known strengths, and what must hold of it."""

import math
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from evals.statistics import Match, Ranking, StatisticsError, bradley_terry

CURVED: list[Any] = ["hessian", "sandwich"]
ROBUST: list[Any] = ["sandwich", "bootstrap"]

names = st.sampled_from("abcd")
matches_of = st.lists(
    st.builds(Match, names, names, st.sampled_from([0, 0.5, 1])).filter(
        lambda match: match.first != match.second
    ),
    min_size=1,
    max_size=40,
)


def play(rng: np.random.Generator, strengths: Any, count: int, *, ties: float = 0.0) -> list[Match]:
    k = len(strengths)
    first = rng.integers(k, size=count)
    second = (first + rng.integers(1, k, size=count)) % k
    won = rng.random(count) < expit(strengths[first] - strengths[second])
    scores = np.where(rng.random(count) < ties, 0.5, won)
    return [
        Match(f"p{i}", f"p{j}", float(score))
        for i, j, score in zip(first, second, scores, strict=True)
    ]


def by_name(ranking: Ranking) -> dict[str, float]:
    return {player.player: player.strength for player in ranking.players}


def test_two_players_by_hand() -> None:
    # 30 wins to 10: odds of 3. The prior of a tenth of a tie each hardly moves them.
    found = bradley_terry([Match("a", "b", 1)] * 30 + [Match("b", "a", 1)] * 10, seed=1)
    assert found.win_probability("a", "b") == pytest.approx(0.75, abs=0.002)
    assert [player.player for player in found.players] == ["a", "b"]
    best = found.players[0]
    assert (best.wins, best.losses, best.ties) == (30, 10, 0)
    assert best.strength == pytest.approx(math.log(3) / 2, abs=0.005)
    assert found.groups == (("a", "b"),)


@pytest.mark.parametrize("method", CURVED)
def test_it_is_a_logistic_regression_on_who_played(method: Any) -> None:
    rng = np.random.default_rng(1)
    matches = play(rng, np.array([0.8, 0.3, -0.2, -0.9]), 300)
    found = bradley_terry(matches, prior=0.001, intervals=method, seed=1)
    players = ["p0", "p1", "p2", "p3"]
    design = np.array(
        [[(m.first == p) - (m.second == p) for p in players] for m in matches], dtype=float
    )
    # The last player's strength is minus the others'.
    free = design[:, :3] - design[:, 3:]
    won = np.array([m.score for m in matches])
    options = {"cov_type": "HC0"} if method == "sandwich" else {}
    fit = sm.GLM(won, free, family=sm.families.Binomial()).fit(**options)
    strengths = by_name(found)
    assert [strengths[p] for p in players[:3]] == pytest.approx(fit.params.tolist(), abs=1e-3)
    errors = {player.player: player.standard_error for player in found.players}
    assert [errors[p] for p in players[:3]] == pytest.approx(fit.bse.tolist(), rel=0.005)


def test_a_tie_is_half_a_win_each() -> None:
    tied = [Match("a", "b", 0.5)] * 10 + [Match("a", "b", 1)] * 6
    split = [Match("a", "b", 1)] * 11 + [Match("a", "b", 0)] * 5
    found, expected = (by_name(bradley_terry(m, seed=1)) for m in (tied, split))
    assert found == pytest.approx(expected)


def test_a_player_who_never_loses_is_finite_and_stands_apart() -> None:
    matches = [Match("best", "b", 1), Match("best", "c", 1), Match("b", "c", 0.5)] * 5
    found = bradley_terry(matches, seed=1, intervals="hessian")
    assert found.groups == (("best",), ("b", "c"))
    assert 0.9 < found.win_probability("best", "b") < 1
    weaker = bradley_terry(matches, prior=5, seed=1)
    assert weaker.win_probability("best", "b") < found.win_probability("best", "b")
    # Nobody is surprised by what always happens; the prior's uncertainty must remain.
    robust = bradley_terry(matches, seed=1, intervals="sandwich")
    for player, other in zip(robust.players, found.players, strict=True):
        assert player.standard_error is not None
        assert other.standard_error is not None
        assert player.standard_error >= other.standard_error - 1e-12
    assert all(
        p.interval is None for p in bradley_terry(matches, seed=1, intervals="bootstrap").players
    )


def test_players_who_never_meet_are_groups() -> None:
    found = bradley_terry(
        [Match("a", "b", 1), Match("b", "a", 1), Match("x", "y", 1), Match("y", "x", 1)], seed=1
    )
    assert sorted(map(sorted, found.groups)) == [["a", "b"], ["x", "y"]]
    assert found.win_probability("a", "x") == pytest.approx(0.5)


@given(matches_of, st.randoms(use_true_random=False))
def test_the_likelihood_is_at_its_top(matches: list[Match], random: Any) -> None:
    found = bradley_terry(matches, prior=0.3, seed=1)
    strengths = by_name(found)
    assert sum(strengths.values()) == pytest.approx(0, abs=1e-9)
    # Won matches are as many as expected, the prior's too: wins less expectations cancel the
    # prior's pull, which is that of a phantom somewhere.
    pull = dict.fromkeys(strengths, 0.0)
    for match in matches:
        surprise = match.score - float(expit(strengths[match.first] - strengths[match.second]))
        pull[match.first] += surprise
        pull[match.second] -= surprise

    def phantom(place: float) -> float:
        return sum(float(expit(s - place)) - 0.5 for s in strengths.values())

    low, high = -60.0, 60.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if phantom(middle) > 0 else (low, middle)
    for name, strength in strengths.items():
        assert pull[name] == pytest.approx(0.3 * (float(expit(strength - low)) - 0.5), abs=1e-6)
    turned = [Match(m.second, m.first, 1 - m.score) for m in matches]
    random.shuffle(turned)
    again = bradley_terry(turned, prior=0.3, seed=1)
    assert by_name(again) == pytest.approx(strengths, abs=1e-7)
    for player in found.players:
        if player.interval is not None:
            assert player.interval.contains(player.strength)
            assert math.isfinite(player.interval.low + player.interval.high)
    assert sum(player.wins for player in found.players) == sum(
        player.losses for player in found.players
    )


@pytest.mark.parametrize("prior", [0.001, 1000])
def test_extreme_results_have_finite_strengths(prior: float) -> None:
    matches = [Match("a", "b", 1)] * 5000 + [Match("b", "c", 1)] * 5000
    for method in CURVED:
        found = bradley_terry(matches, prior=prior, intervals=method, seed=1)
        assert [player.player for player in found.players] == ["a", "b", "c"]
        for player in found.players:
            assert player.standard_error is not None
            assert math.isfinite(player.strength + player.standard_error)


def test_copied_matches_of_a_cluster_tell_no_more() -> None:
    rng = np.random.default_rng(2)
    matches = play(rng, np.array([0.5, 0.0, -0.5]), 150)
    copied = [match for match in matches for _ in range(4)]
    clusters = [place for place in range(150) for _ in range(4)]
    once = bradley_terry(matches, prior=0.01, seed=1)
    for method in ROBUST:
        found = bradley_terry(copied, clusters, prior=0.04, intervals=method, seed=1)
        for player, other in zip(found.players, once.players, strict=True):
            assert player.standard_error == pytest.approx(other.standard_error, rel=0.1)
    assert found.clusters == 150


@pytest.mark.parametrize("method", ROBUST)
def test_clusters_that_all_say_the_same_get_no_interval(method: Any) -> None:
    matches = [Match("a", "b", 1), Match("a", "b", 0)] * 20
    clusters = [place // 2 for place in range(40)]
    found = bradley_terry(matches, clusters, intervals=method, seed=1)
    assert [(p.strength, p.interval, p.standard_error) for p in found.players] == [
        (0, None, None)
    ] * 2
    apart = bradley_terry(matches, intervals=method, seed=1)
    assert all(player.interval is not None for player in apart.players)


def test_one_cluster_gets_no_interval() -> None:
    for method in ROBUST:
        found = bradley_terry(
            [Match("a", "b", 1), Match("a", "b", 0)],
            ["x", "x"],
            intervals=method,
            seed=1,
        )
        assert all(player.interval is None for player in found.players)


@pytest.mark.parametrize(
    ("matches", "options"),
    [
        ([], {}),
        ([Match("a", "a", 1)], {}),
        ([Match("a", "b", 0.7)], {}),
        ([Match("a", "b", math.nan)], {}),
        ([Match("a", "b", 1)], {"prior": 0}),
        ([Match("a", "b", 1)] * 2, {"clusters": ["x", "x"], "intervals": "hessian"}),
        ([Match(f"p{i}", f"p{i + 1}", 1) for i in range(300)], {}),
    ],
)
def test_what_is_no_tournament_is_refused(matches: Any, options: dict[str, Any]) -> None:
    with pytest.raises(StatisticsError):
        bradley_terry(matches, seed=1, **options)


def test_strangers_have_no_chance() -> None:
    with pytest.raises(StatisticsError):
        bradley_terry([Match("a", "b", 1)], seed=1).win_probability("a", "z")


# --- How often an interval of 95 % holds the truth ----------------------------------------------


@pytest.mark.parametrize(
    ("method", "runs"), [("hessian", 400), ("sandwich", 400), ("bootstrap", 150)]
)
def test_known_strengths_are_found_and_covered(method: Any, runs: int) -> None:
    rng = np.random.default_rng(3)
    truth = np.array([0.9, 0.2, -0.3, -0.8])
    found, held = [], []
    for i in range(runs):
        ranking = bradley_terry(
            play(rng, truth, 200), intervals=method, resamples=200, seed=i, prior=0.1
        )
        for player in ranking.players:
            strength = float(truth[int(player.player[1])])
            assert player.interval is not None
            held.append(player.interval.contains(strength))
        found.append([by_name(ranking)[f"p{i}"] for i in range(4)])
    assert np.mean(found, axis=0) == pytest.approx(truth, abs=0.05)
    assert 0.93 < np.mean(held) < 0.97


def test_clustered_strengths_are_covered_and_would_not_be_without_clusters() -> None:
    rng = np.random.default_rng(4)
    held, naive = [], []
    for i in range(300):
        # Sixty prompts of eight matches; half the prompts repeat one result.
        matches, clusters = [], []
        for prompt, match in enumerate(play(rng, np.array([0.6, 0.0, -0.6]), 60)):
            copies = [match] * 8 if prompt % 2 else play(rng, np.array([0.6, 0.0, -0.6]), 8)
            matches += copies
            clusters += [prompt] * 8
        for into, labels in ((held, clusters), (naive, None)):
            for player in bradley_terry(matches, labels, seed=i).players:
                truth = [0.6, 0.0, -0.6][int(player.player[1])]
                into.append(player.interval is not None and player.interval.contains(truth))
    assert 0.92 < np.mean(held) < 0.97
    assert np.mean(naive) < 0.8
