"""Source code: the file word for word, one CODE span over all of it."""

from rostra.ingest.builder import make_document
from rostra.ingest.document import ParsedDocument, Span, SpanKind
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers.plain import read_text


def parse(data: bytes, name: str, media_type: str, limits: ParseLimits) -> ParsedDocument:
    """Reads a source file.

    Raises:
        TooLarge: if the text is over its limit.
    """
    decoded, text = read_text(data, limits)
    spans = [Span(SpanKind.CODE, 0, len(text))]
    return make_document(text, name, media_type, spans, decoded.metadata)
