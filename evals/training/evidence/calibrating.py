"""The numbers that make scores an answer, set on validation.

What always holds: the threshold is where answerable questions and those whose answering passage was
left out are told apart best, both counting the same; the share under which further sentences are
left out is the one with the best F1 of sentences.
"""

from collections.abc import Sequence

import numpy as np

from evals.training.evidence.learning import ScoredExample
from rostra.answer import Calibration

_CUTS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_FALLBACK = Calibration()


def calibrate(scored: Sequence[ScoredExample]) -> tuple[Calibration, dict[str, float]]:
    """Sets the numbers, and says how well they do."""
    asked = [one for one in scored if one.example.gold and len(one.scores) > 1]
    if not asked:
        return _FALLBACK, {}
    there = np.array([max(max(of, default=-np.inf) for of in one.scores) for one in asked])
    left_out = np.array([max(max(of, default=-np.inf) for of in one.scores[1:]) for one in asked])
    candidates = np.unique(np.concatenate([there, left_out]))
    middles = (candidates[1:] + candidates[:-1]) / 2 if len(candidates) > 1 else candidates
    told = np.array([((there >= at).mean() + (left_out < at).mean()) / 2 for at in middles])
    best = int(told.argmax())
    threshold = float(middles[best])
    f1 = {cut: _sentence_f1(asked, cut) for cut in _CUTS}
    cut = max(_CUTS, key=lambda one: (f1[one], one))
    return Calibration(threshold=round(threshold, 3), cut=cut), {
        "threshold_accuracy": float(told[best]),
        "sentence_f1": f1[cut],
    }


def _sentence_f1(scored: Sequence[ScoredExample], cut: float) -> float:
    """Mean F1 of the sentences of the answering passage that would be quoted."""
    found = []
    for one in scored:
        scores = np.array(one.scores[0])
        quoted = set(np.flatnonzero(np.exp(scores - scores.max()) >= cut).tolist())
        shared = len(quoted & set(one.example.gold))
        found.append(2 * shared / (len(quoted) + len(one.example.gold)))
    return float(np.mean(found))
