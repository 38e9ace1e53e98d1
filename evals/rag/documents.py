"""Passages of a set as documents of the platform.

What always holds: a document's text is its title, a blank line and the body, only the body without
a title; equal passages are one document.
"""

import hashlib
from typing import Any

from evals.core.dataset import Problems
from rostra.core import normalize_text
from rostra.ingest import ParsedDocument, ReadySource, Span, SpanKind

_LONGEST_TITLE = 300


class Malformed(ValueError):
    """A record cannot be used; the message is a reason, the same for the same trouble."""


class Pool:
    """Documents of a set, each once.

    Args:
        problems: where documents are counted that contradict an earlier one.
    """

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._sources: dict[str, ReadySource] = {}

    def add(self, source: ReadySource, place: str) -> None:
        """Adds a document, unless it is there."""
        there = self._sources.setdefault(source.uri, source)
        if there.document.text != source.document.text:
            self._problems.add("a document with the id of an earlier one and another text", place)

    def get(self, uri: str) -> ReadySource | None:
        """The document of this id, if there is one."""
        return self._sources.get(uri)

    def __contains__(self, uri: object) -> bool:
        return uri in self._sources

    def sources(self) -> tuple[ReadySource, ...]:
        """All, in the order that they came in."""
        return tuple(self._sources.values())


def passage_source(title: str, body: str, uri: str | None = None) -> tuple[ReadySource, int]:
    """A passage as a document, and where its body begins in the document's text.

    Args:
        uri: its id; by default made from its text.

    Raises:
        Malformed: there is no text.
    """
    title, body = normalize_text(title).strip(), normalize_text(body)
    if not body.strip():
        raise Malformed("a passage without a text")
    text = f"{title}\n\n{body}" if title else body
    spans = (Span(SpanKind.HEADING, 0, len(title), 1),) if title else ()
    uri = uri or "passage:" + hashlib.sha256(text.encode()).hexdigest()[:24]
    parsed = ParsedDocument(text, title[:_LONGEST_TITLE] or uri, "text/plain", spans, {})
    return ReadySource(uri, parsed), len(text) - len(body)


def sentence_places(source: ReadySource, body: int, sentences: Any) -> tuple[tuple[int, int], ...]:
    """Where a passage's sentences lie in its document, in their order.

    Args:
        body: where the passage's body begins.

    Raises:
        Malformed: they are no texts, or one of them is not there.
    """
    if not isinstance(sentences, list) or not all(isinstance(one, str) for one in sentences):
        raise Malformed("a passage without a list of sentences")
    at, places = body, []
    for sentence in map(normalize_text, sentences):
        start = source.document.text.find(sentence, at)
        if start < 0:
            raise Malformed("a sentence that is not in its passage")
        at = start + len(sentence)
        places.append((start, at))
    return tuple(places)
