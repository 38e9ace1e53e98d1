"""Questions that ask the same: by their words, and by their vectors unless numbers differ."""

import numpy as np
import pytest

from evals.sets.synthetic.checks import Dropped
from evals.sets.synthetic.duplicates import Known
from rostra.core import FloatVector


def unit(*values: float) -> FloatVector:
    vector = np.asarray(values, np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def test_the_same_words_or_nearly_the_same_vector_are_the_same_question() -> None:
    known = Known(2, 0.9)
    known.check("Who boards?", unit(1, 0))
    known.add("Who boards?", unit(1, 0))
    with pytest.raises(Dropped, match="there already"):
        known.check("who BOARDS", unit(0, 1))
    with pytest.raises(Dropped, match="much like"):
        known.check("Who goes aboard?", unit(0.95, 0.2))
    known.check("Who goes aboard?", unit(0.5, 0.5))


def test_other_numbers_ask_for_something_else() -> None:
    known = Known(2, 0.9)
    known.add("What was earned in 2021?", unit(1, 0))
    known.check("What was earned in 2022?", unit(1, 0))
    known.check("What was earned?", unit(1, 0))
    with pytest.raises(Dropped):
        known.check("What did it earn in 2021?", unit(1, 0))


def test_all_of_many_are_known() -> None:
    known = Known(2, 0.999999)
    vectors = [unit(np.cos(angle), np.sin(angle)) for angle in np.linspace(0, 3, 200)]
    for place, vector in enumerate(vectors):
        known.check(f"question {'x' * place}", vector)
        known.add(f"question {'x' * place}", vector)
    for vector in vectors:
        with pytest.raises(Dropped):
            known.check("another question", vector)
