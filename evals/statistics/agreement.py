"""Do annotators (or a judge and a person) agree, and more than by chance?

Each measure is a function of sums over items, so the bootstrap draws items and adds up again.

What always holds: 1 is full agreement, and the chance-corrected measures are 0 where labels agree
as often as chance would have it. Where chance already explains everything (one label only) there
is no value, rather than one made up. Names of annotators and of nominal labels make no difference.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evals.statistics.errors import StatisticsError
from evals.statistics.estimate import Interval
from evals.statistics.inputs import Clusters, Floats, Integers, check_level, check_resamples
from evals.statistics.ratings import Ratings, Table, read_ratings
from evals.statistics.resampling import bootstrap, divide

Weights = Literal["nominal", "linear", "quadratic"]
Metric = Literal["nominal", "ordinal", "interval"]

# (sums of features [rows, features], items [rows]) -> the measure [rows]; NaN where undefined.
Measure = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True, slots=True)
class Resampling:
    """How the interval of an agreement is made: BCa bootstrap over items or clusters of them.

    Attributes:
        clusters: a label an item (a row), None where items are independent.
    """

    seed: int
    clusters: Clusters | None = None
    resamples: int = 2000
    level: float = 0.95


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well annotators agree.

    Attributes:
        value: at most 1; None where it is undefined.
        interval: None where there is no value, or no variation to tell it from.
        items: with at least two labels; the others say nothing.
        annotators: columns.
    """

    value: float | None
    interval: Interval | None
    items: int
    annotators: int
    method: str


@dataclass(frozen=True, slots=True)
class HumanCeiling:
    """How well people agree with each other: what a judge can hope for.

    Attributes:
        pairwise: mean over pairs of annotators of the share of shared items with equal labels.
        leave_one_out: mean over annotators of the share of items on which one is with the
            majority of the others; a majority shared by k labels counts 1/k.
        by_annotator: that share of each; None for one who shares no item with anybody.
    """

    pairwise: Agreement
    leave_one_out: Agreement
    by_annotator: Mapping[str, float | None]


def percent_agreement(ratings: Ratings, resampling: Resampling) -> Agreement:
    """The share of pairs of annotators that agree on an item, averaged over items.

    Args:
        ratings: a row an item, a label an annotator; None or NaN where there is none.

    Raises:
        StatisticsError: for rows of different lengths or no item with two labels.
    """
    table = read_ratings(ratings, resampling.clusters)
    shares = _agreeing_pairs(table.counts())
    return _agreement("percent", shares[:, None], lambda s, n: s[:, 0] / n, table, resampling)


def cohen_kappa(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    resampling: Resampling,
    *,
    weights: Weights = "nominal",
    categories: Sequence[Hashable] | None = None,
) -> Agreement:
    """Cohen's kappa of two annotators (1960), weighted by distance on request (1968).

    Items without one of the two labels are left out.

    Args:
        weights: how much two labels disagree: alike for all (`nominal`), or by their distance in
            the order of the categories (`linear`), or its square.
        categories: all labels in their order; without, those seen, sorted (weighted: numbers).

    Raises:
        StatisticsError: for annotators with different numbers of labels, labels outside the
            categories, weights without an order, or no item with two labels.
    """
    if len(first) != len(second):
        raise StatisticsError(f"{len(first)} labels against {len(second)}: they must be paired")
    table = read_ratings(
        list(zip(first, second, strict=True)),
        resampling.clusters,
        categories=categories,
        ordered=weights != "nominal",
    )
    k = table.counts().shape[1]
    gaps = np.abs(np.subtract.outer(np.arange(k), np.arange(k))).astype(np.float64)
    penalty = {"nominal": np.sign(gaps), "linear": gaps, "quadratic": gaps**2}[weights]
    given = np.eye(k)[table.codes]
    features = np.column_stack(
        [penalty[table.codes[:, 0], table.codes[:, 1]], given[:, 0], given[:, 1]]
    )

    def kappa(sums: Floats, items: Floats) -> Floats:
        by_chance = np.sum((sums[:, 1 : 1 + k] @ penalty) * sums[:, 1 + k :], axis=1)
        return 1 - divide(sums[:, 0] * items, by_chance)

    name = "Cohen's kappa" if weights == "nominal" else f"Cohen's kappa, {weights} weights"
    return _agreement(name, features, kappa, table, resampling)


