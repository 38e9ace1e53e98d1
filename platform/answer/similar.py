"""Picks sentences by how similar they are to the question.

A sentence is scored by the cosine of question and sentence (read under its headings), by the share
of the question's term weight that it contains, and by how well its passage was ranked. The weights
were set on development questions (`rostra eval run quote` prints what they give) and are not
settings: they mean nothing without the threshold that belongs to them.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rostra.answer.evidence import Evidence, Sentence, candidate_sentences, reading_order
from rostra.core import Embedder
from rostra.retrieval import PACKAGED_MODEL, Hit, SearchResult, searchable_text

_TERM_WEIGHT = 0.3
_RANK_WEIGHT = 0.3
# In the evidence score, beside the best cosine.
_EVIDENCE_TERM_WEIGHT = 0.2
# A sentence this much worse than the best one is not quoted.
_RELATIVE = 0.7
# Where development questions with and without an answer part best, for the packaged embedder.
# Other models put cosines elsewhere; for them only a search without any hit is `not found`.
_TUNED_THRESHOLD = 0.66


class SimilarityPicker:
    """An `EvidencePicker` that needs no model but the embedder.

    Args:
        embedder: of the space that the passages are found in.
        terms: analyses a sentence as the lexical index does.
    """

    name = "similarity"

    def __init__(self, embedder: Embedder, terms: Callable[[str], list[str]]) -> None:
        self._embedder = embedder
        self._terms = terms

    @property
    def threshold(self) -> float:
        """For the packaged embedder where it was tuned; nothing is too little for another one."""
        is_packaged = self._embedder.space.model.endswith(PACKAGED_MODEL)
        return _TUNED_THRESHOLD if is_packaged else float("-inf")

    def pick(self, question: str, found: SearchResult, *, most: int) -> Evidence:
        """See `EvidencePicker`."""
        candidates = candidate_sentences(found.hits)
        if not candidates:
            return Evidence([], 0.0)
        asked = self._embedder.embed_query(question)
        read = self._embedder.embed_documents(
            [searchable_text(s.hit.context or s.hit.title, s.text) for s in candidates]
        )
        cosines = np.asarray(read @ asked, np.float64)
        shares = np.array([term_share(self._terms(s.text), found.term_weights) for s in candidates])
        ranks = rank_scores(found.hits)
        prior = np.array([ranks[s.hit.chunk_id] for s in candidates])
        scores = cosines + _TERM_WEIGHT * shares + _RANK_WEIGHT * prior
        best = scores.max()
        chosen: list[Sentence] = []
        for row in np.argsort(-scores, kind="stable"):
            sentence = candidates[row]
            if len(chosen) == most or scores[row] < _RELATIVE * best:
                break
            if all(sentence.text != other.text for other in chosen):
                chosen.append(
                    Sentence(sentence.hit, sentence.start, sentence.end, float(scores[row]))
                )
        closest = max(float(cosines.max()), *(hit.scores.dense or 0.0 for hit in found.hits))
        evidence = closest + _EVIDENCE_TERM_WEIGHT * float(shares.max())
        return Evidence(reading_order(chosen), round(evidence, 6))


def term_share(terms: Sequence[str], weights: Mapping[str, float]) -> float:
    """How much of the question's term weight these terms hold, 0 to 1."""
    total = sum(weights.values())
    if total <= 0:
        return 0.0
    return sum(weights[term] for term in set(terms) if term in weights) / total


def rank_scores(hits: Sequence[Hit]) -> dict[object, float]:
    """How well each passage was ranked, by its id: 1 for the best score, 0 for the least."""
    scores = [hit.score for hit in hits]
    low, high = min(scores), max(scores)
    return {hit.chunk_id: (hit.score - low) / (high - low) if high > low else 1.0 for hit in hits}
