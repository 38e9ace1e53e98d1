"""Players ranked by matches between them, after Bradley and Terry (1952).

The chance that i beats j is `1 / (1 + exp(s_j - s_i))`; a tie is half a win for each. Strengths are
fitted by maximum likelihood with a prior: each player also ties `prior` matches against a phantom
of strength 0. Without it a player who never loses would be infinitely strong; with it all strengths
are finite and unique, and `Ranking.groups` says where they rest on the prior.

What always holds: strengths add up to 0, so only their differences mean anything; the order of
matches, and which player of one is named first, make no difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse, special

from evals.statistics.errors import StatisticsError
from evals.statistics.estimate import Interval, t_quantile
from evals.statistics.inputs import (
    MAX_VALUES,
    Clusters,
    Floats,
    Grouping,
    Integers,
    check_level,
    check_resamples,
    generator,
    read_clusters,
)
from evals.statistics.resampling import draw_counts

MAX_PLAYERS = 200
_ROUNDS = 100  # of Newton's method; it takes about six
_CLOSE = 1e-8  # change of a strength after which it stops
_CELLS = 2_000_000  # of the Hessians that are held at once

_NOISE = 1e-6  # standard error that is rounding, not variation

_Spread = tuple[float, Interval] | tuple[None, None]  # standard error and interval
IntervalMethod = Literal["hessian", "sandwich", "bootstrap"]


@dataclass(frozen=True, slots=True)
class Match:
    """One comparison.

    Attributes:
        score: of `first`: 1 it won, 0 it lost, 0.5 a tie.
    """

    first: str
    second: str
    score: float


@dataclass(frozen=True, slots=True)
class Strength:
    """A player's place.

    Attributes:
        strength: natural logarithm of the odds; 0 is the players' mean.
        interval: of the strength; None where the method cannot say.
    """

    player: str
    strength: float
    interval: Interval | None
    standard_error: float | None
    wins: int
    losses: int
    ties: int


@dataclass(frozen=True, slots=True)
class Ranking:
    """All players, strongest first.

    Attributes:
        groups: players that results connect in both directions (Ford, 1957): within a group
            strengths are the data's, between groups they are finite only by the prior, and so are
            intervals. One group is what one hopes for; a player who never lost is a group.
        prior: matches tied against the phantom.
    """

    players: tuple[Strength, ...]
    groups: tuple[tuple[str, ...], ...]
    prior: float
    matches: int
    clusters: int
    method: str

    def win_probability(self, first: str, second: str) -> float:
        """The chance that `first` beats `second`.

        Raises:
            StatisticsError: for a player who is not in the ranking.
        """
        strengths = {player.player: player.strength for player in self.players}
        try:
            return float(special.expit(strengths[first] - strengths[second]))
        except KeyError as error:
            raise StatisticsError(f"{error} is no player of this ranking") from error


def bradley_terry(
    matches: Sequence[Match],
    clusters: Clusters | None = None,
    *,
    prior: float = 0.1,
    intervals: IntervalMethod = "sandwich",
    resamples: int = 1000,
    level: float = 0.95,
    seed: int,
) -> Ranking:
    """The strengths of players, by Newton's method.

    Args:
        clusters: a label a match, equal for those that may depend on each other (one prompt).
        intervals: `hessian` trusts the model and independent matches, and is too wide where many
            tie; `sandwich` (Huber, 1967; as in Chiang et al., "Chatbot Arena", 2024) and
            `bootstrap` over whole clusters do not.
        seed: of the bootstrap; the other intervals do not draw.

    Returns:
        No intervals for `sandwich` and `bootstrap` over a single cluster, or where all clusters say
        exactly the same. With more than one group
        all resamples make the same mistake: `bootstrap` gives none, and `sandwich` none that are
        narrower than the Hessian's.

    Raises:
        StatisticsError: for no matches, a score other than 0, 0.5 and 1, a player against itself,
            more than `MAX_PLAYERS`, a prior out of range, or `hessian` with clusters.
    """
    check_level(level)
    check_resamples(resamples)
    if not 1e-3 <= prior <= 1e3:
        raise StatisticsError(f"prior is {prior}, not between 0.001 and 1000")
    names, first, second, scores = _read(matches)
    groups = read_clusters(clusters, len(matches))
    if intervals == "hessian" and not groups.single:
        raise StatisticsError("the Hessian knows no clusters; take sandwich or bootstrap")
    k = len(names)
    wins = _wins(first, second, scores, k)
    table: Floats = np.asarray(wins.sum(axis=0)).reshape(k, k)
    fitted = _fit(table[None], prior)[0]
    strengths = fitted - fitted.mean()
    connected = _connected(table, names, strengths)
    if intervals == "bootstrap":
        known = groups.count > 1 and len(connected) == 1
        spread = _drawn_spread(wins, groups, k, prior, resamples, level, seed) if known else None
    else:
        robust = (wins, groups) if intervals == "sandwich" else None
        spread = _curved_spread(table, fitted, prior, level, robust, len(connected) == 1)
    results = _results(first, second, scores, k)
    players = [
        Strength(
            player=name,
            strength=float(strengths[i]),
            interval=None if spread is None else spread[i][1],
            standard_error=None if spread is None else spread[i][0],
            wins=int(results[i, 0]),
            losses=int(results[i, 1]),
            ties=int(results[i, 2]),
        )
        for i, name in enumerate(names)
    ]
    players.sort(key=lambda player: (-player.strength, player.player))
    return Ranking(
        tuple(players),
        connected,
        prior,
        len(matches),
        groups.count,
        f"Bradley-Terry, {intervals}",
    )


def _read(matches: Sequence[Match]) -> tuple[list[str], Integers, Integers, Floats]:
    if not 1 <= len(matches) <= MAX_VALUES:
        raise StatisticsError(f"there are {len(matches)} matches, not 1 to {MAX_VALUES}")
    for match in matches:
        if match.first == match.second:
            raise StatisticsError(f"{match.first!r} plays against itself")
        if match.score not in (0, 0.5, 1):
            raise StatisticsError(f"a score is {match.score}, not 0, 0.5 or 1")
    names = sorted({name for match in matches for name in (match.first, match.second)})
    if len(names) > MAX_PLAYERS:
        raise StatisticsError(f"there are more than {MAX_PLAYERS} players", limit=MAX_PLAYERS)
    places = {name: place for place, name in enumerate(names)}
    first = np.array([places[match.first] for match in matches], dtype=np.int64)
    second = np.array([places[match.second] for match in matches], dtype=np.int64)
    return names, first, second, np.array([match.score for match in matches], dtype=np.float64)


def _wins(first: Integers, second: Integers, scores: Floats, k: int) -> sparse.csr_array:
    """For each match what each ordered pair of players won; [matches, k * k]."""
    rows = np.arange(first.size)
    wins = sparse.csr_array(
        (
            np.concatenate([scores, 1 - scores]),
            (
                np.concatenate([rows, rows]),
                np.concatenate([first * k + second, second * k + first]),
            ),
        ),
        shape=(first.size, k * k),
    )
    return wins


def _fit(wins: Floats, prior: float) -> Floats:
    """Strengths [tables, k] against the phantom, of tables of wins [tables, k, k].

    The penalised likelihood is concave, so Newton's steps, cut to length, get to its top.
    """
    tables, k, _ = wins.shape
    played = wins + wins.transpose(0, 2, 1)
    won = wins.sum(axis=2)
    strengths = np.zeros((tables, k))
    for _ in range(_ROUNDS):
        chances = special.expit(strengths[:, :, None] - strengths[:, None, :])
        phantom = special.expit(strengths)
        gradient = won - np.sum(played * chances, axis=2) + prior * (0.5 - phantom)
        information = _information(played, chances, phantom, prior)
        step = np.linalg.solve(information, gradient[:, :, None])[:, :, 0]
        longest = np.max(np.abs(step), axis=1, keepdims=True)
        strengths += step / np.maximum(1.0, longest)
        if np.max(longest) < _CLOSE:
            break
    return strengths


def _information(played: Floats, chances: Floats, phantom: Floats, prior: float) -> Floats:
    """The negative Hessian; [tables, k, k]."""
    weights = played * chances * (1 - chances)
    own = weights.sum(axis=2) + prior * phantom * (1 - phantom)
    information: Floats = own[:, :, None] * np.eye(played.shape[1]) - weights
    return information


def _covariance(information: Floats, gradients: Floats | None) -> Floats:
    """Of centred strengths: the inverse information, or the sandwich of it around the gradients.

    Args:
        gradients: of the log likelihood, [clusters, k]; None for the Hessian alone.
    """
    k = len(information)
    centring = np.eye(k) - 1 / k
    bread = centring @ np.linalg.inv(information)
    if gradients is None:
        return bread @ centring
    clusters = len(gradients)
    covariance: Floats = bread @ (gradients.T @ gradients) @ bread.T * (clusters / (clusters - 1))
    return covariance


def _gradients(wins: sparse.csr_array, groups: Grouping, chances: Floats) -> Floats:
    """What each cluster's matches pull at the strengths; [clusters, k]."""
    k, matches = len(chances), groups.codes.size
    members = sparse.csr_array(
        (np.ones(matches), (groups.codes, np.arange(matches))), shape=(groups.count, matches)
    )
    # A win of i over j pulls i up and j down by the chance that it would have been otherwise.
    surprise, pairs = (1 - chances).ravel(), np.arange(k * k)
    pulls = sparse.csr_array(
        (np.r_[surprise, -surprise], (np.r_[pairs, pairs], np.r_[pairs // k, pairs % k])),
        shape=(k * k, k),
    )
    gradients: Floats = (members @ wins @ pulls).toarray()
    return gradients


def _curved_spread(
    wins: Floats,
    fitted: Floats,
    prior: float,
    level: float,
    robust: tuple[sparse.csr_array, Grouping] | None,
    connected: bool,
) -> list[_Spread] | None:
    """From the likelihood's curvature, made robust by the matches and clusters if given."""
    chances = special.expit(fitted[:, None] - fitted)
    phantom = special.expit(fitted)
    information = _information((wins + wins.T)[None], chances[None], phantom[None], prior)[0]
    variances = np.diag(_covariance(information, None))
    quantile = float(special.ndtri(0.5 + level / 2))
    if robust is not None:
        matches, groups = robust
        if groups.count == 1:
            return None
        sandwich = np.diag(_covariance(information, _gradients(matches, groups, chances)))
        # Players whom only the prior holds surprise nobody: their sandwich is empty.
        variances = sandwich if connected else np.maximum(sandwich, variances)
        quantile = t_quantile(level, groups.count - 1)
    errors = np.sqrt(np.maximum(variances, 0))
    strengths = fitted - fitted.mean()
    return _spreads(errors, strengths - quantile * errors, strengths + quantile * errors, level)


def _drawn_spread(
    wins: sparse.csr_array,
    groups: Grouping,
    k: int,
    prior: float,
    resamples: int,
    level: float,
    seed: int,
) -> list[_Spread]:
    """From resamples of whole clusters."""
    fitted = []
    for counts in draw_counts(generator(seed), groups, resamples):
        tables = (counts @ wins).astype(np.float64).reshape(-1, k, k)
        size = max(1, _CELLS // (k * k))
        fitted += [_fit(tables[i : i + size], prior) for i in range(0, len(tables), size)]
    drawn = np.concatenate(fitted)
    drawn -= drawn.mean(axis=1, keepdims=True)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return _spreads(np.std(drawn, axis=0, ddof=1), low, high, level)


def _spreads(errors: Floats, low: Floats, high: Floats, level: float) -> list[_Spread]:
    """None for a player of whom the clusters all say the same."""
    return [
        (error, Interval(lower, upper, level)) if error > _NOISE else (None, None)
        for error, lower, upper in zip(errors.tolist(), low.tolist(), high.tolist(), strict=True)
    ]


def _results(first: Integers, second: Integers, scores: Floats, k: int) -> Integers:
    """Wins, losses and ties of each player; [k, 3]."""
    results = np.zeros((k, 3), dtype=np.int64)
    outcome = np.select([scores == 1, scores == 0], [0, 1], 2)
    np.add.at(results, (first, outcome), 1)
    np.add.at(results, (second, np.array([1, 0, 2])[outcome]), 1)
    return results


def _connected(wins: Floats, names: list[str], strengths: Floats) -> tuple[tuple[str, ...], ...]:
    """Players that wins and ties lead to and from, groups and members strongest first."""
    _, labels = sparse.csgraph.connected_components(
        sparse.csr_array(wins > 0), directed=True, connection="strong"
    )
    groups: dict[int, list[str]] = {}
    for i in np.argsort(-strengths, kind="stable").tolist():
        groups.setdefault(int(labels[i]), []).append(names[i])
    return tuple(tuple(group) for group in groups.values())
