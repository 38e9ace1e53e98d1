"""What a share of the scorer's log-odds would choose, by hand."""

import numpy as np
import pytest

from evals.evidence_shares import Read, chosen_by, told_apart
from rostra.answer import candidate_sentences
from tests.unit.answer.conftest import hit

TEXT = "Vacuum reclaims storage of rows. Readers go on meanwhile. A lock is not needed for it."


def read(similar: list[float], odds: list[float], right: list[bool] | None) -> Read:
    sentences = candidate_sentences([hit(TEXT)])
    assert len(sentences) == 3
    annotations = [np.array(right)] if right is not None else []
    return Read(sentences, np.array(similar), np.array(odds), max(similar), annotations)


ASKED = [
    read([0.9, 0.8, 0.1], [-2.0, 4.0, -4.0], [False, True, False]),
    read([0.9, 0.1, 0.2], [4.0, -4.0, -4.0], [True, False, False]),
    read([0.8, 0.1, 0.1], [-6.0, -6.0, -6.0], None),
]


def test_similarity_alone_and_with_the_scorer() -> None:
    alone = chosen_by(ASKED, 0.0, most=4)
    # The first question's two similar sentences, of which the second answers; the other's one.
    assert alone == pytest.approx(
        {"best": 0.5, "f1": (2 / 3 + 1) / 2, "precision": 0.75, "sentences": 1.5}
    )
    both = chosen_by(ASKED, 0.1, most=4)
    assert both == pytest.approx({"best": 1.0, "f1": 1.0, "precision": 1.0, "sentences": 1.0})


def test_the_threshold_refuses_its_share_of_what_has_an_answer() -> None:
    alone = told_apart(ASKED, 0.0, refused=0.0)
    assert alone == pytest.approx({"threshold": 0.9, "unanswerable refused": 1.0})
    both = told_apart(ASKED[:2], 0.1, refused=0.0)
    assert both == pytest.approx({"threshold": 1.3})
