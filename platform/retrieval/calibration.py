"""How likely a hit is relevant, from its raw scores; fitted on judged queries by `rostra tune`.

The packaged embedding model has a curve that serves where nothing was tuned. It tells what is about
something else from what is not, on sets that it was not fitted on; its levels are rough, since how
many candidates are relevant differs between collections. docs/search.md has the figures.

A logistic curve over the cosine and over the share of the query's term weight that BM25 counts.
Never over fused or reranked scores: these are normalised within a query, which erases the level
that says whether anything was found at all.

What always holds: a probability lies from 0 to 1 and never falls when a score rises.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from rostra.core import EmbeddingSpace, InvalidRequest
from rostra.retrieval.hits import Hit

Floats = npt.NDArray[np.float64]

# Of the squares of the coefficients; keeps separable data from an endless slope.
_RIDGE = 1e-3


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Coefficients of the curve.

    Attributes:
        intercept: log odds of a hit whose scores are 0.
        dense: per unit of cosine, at least 0.
        lexical: per unit of lexical share, at least 0.
    """

    intercept: float
    dense: float
    lexical: float

    def probabilities(self, dense: Floats, lexical: Floats) -> Floats:
        """Chances of being relevant, float64 [hits].

        Args:
            dense: cosines.
            lexical: shares, see `lexical_share`.
        """
        odds = self.intercept + self.dense * dense + self.lexical * lexical
        return np.asarray(special.expit(odds), np.float64)


# The weights of all-MiniLM-L6-v2, in whose cosines the curve below is.
_FITTED_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_FITTED_DIMENSIONS = 384
# Fitted on CISI, Cranfield and the training part of SciFact, each counting the same: what
# `rostra tune --data` says of the three together.
_FITTED = Calibration(intercept=-6.409558, dense=7.257349, lexical=1.77376)


def default_calibration(spaces: Iterable[EmbeddingSpace]) -> Calibration | None:
    """The curve for collections that nothing was tuned for; None where their cosines are others.

    A rotation leaves cosines at full width as they are.
    """
    for space in spaces:
        if space.revision != _FITTED_WEIGHTS or space.dimensions != _FITTED_DIMENSIONS:
            return None
        if space.query_prompt or space.document_prompt:
            return None
    return _FITTED


def lexical_share(score: float | None, term_weights: Mapping[str, float]) -> float:
    """A BM25 score by the whole weight of the query's terms, so that long queries compare."""
    total = sum(term_weights.values())
    if score is None or total <= 0:
        return 0.0
    return max(score, 0.0) / total


def hit_probabilities(
    calibration: Calibration, hits: Sequence[Hit], term_weights: Mapping[str, float]
) -> Floats | None:
    """How likely each hit is relevant; None where a hit lacks the score of a side."""
    dense = [hit.scores.dense for hit in hits]
    lexical = [hit.scores.lexical for hit in hits]
    if any(score is None for score in (*dense, *lexical)):
        return None
    shares = [lexical_share(score, term_weights) for score in lexical]
    return calibration.probabilities(np.array(dense, np.float64), np.array(shares, np.float64))


def fit_calibration(
    dense: Floats,
    lexical: Floats,
    relevant: npt.NDArray[np.bool_],
    weights: Floats | None = None,
) -> Calibration:
    """The likeliest curve, slopes held at 0 or above.

    Args:
        dense: cosines, float64 [judged].
        lexical: shares.
        relevant: whether each was judged relevant.
        weights: how much each counts, above 0; None counts all the same.

    Raises:
        InvalidRequest: there are not both, relevant ones and others.
    """
    if not relevant.any() or relevant.all():
        raise InvalidRequest("a calibration needs hits that are relevant and hits that are not")
    features = np.stack([np.ones(len(dense)), dense, lexical], axis=1)
    signs = np.where(relevant, 1.0, -1.0)
    counts = np.ones(len(signs)) if weights is None else weights
    counts = counts / counts.sum()

    def loss(coefficients: Floats) -> tuple[float, Floats]:
        margins = signs * (features @ coefficients)
        slope = -signs * special.expit(-margins)
        penalty = _RIDGE * float(coefficients[1:] @ coefficients[1:])
        gradient = features.T @ (counts * slope)
        gradient[1:] += 2 * _RIDGE / len(signs) * coefficients[1:]
        return float(counts @ np.logaddexp(0, -margins)) + penalty / len(signs), gradient

    found = optimize.minimize(
        loss,
        np.zeros(3),
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None), (0, None), (0, None)],
    )
    intercept, on_dense, on_lexical = (float(value) for value in found.x)
    return Calibration(round(intercept, 6), round(on_dense, 6), round(on_lexical, 6))
