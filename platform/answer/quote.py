"""Quote mode: the answer is what the documents say, verbatim.

It needs no generator, so it is also what answers when one is missing or overloaded.
"""

from collections.abc import Iterator, Sequence

from rostra.answer.events import (
    NOT_FOUND,
    Answer,
    AnswerEvent,
    AnswerMode,
    Citation,
    Cited,
    Done,
    TextDelta,
)
from rostra.answer.evidence import Evidence, Sentence


def quote_events(
    evidence: Evidence,
    pages: Sequence[int | None],
    threshold: float,
    timings_ms: dict[str, float],
    mode: AnswerMode = AnswerMode.QUOTE,
    picked_by: str | None = None,
) -> Iterator[AnswerEvent]:
    """Lays out the evidence as an answer: deltas, a citation after each sentence, then `Done`.

    Args:
        evidence: what to quote, in reading order.
        pages: of each sentence, the page on which it begins; None without pages.
        threshold: evidence that scores less is not good enough to show.
        timings_ms: of the stages so far.
        mode: whether a generator chose the evidence.
        picked_by: who chose it, by name.
    """
    if not evidence.sentences or evidence.score < threshold:
        yield TextDelta(NOT_FOUND)
        yield Done(Answer(NOT_FOUND, mode, False, [], timings_ms, picked_by=picked_by))
        return
    text = ""
    citations: list[Citation] = []
    previous: Sentence | None = None
    for sentence, page in zip(evidence.sentences, pages, strict=True):
        separator = _separator(previous, sentence)
        yield TextDelta(separator + sentence.text)
        text += separator + sentence.text
        citation = Citation(
            document_id=sentence.hit.document_id,
            uri=sentence.hit.uri,
            title=sentence.hit.title,
            start=sentence.start,
            end=sentence.end,
            page=page,
            quote=sentence.text,
            answer_start=len(text) - len(sentence.text),
            answer_end=len(text),
        )
        yield Cited(citation)
        citations.append(citation)
        previous = sentence
    scores = [sentence.score for sentence in evidence.sentences]
    best = scores.index(max(scores))
    yield Done(Answer(text, mode, True, citations, timings_ms, picked_by=picked_by, best=best))


def _separator(previous: Sentence | None, sentence: Sentence) -> str:
    if previous is None:
        return ""
    follows = (
        previous.hit.document_id == sentence.hit.document_id
        and 0 <= sentence.start - previous.end <= 1
        and "\n" not in sentence.text + previous.text
    )
    return " " if follows else "\n\n"
