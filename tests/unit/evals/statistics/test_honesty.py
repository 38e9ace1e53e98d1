"""What the face promises of all of it: no result holds a NaN or an infinity, whatever the data."""

import dataclasses
import json
import warnings
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from evals.statistics import (
    Match,
    Resampling,
    StatisticsError,
    bootstrap,
    bradley_terry,
    cohen_kappa,
    fleiss_kappa,
    human_ceiling,
    krippendorff_alpha,
    length_controlled_win_rate,
    mcnemar_exact,
    mean_estimate,
    mean_of,
    paired_bootstrap,
    paired_randomisation,
    paired_t,
    percent_agreement,
    percentile_estimate,
    proportion_estimate,
    sign_test,
    wilcoxon_test,
    win_rate,
)

QUICK: dict[str, Any] = {"seed": 1, "resamples": 100}
HOW = Resampling(**QUICK)
awkward = st.sampled_from([0.0, -0.0, 1.0, 0.1, 1 / 3, -1.0, 1e-300, 1e99, -1e99, 5e-324])
rows = st.lists(st.tuples(awkward, awkward, st.integers(0, 3)), min_size=1, max_size=12)
outcomes = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=12
)


def plain(result: Any) -> str:
    """As strict JSON of plain Python types: refuses NaN, infinities and numpy's scalars."""
    content: Any = result
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        content = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    if isinstance(content, Mapping):
        return json.dumps({key: plain(value) for key, value in content.items()})
    if isinstance(content, tuple):
        return json.dumps([plain(value) for value in content])
    if not isinstance(content, str) and content is not None:
        assert type(content) in (int, float, bool), f"{content!r} is a {type(content)}"
    return json.dumps(content, allow_nan=False)


@given(rows)
@settings(max_examples=50)
def test_numbers_of_any_size(sample: list[tuple[float, float, int]]) -> None:
    a, b, clusters = (list(column) for column in zip(*sample, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        plain(mean_estimate(a, clusters))
        plain(percentile_estimate(a, 50))
        plain(bootstrap(a, mean_of, clusters, **QUICK))
        plain(paired_t(a, b, clusters))
        plain(paired_randomisation(a, b, clusters, **QUICK))
        plain(paired_bootstrap(a, b, clusters, **QUICK))
        plain(sign_test(a, b))
        plain(wilcoxon_test(a, b))
        plain(krippendorff_alpha(list(zip(a, b, strict=True)), HOW, metric="interval"))


@given(outcomes)
@settings(max_examples=50)
def test_outcomes_of_any_sort(sample: list[tuple[int, int, int]]) -> None:
    a, b, clusters = (list(column) for column in zip(*sample, strict=True))
    pairs = list(zip(a, b, strict=True))
    how = Resampling(**QUICK, clusters=clusters)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        plain(proportion_estimate(a, clusters))
        plain(mcnemar_exact(a, b))
        plain(win_rate(a, clusters))
        plain(percent_agreement(pairs, how))
        plain(cohen_kappa(a, b, how, weights="quadratic"))
        plain(fleiss_kappa(pairs, how))
        plain(krippendorff_alpha(pairs, how))
        plain(krippendorff_alpha(pairs, how, metric="ordinal"))
        plain(human_ceiling({"x": a, "y": b, "z": [None] * len(a)}, how))
        matches = [Match(f"p{c}", f"q{x}", y) for x, y, c in sample]
        plain(bradley_terry(matches, clusters, seed=1))
        plain(bradley_terry(matches, clusters, intervals="bootstrap", **QUICK))
        try:
            plain(length_controlled_win_rate(a, [x - c for x, c in zip(b, clusters, strict=True)]))
        except StatisticsError as error:
            assert "alike" in str(error)
