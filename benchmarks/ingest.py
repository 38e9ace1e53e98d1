"""Ingest speed against the bare embedder on the same chunks, in one run.

Several rounds on disjoint pages. In each, the pages are ingested whole (read, parsed, chunked,
embedded, committed, indexed), then sentence-transformers' own `encode`, with the same weights and
number format, encodes the very texts that were embedded, then the pages are ingested once more into
another empty home. The ratio of a round takes the mean of its two ingests, so that a machine whose
speed drifts favours neither side.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from rostra.core import Settings
from rostra.ingest import AnySource, list_sources
from rostra.retrieval import load_embedder, searchable_text
from rostra.runtime import open_runtime
from rostra.store import get_collection, index_rows

_ROUNDS = 5
_PAGES = 60
_BARE_BATCH = 32


async def run(settings: Settings, folders: Sequence[Path]) -> list[dict[str, Any]]:
    """One row a round, then the median by ratio."""
    pages = list_sources(folders, settings).sources
    # Every n-th page, so that each round sees both packages.
    rounds = min(_ROUNDS, max(1, len(pages) // 10))
    step = max(1, len(pages) // (rounds * _PAGES))
    chosen = pages[::step][: rounds * _PAGES]
    bare = load_embedder(settings).model
    rows = []
    for number in range(rounds):
        part = chosen[number::rounds]
        first_seconds, texts = await _ingest(settings, part)
        began = time.perf_counter()
        bare.encode(texts, batch_size=_BARE_BATCH, show_progress_bar=False)
        bare_seconds = time.perf_counter() - began
        second_seconds, _ = await _ingest(settings, part)
        ingest_seconds = (first_seconds + second_seconds) / 2
        rows.append(
            {
                "round": str(number + 1),
                "pages": len(part),
                "chunks": len(texts),
                "ingest_chunks_s": len(texts) / ingest_seconds,
                "bare_encode_chunks_s": len(texts) / bare_seconds,
                "ratio": bare_seconds / ingest_seconds,
            }
        )
        click.echo(f"  round {number + 1} of {rounds}: {rows[-1]['ratio']:.3f}", err=True)
    middle = sorted(rows, key=lambda row: float(row["ratio"]))[len(rows) // 2]
    return [*rows, middle | {"round": "median"}]


async def _ingest(settings: Settings, sources: Sequence[AnySource]) -> tuple[float, list[str]]:
    """Seconds of the whole ingest into an empty home, and the distinct texts it embedded."""
    with tempfile.TemporaryDirectory() as home:
        apart = settings.model_copy(update={"home": Path(home), "database_url": ""})
        async with open_runtime(apart) as runtime:
            runtime.embedder().embed_query("warm up")
            began = time.perf_counter()
            await runtime.ingester.ingest(sources, "bench")
            seconds = time.perf_counter() - began
            async with runtime.database.read() as session:
                collection = await get_collection(session, "bench")
                rows = await index_rows(session, collection.id, collection.space_id)
    return seconds, list({searchable_text(row.context, row.text): None for row in rows})
