"""Picks the sentences of some passages that best answer a question.

What always holds: a picked sentence is a verbatim span of its passage; the evidence score judges
the whole pick and is on one scale for all questions asked of one embedding model, so that it can be
held against a threshold.

A sentence is scored by the cosine of question and sentence (read under its headings), by the share
of the question's term weight that it contains, and by how well its passage was ranked. The weights
were set on development questions (`rostra eval run quote` prints what they give) and are not
settings: they mean nothing without the threshold that belongs to them.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rostra.core import Embedder, sentence_spans
from rostra.retrieval import Hit, SearchResult, searchable_text

_TERM_WEIGHT = 0.3
_RANK_WEIGHT = 0.3
# In the evidence score, beside the best cosine.
_EVIDENCE_TERM_WEIGHT = 0.2
# A sentence this much worse than the best one is not quoted.
_RELATIVE = 0.7
# Fewer words say nothing by themselves: headings, cell labels, lone symbols.
_MIN_WORDS = 4
# A sentence of no more words can need the next one.
_SHORT_WORDS = 12
_POINTS_BACK = re.compile(r"(this|these|such)\b", re.IGNORECASE)
_MAX_SENTENCES_READ = 120
# Lines of a list or of code that are quoted with the sentence that announces them.
_MOST_ANNOUNCED = 8


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a hit; offsets are of the hit's document, in code points."""

    hit: Hit
    start: int
    end: int
    score: float = 0.0

    @property
    def text(self) -> str:
        """Verbatim."""
        return self.hit.text[self.start - self.hit.start : self.end - self.hit.start]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The sentences to quote, in reading order, and how well they answer."""

    sentences: list[Sentence]
    score: float


def pick_evidence(
    question: str,
    found: SearchResult,
    embedder: Embedder,
    terms: Callable[[str], list[str]],
    *,
    most: int,
) -> Evidence:
    """Chooses up to `most` sentences. Blocks while it embeds.

    Args:
        question: as asked.
        found: the passages to read, with the weights of the question's terms.
        embedder: of the space that the passages were found in.
        terms: analyses a sentence as the lexical index does.
        most: most sentences.
    """
    candidates = candidate_sentences(found.hits)
    if not candidates:
        return Evidence([], 0.0)
    asked = embedder.embed_query(question)
    read = embedder.embed_documents(
        [searchable_text(s.hit.context or s.hit.title, s.text) for s in candidates]
    )
    cosines = np.asarray(read @ asked, np.float64)
    shares = np.array([_share(terms(s.text), found.term_weights) for s in candidates])
    ranks = _rank_scores(found.hits)
    prior = np.array([ranks[s.hit.chunk_id] for s in candidates])
    scores = cosines + _TERM_WEIGHT * shares + _RANK_WEIGHT * prior
    best = scores.max()
    chosen: list[Sentence] = []
    for row in np.argsort(-scores, kind="stable"):
        sentence = candidates[row]
        if len(chosen) == most or scores[row] < _RELATIVE * best:
            break
        if all(sentence.text != other.text for other in chosen):
            chosen.append(Sentence(sentence.hit, sentence.start, sentence.end, float(scores[row])))
    closest = max(float(cosines.max()), *(hit.scores.dense or 0.0 for hit in found.hits))
    evidence = closest + _EVIDENCE_TERM_WEIGHT * float(shares.max())
    return Evidence(reading_order(chosen), round(evidence, 6))


def candidate_sentences(hits: Sequence[Hit]) -> list[Sentence]:
    """The sentences of some passages that can stand as an answer, each once, the first ones."""
    candidates: list[Sentence] = []
    seen: set[tuple[str, int]] = set()
    for hit in hits:
        for start, end in _statements(hit.text):
            place = (str(hit.document_id), hit.start + start)
            if place in seen or not _says_something(hit, hit.text[start:end]):
                continue
            seen.add(place)
            candidates.append(Sentence(hit, hit.start + start, hit.start + end))
    return candidates[:_MAX_SENTENCES_READ]


def _says_something(hit: Hit, sentence: str) -> bool:
    """Whether a sentence can stand as an answer: it is no heading and no lone label."""
    words = sentence.split()
    if len(words) < _MIN_WORDS:
        return False
    plain = " ".join(words)
    return plain != hit.title and plain not in hit.context.split(" > ")


def _statements(text: str) -> list[tuple[int, int]]:
    """Sentence spans, joined where one says little without the next.

    A sentence that ends in a colon goes on to the end of the block it announces; a short one goes
    on with a next one that points back to it.
    """
    spans = sentence_spans(text)
    statements: list[tuple[int, int]] = []
    row = 0
    while row < len(spans):
        start, end = spans[row]
        row += 1
        if text[end - 1] == ":":
            first = row
            while row < min(len(spans), first + _MOST_ANNOUNCED):
                if row > first and "\n\n" in text[spans[row - 1][1] : spans[row][0]]:
                    break
                end = spans[row][1]
                row += 1
        elif row < len(spans) and _leans_on(text, (start, end), spans[row]):
            end = spans[row][1]
            row += 1
        statements.append((start, end))
    return statements


def _leans_on(text: str, sentence: tuple[int, int], following: tuple[int, int]) -> bool:
    """Whether a short sentence is explained by the next one in the same paragraph."""
    words = len(text[sentence[0] : sentence[1]].split())
    return (
        _MIN_WORDS <= words <= _SHORT_WORDS
        and "\n" not in text[sentence[1] : following[0]]
        and _POINTS_BACK.match(text, *following) is not None
    )


def _share(terms: Sequence[str], weights: Mapping[str, float]) -> float:
    """How much of the question's term weight these terms hold, 0 to 1."""
    total = sum(weights.values())
    if total <= 0:
        return 0.0
    return sum(weights[term] for term in set(terms) if term in weights) / total


def _rank_scores(hits: Sequence[Hit]) -> dict[object, float]:
    scores = [hit.score for hit in hits]
    low, high = min(scores), max(scores)
    return {hit.chunk_id: (hit.score - low) / (high - low) if high > low else 1.0 for hit in hits}


def reading_order(chosen: Sequence[Sentence]) -> list[Sentence]:
    """Documents by their best sentence; within one, as they stand there."""
    documents: list[object] = []
    for sentence in chosen:
        if sentence.hit.document_id not in documents:
            documents.append(sentence.hit.document_id)
    return sorted(chosen, key=lambda s: (documents.index(s.hit.document_id), s.start))
