"""Search over a million chunks beside bm25s and FAISS: `rostra bench search`, as a table.

BENCH_CHUNKS sets how many there are, 1,000,000 unless it says otherwise.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from evals import measure_search
from rostra.core import Settings

_CHUNKS = 1_000_000


async def run(settings: Settings, folders: Sequence[Path]) -> list[dict[str, Any]]:
    """One row a figure, the peers' beside it."""
    chunks = int(os.environ.get("BENCH_CHUNKS", str(_CHUNKS)))
    said: set[str] = set()

    def tell(phase: str, done: int, total: int) -> None:
        if phase not in said:
            said.add(phase)
            click.echo(f"  {phase}", err=True)

    found = (await asyncio.to_thread(measure_search, chunks, tell=tell)).to_dict()
    peers = found["peers"]
    beside = {
        "lexical_p50_ms": ("bm25s", peers.get("bm25s", {}).get("lexical_p50_ms")),
        "dense_p50_ms": ("FAISS flat, float32", peers.get("faiss", {}).get("flat_p50_ms")),
        "rss_mb": ("both in one process", peers.get("rss_mb")),
        "rank_bm25_difference": ("rank-bm25: largest difference of scores", None),
    }
    figures = {name: value for name, value in found.items() if isinstance(value, float)}
    figures["rank_bm25_difference"] = found["lexical"]["rank_bm25_difference"]
    rows = []
    for name, value in figures.items():
        peer, theirs = beside.get(name, ("", None))
        shown = f"{value:,.3f}" if value >= 0.001 or not value else f"{value:.1e}"
        rows.append(
            {
                "measure": name,
                "chunks": chunks,
                "rostra": shown,
                "peer": peer,
                "its": "" if theirs is None else f"{theirs:,.3f}",
                "what": found["what"].get(name, ""),
            }
        )
    return rows
