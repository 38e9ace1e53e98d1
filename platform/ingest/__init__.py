"""Ingest: sources to documents to chunks to vectors to rows, as runs that can be repeated."""

from rostra.ingest.beir import read_beir
from rostra.ingest.document import ParsedDocument, Span, SpanKind
from rostra.ingest.items import FailedSource, ReadySource, Source
from rostra.ingest.pipeline import (
    AnySource,
    Failure,
    Ingester,
    IngestReport,
    OnProgress,
    Progress,
)
from rostra.ingest.reembed import reembed
from rostra.ingest.sources import Listing, list_sources

__all__ = [
    "AnySource",
    "FailedSource",
    "Failure",
    "IngestReport",
    "Ingester",
    "Listing",
    "OnProgress",
    "ParsedDocument",
    "Progress",
    "ReadySource",
    "Source",
    "Span",
    "SpanKind",
    "list_sources",
    "read_beir",
    "reembed",
]
