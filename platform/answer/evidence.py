"""Sentences that can be quoted, and whoever picks the best of them.

What always holds: a picked sentence is a verbatim span of its passage; a picker's evidence score
judges the whole pick and is on one scale for all questions, its own, so that it can be held against
that picker's threshold.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rostra.core import sentence_spans
from rostra.retrieval import Hit, SearchResult

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


class EvidencePicker(Protocol):
    """Chooses what quote mode quotes."""

    @property
    def name(self) -> str:
        """Which one it is, for logs and reports."""
        ...

    @property
    def threshold(self) -> float:
        """Evidence that scores less is `not found`, unless a setting says otherwise."""
        ...

    def pick(self, question: str, found: SearchResult, *, most: int) -> Evidence:
        """Chooses up to `most` sentences of the passages found. Blocks while it reads.

        Args:
            question: as asked.
            found: the passages to read, with the weights of the question's terms.
        """
        ...


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


def reading_order(chosen: Sequence[Sentence]) -> list[Sentence]:
    """Documents by their best sentence; within one, as they stand there."""
    documents: list[object] = []
    for sentence in chosen:
        if sentence.hit.document_id not in documents:
            documents.append(sentence.hit.document_id)
    return sorted(chosen, key=lambda s: (documents.index(s.hit.document_id), s.start))
