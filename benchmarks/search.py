"""Warm search latency over all pages, one query after another.

Queries are headings of the pages themselves, which gives them the words people use. The peers are
rank-bm25 and bm25s over the same chunks and terms, which answer the lexical part alone.
"""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bm25s
import click
from rank_bm25 import BM25Okapi

from rostra.core import Settings
from rostra.ingest import list_sources
from rostra.retrieval import SearchMode, SearchRequest, searchable_text
from rostra.runtime import Runtime, open_runtime
from rostra.store import get_collection, index_rows

_QUERIES = 200
_PEER_QUERIES = 20
_COLLECTION = "bench"


async def run(settings: Settings, folders: Sequence[Path]) -> list[dict[str, Any]]:
    """One row a mode: median and 95th percentile in milliseconds."""
    apart = settings.model_copy(update={"home": settings.home / "bench", "database_url": ""})
    async with open_runtime(apart) as runtime:
        click.echo("  ingesting; the first time takes minutes, later ones only look", err=True)
        sources = list_sources(folders, apart).items
        await runtime.ingester.ingest(sources, _COLLECTION)
        async with runtime.database.read() as session:
            collection = await get_collection(session, _COLLECTION)
            chunks = await index_rows(session, collection.id, collection.space_id)
        headings = sorted({c.context.rsplit(" > ", 1)[-1] for c in chunks if c.context})
        queries = headings[:: max(1, len(headings) // _QUERIES)][:_QUERIES]
        rows = [await _measure(runtime, mode, queries, len(chunks)) for mode in SearchMode]
        corpus = [runtime.searcher.query_terms(searchable_text(c.context, c.text)) for c in chunks]
        terms = [runtime.searcher.query_terms(query) for query in queries]
        return [*rows, _rank_bm25(corpus, terms[:_PEER_QUERIES]), _bm25s(corpus, terms)]


async def _measure(
    runtime: Runtime, mode: SearchMode, queries: Sequence[str], chunks: int
) -> dict[str, Any]:
    def request(query: str) -> SearchRequest:
        return SearchRequest(query, (_COLLECTION,), mode=mode, rerank=False)

    for query in queries[:10]:
        await runtime.searcher.search(request(query))
    spent: list[float] = []
    for query in queries:
        began = time.perf_counter()
        await runtime.searcher.search(request(query))
        spent.append((time.perf_counter() - began) * 1000)
    return _row(f"rostra {mode}", chunks, spent)


def _rank_bm25(corpus: list[list[str]], queries: Sequence[list[str]]) -> dict[str, Any]:
    model = BM25Okapi(corpus)
    spent: list[float] = []
    for terms in queries:
        began = time.perf_counter()
        model.get_top_n(terms, range(len(corpus)), n=10)
        spent.append((time.perf_counter() - began) * 1000)
    return _row("rank-bm25, lexical only", len(corpus), spent)


def _bm25s(corpus: list[list[str]], queries: Sequence[list[str]]) -> dict[str, Any]:
    model = bm25s.BM25(method="atire", idf_method="robertson")
    model.index(corpus, show_progress=False)
    known = set(model.vocab_dict)
    spent: list[float] = []
    for terms in queries:
        asked = [term for term in terms if term in known]
        if not asked:
            continue
        began = time.perf_counter()
        model.retrieve([asked], k=10, show_progress=False)
        spent.append((time.perf_counter() - began) * 1000)
    return _row("bm25s, lexical only", len(corpus), spent)


def _row(name: str, chunks: int, spent: Sequence[float]) -> dict[str, Any]:
    return {
        "search": name,
        "chunks": chunks,
        "queries": len(spent),
        "p50_ms": statistics.median(spent),
        "p95_ms": statistics.quantiles(spent, n=20)[-1],
    }