def fleiss_kappa(ratings: Ratings, resampling: Resampling) -> Agreement:
    """Fleiss' kappa (1971): nominal labels of any annotators, the same number for each item.

    Different people may label different items: a row has None for those who did not.

    Raises:
        StatisticsError: as `percent_agreement`, or if items have different numbers of labels.
    """
    table = read_ratings(ratings, resampling.clusters)
    counts = table.counts()
    labels = counts.sum(axis=1)
    if labels.min() != labels.max():
        raise StatisticsError(
            f"items have {labels.min():.0f} to {labels.max():.0f} labels, and Fleiss' kappa takes "
            "one number",
            hint="Krippendorff's alpha takes any.",
        )

    def kappa(sums: Floats, items: Floats) -> Floats:
        shares = sums[:, 1:] / sums[:, 1:].sum(axis=1, keepdims=True)
        beyond_chance = np.where(shares.max(axis=1) == 1, 0.0, 1 - np.sum(shares**2, axis=1))
        return 1 - divide(1 - sums[:, 0] / items, beyond_chance)

    features = np.column_stack([_agreeing_pairs(counts), counts])
    return _agreement("Fleiss' kappa", features, kappa, table, resampling)


def krippendorff_alpha(
    ratings: Ratings,
    resampling: Resampling,
    *,
    metric: Metric = "nominal",
    categories: Sequence[Hashable] | None = None,
) -> Agreement:
    """Krippendorff's alpha ("Content Analysis", 2004): any number of annotators, gaps allowed.

    Args:
        metric: of disagreement: equal or not; ranks in the order of the categories; squared
            difference of numbers.
        categories: as in `cohen_kappa`, for `ordinal`.

    Raises:
        StatisticsError: as `percent_agreement`, for labels outside the categories, without an
            order (`ordinal`) or that are no numbers (`interval`).
    """
    table = read_ratings(
        ratings, resampling.clusters, categories=categories, ordered=metric == "ordinal"
    )
    if metric == "interval":
        features, alpha = _alpha_of_numbers(table)
    elif metric == "ordinal":
        features, alpha = _alpha_of_ranks(table)
    else:
        features, alpha = _alpha_of_labels(table)
    return _agreement(f"Krippendorff's alpha, {metric}", features, alpha, table, resampling)


def human_ceiling(
    labels_by_annotator: Mapping[str, Sequence[Hashable | None]], resampling: Resampling
) -> HumanCeiling:
    """How well people agree with each other, in pairs and each against the others' majority.

    Args:
        labels_by_annotator: for each a label an item, in the same order; None where there is none.

    Raises:
        StatisticsError: for annotators with different numbers of labels, or no item with two.
    """
    columns = list(labels_by_annotator.values())
    if len({len(column) for column in columns}) > 1:
        raise StatisticsError("annotators have different numbers of labels; put None for gaps")
    table = read_ratings(list(zip(*columns, strict=True)), resampling.clusters)
    codes, present = table.codes, table.codes >= 0
    left, right = np.triu_indices(table.annotators, 1)
    shared = present[:, left] & present[:, right]
    agreed = shared & (codes[:, left] == codes[:, right])
    counts = table.counts()
    credits = np.zeros(codes.shape)
    for annotator in range(table.annotators):
        rows = np.flatnonzero(present[:, annotator])
        others = counts[rows]
        own = codes[rows, annotator]
        others[np.arange(rows.size), own] -= 1
        leading = others == others.max(axis=1, keepdims=True)
        credits[rows, annotator] = leading[np.arange(rows.size), own] / leading.sum(axis=1)
    shares = divide(credits.sum(axis=0), present.sum(axis=0).astype(np.float64)).tolist()
    return HumanCeiling(
        _agreement("pairwise", np.hstack([agreed, shared]), _mean_share, table, resampling),
        _agreement("leave one out", np.hstack([credits, present]), _mean_share, table, resampling),
        {
            name: None if np.isnan(share) else share
            for name, share in zip(labels_by_annotator, shares, strict=True)
        },
    )


