"""Successes over repeated attempts: pass@k and pass^k.

With `n` attempts at a sample, `c` of them successes, and chances `p` that are its own:

- pass@k = E[1 - (1 - p)^k], at least one of k attempts succeeds. The estimate
  1 - C(n - c, k) / C(n, k) has no bias (Chen et al., 2021).
- pass^k = E[p^k], all of k attempts succeed. The estimate C(c, k) / C(n, k) has no bias (Yao et
  al., 2024).

Both are the share of the k-subsets of the attempts that hold any success, or nothing else; with
k = n they are what the core's `Reduce.ANY` and `Reduce.ALL` make of the attempts. The mean over
samples has no bias either, whatever the chances are; (mean p)^k would be too small.

What always holds: an attempt that failed by an error is no attempt; a sample with fewer than k
attempts left has no estimate for k.
"""

from collections import defaultdict
from collections.abc import Sequence
from math import comb
from typing import Any

from evals.core.log import Outcome
from evals.core.measures import Measure, Reduce


def success_measures(name: str, repeats: int) -> tuple[Measure, ...]:
    """The mean of a success and, where it is tried several times, pass@n and pass^n of all n."""
    measures = [Measure(name, unit="share")]
    if repeats > 1:
        measures += [
            Measure(f"pass@{repeats}", unit="share", reduce=Reduce.ANY, of=name),
            Measure(f"pass^{repeats}", unit="share", reduce=Reduce.ALL, of=name),
        ]
    return tuple(measures)


def pass_at(attempts: int, successes: int, k: int) -> float:
    """The estimate of pass@k from one sample.

    Raises:
        ValueError: not `0 <= successes <= attempts` or not `1 <= k <= attempts`.
    """
    _check(attempts, successes, k)
    return 1.0 - comb(attempts - successes, k) / comb(attempts, k)


def pass_hat(attempts: int, successes: int, k: int) -> float:
    """The estimate of pass^k from one sample.

    Raises:
        ValueError: not `0 <= successes <= attempts` or not `1 <= k <= attempts`.
    """
    _check(attempts, successes, k)
    return comb(successes, k) / comb(attempts, k)


def passes(outcomes: Sequence[Outcome], name: str) -> list[dict[str, Any]]:
    """pass@k and pass^k for each k up to the number of attempts, as means over samples.

    Args:
        outcomes: of one task.
        name: of the scores, which are 0 or 1.
    """
    tries: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        tries[outcome.state.sample.id] += [
            score.value
            for score in outcome.scores
            if score.name == name and score.value is not None
        ]
    counted = [(len(values), round(sum(values))) for values in tries.values()]
    rows = []
    for k in range(1, max((attempts for attempts, _ in counted), default=0) + 1):
        enough = [each for each in counted if each[0] >= k]
        rows.append(
            {
                "k": k,
                "samples": len(enough),
                "pass@k": round(sum(pass_at(*each, k) for each in enough) / len(enough), 6),
                "pass^k": round(sum(pass_hat(*each, k) for each in enough) / len(enough), 6),
            }
        )
    return rows


def _check(attempts: int, successes: int, k: int) -> None:
    if not (0 <= successes <= attempts and 1 <= k <= attempts):
        raise ValueError(f"{successes} successes of {attempts} attempts, and {k} to draw")
