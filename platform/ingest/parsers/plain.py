"""Plain text: the text itself, with its paragraphs marked."""

import re

from rostra.core import normalize_text
from rostra.ingest.builder import make_document, text_too_large
from rostra.ingest.decode import DecodedText, decode_text
from rostra.ingest.document import ParsedDocument, Span, SpanKind
from rostra.ingest.limits import ParseLimits

_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")


def parse(data: bytes, name: str, media_type: str, limits: ParseLimits) -> ParsedDocument:
    """Reads a text file.

    Raises:
        TooLarge: if the text is over its limit.
    """
    decoded, text = read_text(data, limits)
    return make_document(text, name, media_type, paragraphs(text), decoded.metadata)


def read_text(
    data: bytes, limits: ParseLimits, max_chars: int | None = None
) -> tuple[DecodedText, str]:
    """The decoded file and its normalised text.

    Args:
        data: the whole file.
        limits: how long its text may be.
        max_chars: how long it may be where the document's text is only part of it.

    Raises:
        TooLarge: if the text is over its limit.
    """
    decoded = decode_text(data)
    if len(decoded.text) > (limits.max_text_chars if max_chars is None else max_chars):
        raise text_too_large(limits.max_text_chars)
    return decoded, normalize_text(decoded.text)


def paragraphs(text: str) -> list[Span]:
    """Paragraph spans of a text whose paragraphs are separated by blank lines."""
    spans = []
    start = 0
    for end, following in [
        *((gap.start(), gap.end()) for gap in _BLANK_LINES.finditer(text)),
        (len(text), len(text)),
    ]:
        block = text[start:end]
        if block.strip():
            left = start + len(block) - len(block.lstrip())
            spans.append(Span(SpanKind.PARAGRAPH, left, start + len(block.rstrip())))
        start = following
    return spans
