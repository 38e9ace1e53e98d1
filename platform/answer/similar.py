"""Picks sentences by how similar they are to the question.

A sentence is scored by the cosine of question and sentence (read under its headings), by the share
of the question's term weight that it contains, and by how well its passage was ranked. The weights
were set on development questions (`rostra eval run quote` prints what they give) and are not
settings: they mean nothing without the threshold that belongs to them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
        return _TUNED_THRESHOLD if is_packaged(self._embedder) else float("-inf")

    def pick(self, question: str, found: SearchResult, *, most: int) -> Evidence:
        """See `EvidencePicker`."""
        candidates = candidate_sentences(found.hits)
        if not candidates:
            return Evidence([], 0.0)
        similar = similarities(self._embedder, self._terms, question, found, candidates)
        chosen = choose(candidates, similar.scores, most)
        return Evidence(reading_order(chosen), round(similar.evidence, 6))


@dataclass(frozen=True, slots=True)
class Similarities:
    """How similar sentences are to a question.

    Attributes:
        scores: of each sentence, float64 [sentences].
        evidence: how well all of them may answer it.
    """

    scores: npt.NDArray[np.float64]
    evidence: float


def similarities(
    embedder: Embedder,
    terms: Callable[[str], list[str]],
    question: str,
    found: SearchResult,
    candidates: Sequence[Sentence],
) -> Similarities:
    """Compares each sentence with the question; see this module. Blocks while it embeds.

    Args:
        found: the passages, with the weights of the question's terms.
        candidates: sentences of them, one at least.
    """
    asked = embedder.embed_query(question)
    read = embedder.embed_documents(
        [searchable_text(s.hit.context or s.hit.title, s.text) for s in candidates]
    )
    cosines = np.asarray(read @ asked, np.float64)
    shares = np.array([term_share(terms(s.text), found.term_weights) for s in candidates])
    ranks = rank_scores(found.hits)
    prior = np.array([ranks[s.hit.chunk_id] for s in candidates])
    closest = max(float(cosines.max()), *(hit.scores.dense or 0.0 for hit in found.hits))
    return Similarities(
        cosines + _TERM_WEIGHT * shares + _RANK_WEIGHT * prior,
        closest + _EVIDENCE_TERM_WEIGHT * float(shares.max()),
    )


def choose(
    candidates: Sequence[Sentence], scores: npt.NDArray[np.float64], most: int
) -> list[Sentence]:
    """The best sentence and those that are not much worse, best first, each text once."""
    least = min(_RELATIVE * scores.max(), scores.max())
    chosen: list[Sentence] = []
    for row in np.argsort(-scores, kind="stable"):
        sentence = candidates[row]
        if len(chosen) == most or scores[row] < least:
            break
        if all(sentence.text != other.text for other in chosen):
            chosen.append(Sentence(sentence.hit, sentence.start, sentence.end, float(scores[row])))
    return chosen


def is_packaged(embedder: Embedder) -> bool:
    """Whether it is the packaged one, whose cosines the thresholds are for."""
    return embedder.space.model.endswith(PACKAGED_MODEL)


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
