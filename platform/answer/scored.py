"""Picks sentences by the trained evidence scorer.

What always holds: every sentence that can be quoted is read within its passage; evidence and
threshold are probabilities.

A sentence's score is its log-odds against "nothing here answers", mixed with what search knew of it
as the scorer was calibrated (`Mixture`). Where sentences were joined (`candidate_sentences`), the
joint has the log-odds of its best. The evidence score is the best sentence's probability.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rostra.answer.evidence import Evidence, Sentence, candidate_sentences, reading_order
from rostra.answer.scorer.features import Passage
from rostra.answer.scorer.scorer import ABSENT, EvidenceScorer
from rostra.answer.scorer.weights import probability
from rostra.answer.similar import rank_scores, term_share
from rostra.core import sentence_spans
from rostra.retrieval import Hit, SearchResult


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known of a sentence that could be quoted; see `Mixture`."""

    sentence: Sentence
    odds: float
    share: float
    rank: float
    cosine: float


class ScorerPicker:
    """An `EvidencePicker` over the trained scorer.

    Args:
        scorer: reads the passages.
        terms: analyses a sentence as the lexical index does.
        packaged: the packaged embedder finds the passages.
    """

    name = "scorer"

    def __init__(
        self,
        scorer: EvidenceScorer,
        terms: Callable[[str], list[str]],
        *,
        packaged: bool = True,
    ) -> None:
        self._scorer = scorer
        self._terms = terms
        self._mixture = scorer.calibration.mixture(packaged=packaged)

    @property
    def threshold(self) -> float:
        """As the scorer was calibrated."""
        return round(probability(self._mixture.threshold), 6)

    def pick(self, question: str, found: SearchResult, *, most: int) -> Evidence:
        """See `EvidencePicker`."""
        mixture = self._mixture
        signs = signs_of(question, found, self._scorer, self._terms)
        if not signs:
            return Evidence([], 0.0)
        candidates = [
            Sentence(
                one.sentence.hit,
                one.sentence.start,
                one.sentence.end,
                mixture.log_odds(one.odds, one.share, one.rank, one.cosine),
            )
            for one in signs
        ]
        candidates.sort(key=lambda sentence: -sentence.score)
        least = candidates[0].score + math.log(mixture.cut)
        chosen: list[Sentence] = []
        for sentence in candidates:
            if len(chosen) == most or sentence.score < least:
                break
            if all(sentence.text != other.text for other in chosen):
                chosen.append(sentence)
        evidence = probability(candidates[0].score)
        return Evidence(reading_order(chosen), round(evidence, 6))


def signs_of(
    question: str,
    found: SearchResult,
    scorer: EvidenceScorer,
    terms: Callable[[str], list[str]],
) -> list[Signs]:
    """What is known of each sentence that can be quoted, as they stand. Blocks while it reads.

    Args:
        found: the passages, with the weights of the question's terms.
        terms: analyses a sentence as the lexical index does.
    """
    candidates = candidate_sentences(found.hits)
    if not candidates:
        return []
    hits = list({candidate.hit.chunk_id: candidate.hit for candidate in candidates}.values())
    passages = [Passage(headings(hit), hit.text, sentence_spans(hit.text)) for hit in hits]
    read = scorer.score(question, passages)
    places = {hit.chunk_id: at for at, hit in enumerate(hits)}
    ranks = rank_scores(found.hits)
    signs = []
    for one in candidates:
        place = places[one.hit.chunk_id]
        start, end = one.start - one.hit.start, one.end - one.hit.start
        spans: Sequence[tuple[int, int]] = passages[place].spans
        inside = [
            float(score)
            for span, score in zip(spans, read[place].sentences, strict=True)
            if start <= span[0] < end
        ]
        signs.append(
            Signs(
                one,
                max(inside, default=ABSENT),
                term_share(terms(one.text), found.term_weights),
                ranks[one.hit.chunk_id],
                one.hit.scores.dense or 0.0,
            )
        )
    return signs


def headings(hit: Hit) -> str:
    """What a passage is read under: the headings above it, or its document's title."""
    if hit.context or hit.text.startswith(hit.title):
        return hit.context
    return hit.title
