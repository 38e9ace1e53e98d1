"""Agreement: published examples, other implementations, definitions, and how often it is right."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss

from evals.statistics import (
    Agreement,
    Resampling,
    StatisticsError,
    cohen_kappa,
    fleiss_kappa,
    human_ceiling,
    krippendorff_alpha,
    percent_agreement,
)

QUICK = Resampling(seed=1, resamples=100)

# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), part C: four observers.
OBSERVERS: list[list[int | None]] = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
UNITS = list(zip(*OBSERVERS, strict=True))

labels = st.none() | st.integers(0, 3)
ratings = st.lists(st.lists(labels, min_size=3, max_size=3), min_size=1, max_size=12).filter(
    lambda rows: any(sum(label is not None for label in row) > 1 for row in rows)
)


@pytest.mark.parametrize(
    ("metric", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_alpha_of_krippendorffs_example(metric: Any, alpha: float) -> None:
    found = krippendorff_alpha(UNITS, QUICK, metric=metric)
    assert found.value == pytest.approx(alpha, abs=0.0005)
    assert (found.items, found.annotators) == (11, 4)  # one unit has a single label
    as_array = np.array(UNITS, dtype=np.float64)  # NaN where a label is missing
    assert krippendorff_alpha(as_array, QUICK, metric=metric) == found


def alpha_by_definition(rows: list[list[Any]], gap: Callable[[int, int], float]) -> float | None:
    """Observed over expected disagreement, pair by pair."""
    units = [[label for label in row if label is not None] for row in rows]
    units = [unit for unit in units if len(unit) > 1]
    everything = [label for unit in units for label in unit]
    n = len(everything)
    observed = sum(
        gap(*pair) / (len(unit) - 1) for unit in units for pair in itertools.permutations(unit, 2)
    )
    expected = sum(gap(*pair) for pair in itertools.permutations(everything, 2)) / (n - 1)
    return None if expected == 0 else 1 - observed / expected


@given(ratings, st.randoms(use_true_random=False))
def test_alpha_is_its_definition(rows: list[list[Any]], random: Any) -> None:
    units = [row for row in rows if sum(label is not None for label in row) > 1]
    given_labels = [label for row in units for label in row if label is not None]

    def rank_gap(a: int, b: int) -> float:
        low, high = min(a, b), max(a, b)
        between = sum(given_labels.count(label) for label in range(low, high + 1))
        return float((between - (given_labels.count(a) + given_labels.count(b)) / 2) ** 2)

    gaps: dict[Any, Callable[[int, int], float]] = {
        "nominal": lambda a, b: float(a != b),
        "ordinal": rank_gap,
        "interval": lambda a, b: float((a - b) ** 2),
    }
    shuffled = [random.sample(row, len(row)) for row in rows]
    random.shuffle(shuffled)
    for metric, gap in gaps.items():
        expected = alpha_by_definition(rows, gap)
        found = krippendorff_alpha(rows, QUICK, metric=metric).value
        again = krippendorff_alpha(shuffled, QUICK, metric=metric).value
        assert found == (None if expected is None else pytest.approx(expected, abs=1e-9))
        assert again == (None if expected is None else pytest.approx(expected, abs=1e-9))


def test_kappa_by_hand() -> None:
    # 20 both yes, 15 both no, 5 and 10 apart: (0.7 - 0.5) / (1 - 0.5).
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = cohen_kappa(first, second, QUICK)
    assert found.value == pytest.approx(0.4)
    assert found.interval is not None
    assert found.interval.low < 0.4 < found.interval.high


@pytest.mark.parametrize("weights", ["nominal", "linear", "quadratic"])
@given(pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=30))
def test_kappa_is_scikit_learns(weights: Any, pairs: list[tuple[int, int]]) -> None:
    first, second = zip(*pairs, strict=True)
    found = cohen_kappa(first, second, QUICK, weights=weights).value
    if len({*first, *second}) == 1:
        assert found is None
        return
    expected = cohen_kappa_score(first, second, weights=None if weights == "nominal" else weights)
    assert found == pytest.approx(expected, abs=1e-9)


def test_categories_say_the_order_and_what_lies_between() -> None:
    first = ["bad", "good", "bad", "good", "good"]
    second = ["bad", "good", "good", "good", "bad"]
    order = ["bad", "fair", "good"]
    named = cohen_kappa(first, second, QUICK, weights="linear", categories=order)
    numbers = [[order.index(label) for label in column] for column in (first, second)]
    expected = cohen_kappa_score(*numbers, weights="linear", labels=[0, 1, 2])
    assert named.value == pytest.approx(expected)
    with pytest.raises(StatisticsError, match="order"):
        cohen_kappa(first, second, QUICK, weights="linear")
    with pytest.raises(StatisticsError, match="categories"):
        cohen_kappa(first, second, QUICK, categories=["bad", "fair"])


def rows_of(table: Any) -> list[list[int]]:
    """A table of how often items got labels, as a row of labels an item."""
    return [[label for label, count in enumerate(row) for _ in range(count)] for row in table]


def test_fleiss_kappa_of_ten_items_and_fourteen_annotators() -> None:
    table = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
    found = fleiss_kappa(rows_of(table), QUICK)
    assert found.value == pytest.approx(0.210, abs=0.0005)
    assert found.value == pytest.approx(statsmodels_fleiss(np.array(table)))


def test_fleiss_kappa_takes_gaps_but_one_number_of_labels() -> None:
    with_gaps = [[1, 1, None], [None, 2, 1], [2, None, 2]]
    assert (
        fleiss_kappa(with_gaps, QUICK).value == fleiss_kappa([[1, 1], [2, 1], [2, 2]], QUICK).value
    )
    with pytest.raises(StatisticsError, match="one number"):
        fleiss_kappa([[1, 1, 1], [None, 2, 1]], QUICK)


def test_percent_agreement_by_hand() -> None:
    # 3 of 3 pairs, 1 of 3, 0 of 1; the last item has no pair.
    rows = [["a", "a", "a"], ["a", "b", "a"], ["a", None, "b"], [None, None, "b"]]
    found = percent_agreement(rows, QUICK)
    assert found.value == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert found.items == 3


def test_the_ceiling_by_hand() -> None:
    found = human_ceiling(
        {"x": [1, 1, 2, 1], "y": [1, 2, 2, None], "z": [1, 1, 1, None], "w": [None] * 4}, QUICK
    )
    # x-y 2 of 3, x-z 2 of 3, y-z 1 of 3; w has nothing.
    assert found.pairwise.value == pytest.approx(5 / 9)
    # x: with both, with one of two that differ (half), half. y: 1, 0, half. z: 1, half, 0.
    assert found.by_annotator == pytest.approx({"x": 2 / 3, "y": 0.5, "z": 0.5, "w": None})
    assert found.leave_one_out.value == pytest.approx(5 / 9)


MEASURES: list[Any] = [
    pytest.param(percent_agreement, id="percent"),
    pytest.param(fleiss_kappa, id="Fleiss"),
    pytest.param(lambda rows, how: cohen_kappa(*zip(*rows, strict=True), how), id="Cohen"),
    pytest.param(krippendorff_alpha, id="nominal alpha"),
    pytest.param(lambda r, how: krippendorff_alpha(r, how, metric="interval"), id="interval alpha"),
    pytest.param(lambda r, how: krippendorff_alpha(r, how, metric="ordinal"), id="ordinal alpha"),
]
Measure = Callable[[Any, Resampling], Agreement]


@pytest.mark.parametrize("measure", MEASURES)
def test_full_agreement_is_1_and_shows_no_variation(measure: Measure) -> None:
    found = measure([[1, 1], [2, 2], [3, 3], [1, 1]], QUICK)
    assert (found.value, found.interval) == (1, None)


@pytest.mark.parametrize("measure", MEASURES[1:])
def test_a_single_label_is_all_chance(measure: Measure) -> None:
    found = measure([[7, 7], [7, 7], [7, 7]], QUICK)
    assert (found.value, found.interval) == (None, None)


@pytest.mark.parametrize("measure", [percent_agreement, fleiss_kappa, krippendorff_alpha])
@pytest.mark.parametrize(
    "rows",
    [[], [1, 2], [[1], [2]], [[1, 2], [1]], [[1, None], [None, 2]], [[[1], [2]]]],
    ids=["no item", "no rows", "one annotator", "ragged", "no pair", "not hashable"],
)
def test_what_is_no_table_of_ratings_is_refused(measure: Measure, rows: Any) -> None:
    with pytest.raises(StatisticsError):
        measure(rows, QUICK)


@pytest.mark.parametrize(
    ("first", "second"), [([], []), ([1], [1, 2]), ([None], [1]), ([[1]], [[1]])]
)
def test_what_is_not_paired_is_refused(first: Any, second: Any) -> None:
    with pytest.raises(StatisticsError):
        cohen_kappa(first, second, QUICK)
    with pytest.raises(StatisticsError):
        cohen_kappa(first, second, QUICK, categories=[1, 2])
    with pytest.raises(StatisticsError):
        human_ceiling({"x": first, "y": second}, QUICK)


def test_how_to_resample_is_checked() -> None:
    for how in (Resampling(1, resamples=5), Resampling(1, level=2), Resampling(1, clusters=["a"])):
        with pytest.raises(StatisticsError):
            percent_agreement([[1, 1], [1, 2]], how)


def test_labels_without_numbers_have_no_distance() -> None:
    for metric in ("ordinal", "interval"):
        with pytest.raises(StatisticsError):
            krippendorff_alpha([["a", "b"], ["a", "a"]], QUICK, metric=metric)
    with pytest.raises(StatisticsError):
        krippendorff_alpha([[math.inf, 1.0], [1.0, 1.0]], QUICK, metric="interval")


@given(ratings, st.permutations("wxyz"))
def test_names_make_no_difference(rows: list[list[Any]], names: list[str]) -> None:
    renamed = [[None if label is None else names[label] for label in row] for row in rows]
    for measure in (percent_agreement, krippendorff_alpha):
        found = measure(rows, QUICK)
        assert measure(renamed, QUICK) == found
        if found.value is not None:
            assert found.value <= 1 + 1e-12
        if found.interval is not None:
            assert found.interval.low <= found.interval.high


# --- How often an interval of 95 % holds the truth ----------------------------------------------


def test_kappas_are_covered_and_clusters_count() -> None:
    rng = np.random.default_rng(1)
    # Both copy a fair coin with 0.8: they agree with 0.68, by chance with 0.5, kappa is 0.36.
    held, narrow = [], 0
    for i in range(400):
        truth = rng.integers(0, 2, 120)
        first, second = (np.where(rng.random(120) < 0.8, truth, 1 - truth) for _ in range(2))
        found = cohen_kappa(first.tolist(), second.tolist(), Resampling(seed=i, resamples=300))
        assert found.interval is not None
        held.append(found.interval.contains(0.36))
        if i < 20:
            thrice = [np.repeat(column, 3).tolist() for column in (first, second)]
            clusters = np.repeat(np.arange(120), 3).tolist()
            clustered = cohen_kappa(*thrice, Resampling(i, clusters, resamples=300))
            naive = cohen_kappa(*thrice, Resampling(i, resamples=300))
            assert clustered.interval is not None
            assert naive.interval is not None
            assert clustered.value == pytest.approx(found.value)
            narrow += (naive.interval.high - naive.interval.low) < 0.7 * (
                clustered.interval.high - clustered.interval.low
            )
    assert 0.925 < np.mean(held) < 0.975
    assert narrow == 20


def test_alphas_are_covered() -> None:
    rng = np.random.default_rng(2)
    held = []
    for i in range(400):
        # Between items 1, within 0.5: of what varies, 2/3 is the items'.
        values = rng.normal(0, 1, (60, 1)) + rng.normal(0, math.sqrt(0.5), (60, 3))
        values[rng.random((60, 3)) < 0.1] = math.nan
        found = krippendorff_alpha(values, Resampling(i, resamples=300), metric="interval")
        assert found.interval is not None
        held.append(found.interval.contains(2 / 3))
    assert 0.925 < np.mean(held) < 0.975
