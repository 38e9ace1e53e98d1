"""Picks sentences by how similar they are and by what the trained evidence scorer says of them.

What always holds: every sentence that can be quoted is read within its passage; a sentence's score
is similarity's plus a share of its log-odds against "nothing here answers", and so is the evidence
score, by the best sentence's. Where sentences were joined (`candidate_sentences`), the joint has
the log-odds of its best.

Neither does it alone: similarity knows what a question is about, the scorer which sentence says it.
The shares belong to the scorer's training (`Calibration`).
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from rostra.answer.evidence import Evidence, Sentence, candidate_sentences, reading_order
from rostra.answer.scorer.features import Passage
from rostra.answer.scorer.scorer import EvidenceScorer
from rostra.answer.similar import choose, is_packaged, similarities
from rostra.core import Embedder, sentence_spans
from rostra.retrieval import Hit, SearchResult

# Log-odds beyond this say no more.
_SURE = 8.0


class ScorerPicker:
    """An `EvidencePicker` over the trained scorer.

    Args:
        scorer: reads the passages.
        embedder: of the space that the passages are found in.
        terms: analyses a sentence as the lexical index does.
    """

    name = "scorer"

    def __init__(
        self, scorer: EvidenceScorer, embedder: Embedder, terms: Callable[[str], list[str]]
    ) -> None:
        self._scorer = scorer
        self._embedder = embedder
        self._terms = terms

    @property
    def threshold(self) -> float:
        """As the scorer was calibrated; nothing is too little beside another embedder."""
        if is_packaged(self._embedder):
            return self._scorer.calibration.threshold
        return float("-inf")

    def pick(self, question: str, found: SearchResult, *, most: int) -> Evidence:
        """See `EvidencePicker`."""
        candidates = candidate_sentences(found.hits)
        if not candidates:
            return Evidence([], 0.0)
        shares = self._scorer.calibration
        similar = similarities(self._embedder, self._terms, question, found, candidates)
        odds = log_odds(self._scorer, question, candidates)
        chosen = choose(candidates, similar.scores + shares.sentence * odds, most)
        evidence = similar.evidence + shares.evidence * float(odds.max())
        return Evidence(reading_order(chosen), round(evidence, 6))


def log_odds(
    scorer: EvidenceScorer, question: str, candidates: Sequence[Sentence]
) -> npt.NDArray[np.float64]:
    """Of each sentence against "nothing here answers", -8 to 8. Blocks while it reads."""
    hits = list({candidate.hit.chunk_id: candidate.hit for candidate in candidates}.values())
    passages = [Passage(headings(hit), hit.text, sentence_spans(hit.text)) for hit in hits]
    read = scorer.score(question, passages)
    places = {hit.chunk_id: at for at, hit in enumerate(hits)}
    found = []
    for one in candidates:
        place = places[one.hit.chunk_id]
        start, end = one.start - one.hit.start, one.end - one.hit.start
        spans: Sequence[tuple[int, int]] = passages[place].spans
        inside = [
            float(score)
            for span, score in zip(spans, read[place].sentences, strict=True)
            if start <= span[0] < end
        ]
        found.append(max(inside, default=-_SURE))
    return np.clip(np.array(found, np.float64), -_SURE, _SURE)


def headings(hit: Hit) -> str:
    """What a passage is read under: the headings above it, or its document's title."""
    if hit.context or hit.text.startswith(hit.title):
        return hit.context
    return hit.title
