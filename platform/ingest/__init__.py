"""Ingest: sources to documents to chunks to vectors to rows, as runs that can be repeated.

Names load on first use: the parser process imports this room's modules, and must not load a
database or a model with them.
"""

from typing import TYPE_CHECKING

from rostra.core import lazy_names

if TYPE_CHECKING:
    from rostra.ingest.archive import attachments_of
    from rostra.ingest.beir import read_beir
    from rostra.ingest.chunking import (
        Chunk,
        Chunker,
        ChunkInput,
        chunk_inputs,
        embed_contents,
        make_chunker,
    )
    from rostra.ingest.document import ParsedDocument, Span, SpanKind
    from rostra.ingest.graph.build import GraphBuilder, GraphProgress, GraphReport
    from rostra.ingest.items import FailedSource, ReadySource, Source
    from rostra.ingest.media import has_ocr
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
    from rostra.ingest.tokens import TokenIndex
    from rostra.ingest.watching import FolderChange, FolderWatch, WatchPace, ingest_change
    from rostra.ingest.web.pages import PageSource, WebPages, make_cache, make_fetcher, page_uri
    from rostra.ingest.web.runs import ingest_pages, sitemap_failures, sitemap_scope
    from rostra.ingest.web.sitemaps import Sitemap, read_sitemap

_HOMES = {
    "AnySource": "pipeline",
    "Chunk": "chunking",
    "ChunkInput": "chunking",
    "Chunker": "chunking",
    "FailedSource": "items",
    "Failure": "pipeline",
    "FolderChange": "watching",
    "FolderWatch": "watching",
    "GraphBuilder": "graph.build",
    "GraphProgress": "graph.build",
    "GraphReport": "graph.build",
    "IngestReport": "pipeline",
    "Ingester": "pipeline",
    "Listing": "sources",
    "OnProgress": "pipeline",
    "PageSource": "web.pages",
    "ParsedDocument": "document",
    "ParserProcess": "parser_process",
    "Progress": "pipeline",
    "ReadySource": "items",
    "Sitemap": "web.sitemaps",
    "Source": "items",
    "Span": "document",
    "SpanKind": "document",
    "TokenIndex": "tokens",
    "WatchPace": "watching",
    "WebPages": "web.pages",
    "attachments_of": "archive",
    "chunk_inputs": "chunking",
    "embed_contents": "chunking",
    "has_ocr": "media",
    "ingest_change": "watching",
    "ingest_pages": "web.runs",
    "list_sources": "sources",
    "make_cache": "web.pages",
    "make_chunker": "chunking",
    "make_fetcher": "web.pages",
    "page_uri": "web.pages",
    "read_beir": "beir",
    "read_sitemap": "web.sitemaps",
    "reembed": "reembedding",
    "sitemap_failures": "web.runs",
    "sitemap_scope": "web.runs",
}

__all__ = [
    "AnySource",
    "Chunk",
    "ChunkInput",
    "Chunker",
    "FailedSource",
    "Failure",
    "FolderChange",
    "FolderWatch",
    "GraphBuilder",
    "GraphProgress",
    "GraphReport",
    "IngestReport",
    "Ingester",
    "Listing",
    "OnProgress",
    "PageSource",
    "ParsedDocument",
    "ParserProcess",
    "Progress",
    "ReadySource",
    "Sitemap",
    "Source",
    "Span",
    "SpanKind",
    "TokenIndex",
    "WatchPace",
    "WebPages",
    "attachments_of",
    "chunk_inputs",
    "embed_contents",
    "has_ocr",
    "ingest_change",
    "ingest_pages",
    "list_sources",
    "make_cache",
    "make_chunker",
    "make_fetcher",
    "page_uri",
    "read_beir",
    "read_sitemap",
    "reembed",
    "sitemap_failures",
    "sitemap_scope",
]

__getattr__ = lazy_names(__name__, _HOMES)