def _mean_share(sums: Floats, _items: Floats) -> Floats:
    """First half of the columns over the second, averaged over those that are defined."""
    half = sums.shape[1] // 2
    shares = divide(sums[:, :half], sums[:, half:])
    defined = ~np.isnan(shares)
    return divide(np.where(defined, shares, 0).sum(axis=1), defined.sum(axis=1).astype(np.float64))


def _agreeing_pairs(counts: Floats) -> Floats:
    """The share of pairs of an item's labels that are equal."""
    labels = counts.sum(axis=1)
    shares: Floats = np.sum(counts * (counts - 1), axis=1) / (labels * (labels - 1))
    return shares


def _alpha_of_labels(table: Table) -> tuple[Floats, Measure]:
    counts = table.counts()
    unequal = counts.sum(axis=1) * (1 - _agreeing_pairs(counts))

    def alpha(sums: Floats, _items: Floats) -> Floats:
        labels = sums[:, 1:].sum(axis=1)
        by_chance = labels**2 - np.sum(sums[:, 1:] ** 2, axis=1)
        return 1 - divide((labels - 1) * sums[:, 0], by_chance)

    return np.column_stack([unequal, counts]), alpha


def _alpha_of_ranks(table: Table) -> tuple[Floats, Measure]:
    """Ranks depend on how often labels are given, so all coincidences are features."""
    counts = table.counts()
    k = counts.shape[1]
    pairs = counts[:, :, None] * counts[:, None, :]
    pairs[:, np.arange(k), np.arange(k)] -= counts
    pairs /= (counts.sum(axis=1) - 1)[:, None, None]

    def alpha(sums: Floats, _items: Floats) -> Floats:
        coincidences = sums.reshape(-1, k, k)
        given = coincidences.sum(axis=2)
        ranks = np.cumsum(given, axis=1) - given / 2
        gaps = (ranks[:, :, None] - ranks[:, None, :]) ** 2
        by_chance = np.einsum("rc,rk,rck->r", given, given, gaps)
        observed = np.einsum("rck,rck->r", coincidences, gaps)
        return 1 - divide((given.sum(axis=1) - 1) * observed, by_chance)

    return pairs.reshape(table.items, k * k), alpha


def _alpha_of_numbers(table: Table) -> tuple[Floats, Measure]:
    numbers = table.numbers()
    present = ~np.isnan(numbers)
    labels = present.sum(axis=1).astype(np.float64)
    # Alpha does not change when numbers are shifted and scaled; sums of squares lose less so.
    lowest, highest = float(np.min(numbers[present])), float(np.max(numbers[present]))
    scale = highest - lowest or 1.0
    centred = np.where(present, (numbers - numbers[present].mean()) / scale, 0.0)
    total, squares = centred.sum(axis=1), np.sum(centred**2, axis=1)
    means = total / labels
    within = np.sum(np.where(present, (centred - means[:, None]) ** 2, 0.0), axis=1)
    observed = 2 * labels * within / (labels - 1)  # sum of squared gaps over all ordered pairs

    def alpha(sums: Floats, _items: Floats) -> Floats:
        given = sums[:, 1]
        by_chance = 2 * (given * sums[:, 3] - sums[:, 2] ** 2)
        by_chance[by_chance <= 1e-12 * given * sums[:, 3]] = 0  # all equal, up to rounding
        return 1 - divide((given - 1) * sums[:, 0], by_chance)

    return np.column_stack([observed, labels, total, squares]), alpha


def _agreement(
    name: str, features: Floats, measure: Measure, table: Table, resampling: Resampling
) -> Agreement:
    check_level(resampling.level)
    check_resamples(resampling.resamples)
    features = features.astype(np.float64)
    whole = measure(features.sum(axis=0, keepdims=True), np.array([float(table.items)]))
    if np.isnan(whole[0]):
        return Agreement(None, None, table.items, table.annotators, name)

    def statistic(values: Floats, counts: Integers) -> Floats:
        weights = counts.astype(np.float64)
        return measure(weights @ values, weights.sum(axis=1))

    estimate = bootstrap(
        features,
        statistic,
        table.clusters,
        resamples=resampling.resamples,
        level=resampling.level,
        seed=resampling.seed,
    )
    return Agreement(estimate.mean, estimate.interval, table.items, table.annotators, name)
