"""Vector search over many vectors, beside FAISS's flat index and graph in float32.

Vectors are those of real passages with noise added: many stand around each passage, so the nearest
ten are decided by small differences, as in large collections. Recall is against an exact search at
full width. `rss_mb` is what the process grows by, mapped files included; `open_s` is from files to
the first answer; `add_one_ms` includes a flush to the disk. BENCH_VECTORS sets how many
vectors there are, 1,000,000 unless it says otherwise.
"""

import gc
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import faiss
import numpy as np

from rostra.core import FloatMatrix, FloatVector, Settings
from rostra.retrieval import load_embedder
from rostra.retrieval.dense import DenseOptions, DenseReader, DenseWriter, FinderKind
from rostra.retrieval.lexical import Positions

_VECTORS = 1_000_000
# Judged sets lie beside the checkout where they are there at all.
_JUDGED = Path(__file__).parents[2] / "shared/data/retrieval"
_PASSAGES = 2_000
_QUERIES = 100
_ADDED = 50
# Standard deviation of the noise, over all dimensions together.
_NOISE = 0.5
_BLOCK = 65_536
_KINDS: tuple[FinderKind, ...] = ("two_stage", "ivf_sq", "int8", "binary")
_PEERS_LIMIT = 200_000

Search = Callable[[FloatVector], Positions]


async def run(settings: Settings, folders: Sequence[Path]) -> list[dict[str, Any]]:
    """One row an index."""
    count = int(os.environ.get("BENCH_VECTORS", str(_VECTORS)))
    passages = _passages(settings, folders)
    folder = Path(tempfile.mkdtemp(prefix="rostra-bench-"))
    try:
        random = np.random.default_rng(0)
        held, known = passages[:_QUERIES], passages[_QUERIES:]
        queries = _noisy(held, random)
        vectors = np.lib.format.open_memmap(
            folder / "vectors.npy", "w+", np.float32, (count, passages.shape[1])
        )
        for start in range(0, count, _BLOCK):
            stop = min(count, start + _BLOCK)
            chosen = random.integers(0, len(known), stop - start)
            vectors[start:stop] = _noisy(known[chosen], random)
        truth = _truth(vectors, queries)
        rows = [_ours(kind, folder, vectors, queries, truth) for kind in _KINDS]
        rows += _peers(vectors, queries, truth)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    fastest = next(row["p50_ms"] for row in rows if row["index"] == "faiss flat, float32")
    return [row | {"of flat": row["p50_ms"] / fastest} for row in rows]


def _passages(settings: Settings, folders: Sequence[Path]) -> FloatMatrix:
    """Vectors of real passages: of a judged set where there is one, of the pages otherwise."""
    texts: list[str] = []
    for corpus in sorted(_JUDGED.glob("*/corpus.jsonl")):
        with corpus.open(encoding="utf-8") as file:
            texts += [json.loads(line).get("text", "")[:500] for line in file]
    for folder in () if texts else folders:
        for page in sorted(folder.rglob("*.html"))[:400]:
            text = page.read_text(encoding="utf-8", errors="replace")
            texts += [text[at : at + 1000] for at in range(0, len(text), 1000)][:30]
    chosen = np.random.default_rng(1).permutation(len(texts))[:_PASSAGES]
    click.echo(f"  embedding {len(chosen)} passages", err=True)
    embedder = load_embedder(settings)
    vectors = embedder.embed_documents([texts[at] for at in chosen])
    return np.ascontiguousarray(vectors, np.float32)


def _noisy(rows: FloatMatrix, random: np.random.Generator) -> FloatMatrix:
    width = rows.shape[1]
    noise = random.standard_normal(rows.shape, dtype=np.float32) * np.float32(_NOISE / width**0.5)
    moved = rows + noise
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), np.float32)


