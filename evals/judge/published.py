"""The statistics that LLMBar published of its evaluators, computed again from a run.

They are defined by its script `evaluate.py`, and are not those of this harness: an answer without
a verdict counts as wrong, two such answers in the two orders count as equal, and the kappas code
the verdicts as 1 (the first answer) and 0 (the second, or none) but the labels as 1 and 2, so
`kappa_False` and `kappa_True` never count a right `second` as agreement and say little.

What always holds: the same verdicts give the same numbers that were published, which shows that
the replay neither loses nor turns a verdict.
"""

import re
from collections.abc import Sequence
from typing import Any

from evals.core.log import Outcome
from evals.judge.compare import ballots_of
from evals.judge.pairs import Winner, pair_of
from evals.statistics import Resampling, cohen_kappa

_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")
_LABELS = {"first": 1, "second": 2}
_PUBLISHED = (
    "correct_False",
    "correct_True",
    "correct_average",
    "correct_both",
    "equal",
    "kappa_False",
    "kappa_True",
    "kappa_average",
    "kappa_agreement",
)


def published_statistics(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The statistics of a recorded judge's task, in the form of `statistics.json`.

    Args:
        outcomes: of pairs with one label each, which is no tie.
    """
    labels: list[Winner | None] = []
    given: list[Winner | None] = []
    swapped: list[Winner | None] = []
    for outcome in outcomes:
        labels.append(pair_of(outcome.state.sample).label)
        there, turned = ballots_of(outcome.state).winners
        given.append(there)
        swapped.append(turned)
    total = len(labels)
    right_given = sum(map(_same, given, labels))
    right_swapped = sum(map(_same, swapped, labels))
    both = sum(
        one == other == label for one, other, label in zip(given, swapped, labels, strict=True)
    )
    coded = [_LABELS.get(label or "", 0) for label in labels]
    kappas = [_kappa(_coded(one), coded) for one in (given, swapped)]
    return {
        "correct_False": _share(right_given, total),
        "correct_True": _share(right_swapped, total),
        "correct_average": f"{(right_given + right_swapped) / 2 / total * 100}%",
        "correct_both": _share(both, total),
        "equal": _share(sum(map(_same, given, swapped)), total),
        "kappa_False": kappas[0],
        "kappa_True": kappas[1],
        "kappa_average": _mean(kappas),
        "kappa_agreement": _kappa(_coded(given), _coded(swapped)),
    }


def shown_statistic(value: Any) -> str:
    """A statistic as tables have it; a published share has all digits of its float.

    >>> shown_statistic("56.00000000000001%"), shown_statistic("40 / 46 = 86.95652173913044%")
    ('56.0 %', '40 / 46 = 87.0 %')
    >>> shown_statistic(0.5731707317073171), shown_statistic(None)
    ('0.5732', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}"
    return _PERCENT.sub(lambda found: f"{float(found[1]):.1f} %", str(value))


def differs(computed: dict[str, Any], published: dict[str, Any]) -> list[str]:
    """Names of the statistics that are not those that were published."""
    return [name for name in _PUBLISHED if not _equal(computed[name], published.get(name))]


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, int | float):
        return abs(one - other) <= 1e-9
    return bool(one == other)


def _same(one: Winner | None, other: Winner | None) -> bool:
    return one == other


def _share(count: int, total: int) -> str:
    return f"{count} / {total} = {count / total * 100}%"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _coded(winners: Sequence[Winner | None]) -> list[int]:
    return [int(winner == "first") for winner in winners]


def _kappa(first: Sequence[int], second: Sequence[int]) -> float | None:
    # The interval is not asked for; the fewest resamples that are taken will do.
    return cohen_kappa(first, second, Resampling(seed=0, resamples=100)).value
