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
from rostra.answer.evidence import Sentence, candidate_sentences
from rostra.answer.pickers import load_scorer, scorer_file
from rostra.answer.similar import SimilarityPicker, choose, similarities
from rostra.core import lazy_names

if TYPE_CHECKING:
    from rostra.answer.scored import log_odds
    from rostra.answer.scorer.features import Batch, Featuriser, Passage, Row, make_batch
    from rostra.answer.scorer.net import EvidenceNet, new_net
    from rostra.answer.scorer.scorer import EvidenceScorer, Scored
    from rostra.answer.scorer.weights import (
        Calibration,
        load_scorer_net,
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
    "load_scorer_net": "scorer.weights",
    "log_odds": "scored",
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
    "Passage",
    "Passages",
    "Question",
    "Row",
    "Scored",
    "Sentence",
    "SimilarityPicker",
    "Stage",
    "Status",
    "Stored",
    "TextDelta",
    "candidate_sentences",
    "choose",
    "load_scorer",
    "load_scorer_net",
    "log_odds",
    "make_batch",
    "new_net",
    "read_turns",
    "save_scorer",
    "scorer_encoder",
    "scorer_file",
    "similarities",
]

__getattr__ = lazy_names(__name__, _HOMES)
