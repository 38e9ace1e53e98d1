"""Answer: a question in, an answer with citations out; quoted or generated.

Names of the evidence scorer need torch and load on first use.
"""

from typing import TYPE_CHECKING

from rostra.answer.answerer import Answerer, Question
from rostra.answer.conversation import Conversations, Stored, read_turns
from rostra.answer.events import (
    NOT_FOUND,
    Answer,
    AnswerEvent,
    AnswerMode,
    Citation,
    Cited,
    Done,
    Passages,
    Stage,
    Status,
    TextDelta,
)
from rostra.answer.pickers import load_scorer, scorer_file
from rostra.answer.similar import SimilarityPicker
from rostra.core import lazy_names

if TYPE_CHECKING:
    from rostra.answer.scored import Signs, signs_of
    from rostra.answer.scorer.features import Batch, Featuriser, Passage, Row, make_batch
    from rostra.answer.scorer.net import EvidenceNet, new_net
    from rostra.answer.scorer.scorer import EvidenceScorer, Scored
    from rostra.answer.scorer.weights import (
        Calibration,
        Mixture,
        load_scorer_net,
        recalibrate,
        save_scorer,
        scorer_encoder,
    )

_HOMES = {
    "Batch": "scorer.features",
    "Featuriser": "scorer.features",
    "Passage": "scorer.features",
    "Row": "scorer.features",
    "make_batch": "scorer.features",
    "EvidenceNet": "scorer.net",
    "new_net": "scorer.net",
    "EvidenceScorer": "scorer.scorer",
    "Scored": "scorer.scorer",
    "Calibration": "scorer.weights",
    "Mixture": "scorer.weights",
    "recalibrate": "scorer.weights",
    "Signs": "scored",
    "signs_of": "scored",
    "load_scorer_net": "scorer.weights",
    "save_scorer": "scorer.weights",
    "scorer_encoder": "scorer.weights",
}

__all__ = [
    "NOT_FOUND",
    "Answer",
    "AnswerEvent",
    "AnswerMode",
    "Answerer",
    "Batch",
    "Calibration",
    "Citation",
    "Cited",
    "Conversations",
    "Done",
    "EvidenceNet",
    "EvidenceScorer",
    "Featuriser",
    "Mixture",
    "Passage",
    "Passages",
    "Question",
    "Row",
    "Scored",
    "Signs",
    "SimilarityPicker",
    "Stage",
    "Status",
    "Stored",
    "TextDelta",
    "load_scorer",
    "load_scorer_net",
    "make_batch",
    "new_net",
    "read_turns",
    "recalibrate",
    "save_scorer",
    "scorer_encoder",
    "scorer_file",
    "signs_of",
]

__getattr__ = lazy_names(__name__, _HOMES)
