"""Changing parts of a text while knowing what stayed: citations must survive a filter.

What always holds for a `Rewritten`: its `kept` runs are ordered in both texts, do not overlap, and
each is the same characters in both. So a verbatim span of a stored document is still one after a
rewrite, cut at the places that changed.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rostra.agents.events import DocumentSpan


class Edit(NamedTuple):
    """Replace `[start, end)` of a text by another text."""

    start: int
    end: int
    text: str


class Kept(NamedTuple):
    """`length` characters from `at` in the new text are those from `start` in the old one."""

    at: int
    start: int
    length: int


class Rewritten(NamedTuple):
    """A new text and what of the old one stands in it."""

    text: str
    kept: tuple[Kept, ...]


def unchanged(text: str) -> Rewritten:
    """The text itself."""
    return Rewritten(text, (Kept(0, 0, len(text)),) if text else ())


def rewrite(text: str, edits: Iterable[Edit]) -> Rewritten:
    """Applies edits that are ordered and do not overlap."""
    parts: list[str] = []
    kept: list[Kept] = []
    size = position = 0
    for start, end, new in [*edits, Edit(len(text), len(text), "")]:
        if start > position:
            kept.append(Kept(size, position, start - position))
            parts.append(text[position:start])
            size += start - position
        parts.append(new)
        size += len(new)
        position = end
    return Rewritten("".join(parts), tuple(kept))


def chain(first: Rewritten, second: Rewritten) -> Rewritten:
    """Both in one: `second` rewrote the first one's text."""
    return Rewritten(second.text, tuple(_through(first.kept, second.kept)))


def moved(documents: Iterable[DocumentSpan], kept: Sequence[Kept]) -> tuple[DocumentSpan, ...]:
    """Where spans of stored documents stand in the new text; one that was cut becomes several."""
    return tuple(
        DocumentSpan(
            run.at + start - run.start,
            span.document_id,
            span.start + start - span.at,
            span.start + end - span.at,
        )
        for span in documents
        for run in kept
        if (start := max(span.at, run.start))
        < (end := min(span.at + span.end - span.start, run.start + run.length))
    )


def _through(first: Sequence[Kept], second: Sequence[Kept]) -> Iterator[Kept]:
    at = 0
    for run in second:
        while at < len(first) and first[at].at + first[at].length <= run.start:
            at += 1
        for old in first[at:]:
            if old.at >= run.start + run.length:
                break
            start = max(old.at, run.start)
            end = min(old.at + old.length, run.start + run.length)
            yield Kept(run.at + start - run.start, old.start + start - old.at, end - start)
