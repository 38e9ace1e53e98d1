"""Ingest: sources to documents to chunks to vectors to rows, as runs that can be repeated.

Names load on first use: the parser process imports this room's modules, and must not load a
database or a model with them.
"""

from typing import TYPE_CHECKING

from rostra.core import lazy_names

if TYPE_CHECKING:
    from rostra.ingest.beir import read_beir
    from rostra.ingest.document import ParsedDocument, Span, SpanKind
    from rostra.ingest.items import FailedSource, ReadySource, Source
    from rostra.ingest.parser_process import ParserProcess
    from rostra.ingest.pipeline import (
        AnySource,
        Failure,
        Ingester,
        IngestReport,
        OnProgress,
        Progress,
    )
    from rostra.ingest.reembedding import reembed
    from rostra.ingest.sources import Listing, list_sources

_HOMES = {
    "AnySource": "pipeline",
    "FailedSource": "items",
    "Failure": "pipeline",
    "IngestReport": "pipeline",
    "Ingester": "pipeline",
    "Listing": "sources",
    "OnProgress": "pipeline",
    "ParsedDocument": "document",
    "ParserProcess": "parser_process",
    "Progress": "pipeline",
    "ReadySource": "items",
    "Source": "items",
    "Span": "document",
    "SpanKind": "document",
    "list_sources": "sources",
    "read_beir": "beir",
    "reembed": "reembedding",
}

__all__ = [
    "AnySource",
    "FailedSource",
    "Failure",
    "IngestReport",
    "Ingester",
    "Listing",
    "OnProgress",
    "ParsedDocument",
    "ParserProcess",
    "Progress",
    "ReadySource",
    "Source",
    "Span",
    "SpanKind",
    "list_sources",
    "read_beir",
    "reembed",
]

__getattr__ = lazy_names(__name__, _HOMES)
