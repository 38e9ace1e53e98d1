"""One calibration for several judged sets, and what it is worth on a set that it has not seen.

What always holds: each set counts the same, whatever its size; figures of a set are by the curve
that was fitted on the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from evals.errors import DatasetError
from evals.tuning.choices import Floats, JudgedQuery
from rostra.retrieval import Calibration, fit_calibration


@dataclass(frozen=True, slots=True)
class HeldOutSet:
    """How good the curve of the other sets is on one.

    Attributes:
        calibration: of the others.
        brier: mean squared error, lower is better.
        base: of always saying the share of relevant candidates that the set itself has, which the
            curve does not know.
    """

    name: str
    calibration: Calibration
    brier: float
    base: float


@dataclass(frozen=True, slots=True)
class Together:
    """A curve for all sets, and each set by the curve of the others."""

    calibration: Calibration
    held_out: tuple[HeldOutSet, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "calibration": msgspec.to_builtins(self.calibration),
            "held_out": [
                {"name": one.name, "brier": round(one.brier, 5), "base": round(one.base, 5)}
                for one in self.held_out
            ],
        }


@dataclass(frozen=True, slots=True)
class _Scored:
    """All candidates of a set."""

    dense: Floats
    shares: Floats
    relevant: npt.NDArray[np.bool_]


def calibrated_together(sets: Mapping[str, Sequence[JudgedQuery]]) -> Together:
    """Fits one curve on all sets, and one on all but each.

    Raises:
        DatasetError: there are fewer than two with relevant and other candidates.
    """
    scored = {name: _scored(queries) for name, queries in sets.items() if queries}
    scored = {
        name: one for name, one in scored.items() if one.relevant.any() and not one.relevant.all()
    }
    if len(scored) < 2:
        raise DatasetError(
            "one curve for several sets takes two that tell relevant from other hits"
        )
    held_out = []
    for name, one in scored.items():
        others = _fitted([other for key, other in scored.items() if key != name])
        errors = (others.probabilities(one.dense, one.shares) - one.relevant) ** 2
        share = float(one.relevant.mean())
        held_out.append(HeldOutSet(name, others, float(errors.mean()), share * (1 - share)))
    return Together(_fitted(list(scored.values())), tuple(held_out))


def _scored(queries: Sequence[JudgedQuery]) -> _Scored:
    return _Scored(
        np.concatenate([query.dense for query in queries]),
        np.concatenate([query.shares for query in queries]),
        np.array(
            [query.relevant.get(one, 0) > 0 for query in queries for one in query.documents],
            np.bool_,
        ),
    )


def _fitted(sets: Sequence[_Scored]) -> Calibration:
    return fit_calibration(
        np.concatenate([one.dense for one in sets]),
        np.concatenate([one.shares for one in sets]),
        np.concatenate([one.relevant for one in sets]),
        np.concatenate([np.full(len(one.dense), 1 / len(one.dense)) for one in sets]),
    )