def _truth(vectors: FloatMatrix, queries: FloatMatrix) -> list[set[int]]:
    best = np.full((len(queries), 10), -np.inf, np.float32)
    names = np.zeros((len(queries), 10), np.int64)
    for start in range(0, len(vectors), _BLOCK):
        scores = np.concatenate([best, queries @ vectors[start : start + _BLOCK].T], axis=1)
        places = np.arange(start, start + scores.shape[1] - 10)
        all_names = np.concatenate([names, np.broadcast_to(places, (len(queries), len(places)))], 1)
        top = np.argpartition(-scores, 10, axis=1)[:, :10]
        best = np.take_along_axis(scores, top, 1)
        names = np.take_along_axis(all_names, top, 1)
    return [set(row) for row in names.tolist()]


def _ours(
    kind: FinderKind,
    folder: Path,
    vectors: FloatMatrix,
    queries: FloatMatrix,
    truth: list[set[int]],
) -> dict[str, Any]:
    click.echo(f"  {kind}", err=True)
    here = folder / kind
    options = DenseOptions(kind)
    began = time.perf_counter()
    writer = DenseWriter(here, vectors.shape[1], options)
    for start in range(0, len(vectors), _BLOCK):
        writer.add(vectors[start : start + _BLOCK])
    writer.train()
    writer.flush("whole")
    built = time.perf_counter() - began
    del writer
    gc.collect()
    before = _resident()
    began = time.perf_counter()
    writer = DenseWriter(here, vectors.shape[1], options)
    writer.snapshot().search(queries[0], 10)
    opened = time.perf_counter() - began
    row = _measured(f"rostra {kind}", _search_of(writer.snapshot()), queries, truth)
    resident = _resident() - before
    added = []
    for at in range(_ADDED):
        began = time.perf_counter()
        writer.add(queries[at : at + 1])
        writer.flush(str(at))
        added.append((time.perf_counter() - began) * 1000)
    del writer
    shutil.rmtree(here)
    gc.collect()
    return row | {
        "add_one_ms": statistics.median(added),
        "build_s": built,
        "open_s": opened,
        "rss_mb": resident,
    }


def _search_of(reader: DenseReader) -> Search:
    def search(query: FloatVector) -> Positions:
        return reader.search(query, 10)[0]

    return search


def _peers(
    vectors: FloatMatrix, queries: FloatMatrix, truth: list[set[int]]
) -> list[dict[str, Any]]:
    rows = []
    makers = {"faiss flat, float32": lambda: faiss.IndexFlatIP(vectors.shape[1])}
    if len(vectors) <= _PEERS_LIMIT:  # a graph of a million takes most of an hour on two cores
        makers["faiss hnsw, float32"] = lambda: faiss.IndexHNSWFlat(
            vectors.shape[1], 32, faiss.METRIC_INNER_PRODUCT
        )
    for name, make in makers.items():
        click.echo(f"  {name}", err=True)
        before, began = _resident(), time.perf_counter()
        index = make()
        for start in range(0, len(vectors), _BLOCK):
            index.add(np.ascontiguousarray(vectors[start : start + _BLOCK]))
        built = time.perf_counter() - began
        if "hnsw" in name:
            index.hnsw.efSearch = 64

        def search(query: FloatVector, index: Any = index) -> Positions:
            found: Positions = index.search(query[None, :], 10)[1][0]
            return found

        row = _measured(name, search, queries, truth)
        none = {"add_one_ms": 0.0, "build_s": built, "open_s": 0.0}
        rows.append(row | none | {"rss_mb": _resident() - before})
        del index
        gc.collect()
    return rows


def _measured(
    name: str, search: Search, queries: FloatMatrix, truth: list[set[int]]
) -> dict[str, Any]:
    for query in queries[:10]:
        search(query)
    spent, found = [], []
    for query in queries:
        began = time.perf_counter()
        positions = search(query)
        spent.append((time.perf_counter() - began) * 1000)
        found.append(positions)
    hits = [len(set(one.tolist()) & best) for one, best in zip(found, truth, strict=True)]
    return {
        "index": name,
        "recall@10": sum(hits) / (10 * len(truth)),
        "p50_ms": statistics.median(spent),
        "p95_ms": statistics.quantiles(spent, n=20)[-1],
    }


def _resident() -> float:
    """Memory of this process, MB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0
