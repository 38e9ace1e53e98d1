"""The sentences of observations: where they begin and end, and which of them can be cited.

What always holds: an observation's sentences follow from its log entry alone, so that they are
numbered alike in every execution.
"""

from itertools import pairwise

from rostra.agents.events import Outcome, PlannedCall, ToolEnded
from rostra.agents.scope import Observation, Sentence
from rostra.core import sentence_spans


def numbered(ended: ToolEnded, first: int) -> tuple[Sentence, ...]:
    """The sentences of a result that can be cited, numbered from `first` on."""
    lines = _lines(ended) if ended.outcome is Outcome.OK else []
    spans = [(start, end) for start, end, citable in lines if citable]
    return tuple(_sentence(ended, first + at, start, end) for at, (start, end) in enumerate(spans))


def observed(call: PlannedCall, ended: ToolEnded, sentences: tuple[Sentence, ...]) -> Observation:
    """A call's end as a strategy sees it: each sentence on a line, behind its number."""
    if ended.outcome is not Outcome.OK:
        text = f"{ended.outcome}: {ended.text}"
        return Observation(call, ended.outcome, text, ended.origin)
    numbers = iter(sentences)
    lines = [
        f"[{next(numbers).number}] {ended.text[start:end]}"
        if citable
        else ended.text[start:end].strip()
        for start, end, citable in _lines(ended)
    ]
    text = "\n".join(lines) or "(empty)"
    return Observation(call, ended.outcome, text, ended.origin, sentences)


def _lines(ended: ToolEnded) -> list[tuple[int, int, bool]]:
    """`[start, end)` of an observation's sentences, and whether each can be cited.

    A result may say that none can. Where it has parts of stored documents, what stands between them
    is the tool's own words
    and no evidence; no sentence reaches from one into the other. A number of a heading is no
    sentence of its own.
    """
    inside = [(one.at, one.at + one.end - one.start) for one in ended.documents]
    edges = {0, len(ended.text), *(edge for span in inside for edge in span)}
    lines: list[tuple[int, int, bool]] = []
    for start, end in pairwise(sorted(edges)):
        citable = ended.citable
        if inside:
            citable = any(first <= start and end <= past for first, past in inside)
        begun: int | None = None
        for first, past in sentence_spans(ended.text, start, end):
            begun = first if begun is None else begun
            if past < end and not any(map(str.isalpha, ended.text[begun:past])):
                continue
            lines.append((begun, past, citable))
            begun = None
        if begun is not None:
            lines.append((begun, end, citable))
    return lines


def _sentence(ended: ToolEnded, number: int, start: int, end: int) -> Sentence:
    """A sentence of an observation, and where it stands in a stored document if it does."""
    for span in ended.documents:
        if span.at <= start and end <= span.at + span.end - span.start:
            moved = span.start - span.at
            place = (span.document_id, start + moved, end + moved)
            return Sentence(number, ended.text[start:end], ended.call, *place)
    return Sentence(number, ended.text[start:end], ended.call)
