"""Exact search over truncated vectors on a GPU, and embedding there.

The search is that of `ROSTRA_DENSE_INDEX=gpu_flat`: a million vectors of 128 dimensions as float16,
of which every query reads all, so its limit is their bytes over the device's bandwidth, which is
that of a copy of the same vectors in the same run. FAISS's flat index on the same device is the
peer where FAISS has GPUs. Without CUDA both run on the CPU, over fewer rows.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import faiss
import numpy as np
import torch

from evals.search_speed.texts import ZipfTexts
from rostra.core import FloatMatrix, Settings
from rostra.retrieval import load_embedder
from rostra.retrieval.dense.finder import Allowed
from rostra.retrieval.dense.gpu import TorchFinder

DIMENSIONS = 128
_WIDTH = 384
_ROWS = {"cuda": 1_000_000, "cpu": 50_000}
_TEXTS = {"cuda": 20_000, "cpu": 200}
_STEP = 50_000
_QUERIES = 200
_SHORTLIST = 100
_COPIES = 20


async def run(settings: Settings, folders: Sequence[Path]) -> list[dict[str, Any]]:
    """One row for each thing that is measured."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    named = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    count = _ROWS[device]
    asked = _vectors(_QUERIES, seed=1)
    click.echo(f"  {count:,} vectors on {named}", err=True)
    finder = TorchFinder.train(_vectors(20_000, seed=2), DIMENSIONS, device)
    for start in range(0, count, _STEP):
        rows = _vectors(min(_STEP, count - start), seed=3 + start)
        finder.add(rows, finder.encode(rows))
    everything = Allowed.of(count, None, None)
    spent = _times(lambda at: finder.find(asked[at], _SHORTLIST, everything))
    size = count * DIMENSIONS * (2 if device == "cuda" else 4)
    limit = size / _bandwidth(size, device) * 1000
    found = [_row("gpu_flat", named, count, spent, limit)]
    if device == "cpu" or hasattr(faiss, "StandardGpuResources"):
        found.append(_row("FAISS flat", named, count, _peer(count, asked, device), limit))
    return [*found, _embedding(settings, device, named)]


def _vectors(count: int, seed: int) -> FloatMatrix:
    """Unit vectors float32 [count, 384]."""
    drawn = np.random.default_rng(seed).standard_normal((count, _WIDTH), np.float32)
    unit: FloatMatrix = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit


def _times(ask: Callable[[int], object]) -> list[float]:
    """Milliseconds of each query, one after the other; the first ten warm up."""
    for at in range(10):
        ask(at)
    spent = []
    for at in range(_QUERIES):
        began = time.perf_counter()
        ask(at)
        spent.append((time.perf_counter() - began) * 1000)
    return spent


def _bandwidth(size: int, device: str) -> float:
    """Bytes that the device reads a second, by copies: each byte is read once and written once."""
    there = torch.empty(size, dtype=torch.uint8, device=device)
    into = torch.empty_like(there)
    into.copy_(there)
    _wait(device)
    began = time.perf_counter()
    for _ in range(_COPIES):
        into.copy_(there)
    _wait(device)
    return 2 * _COPIES * size / (time.perf_counter() - began)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _peer(count: int, asked: FloatMatrix, device: str) -> list[float]:
    index: Any
    if device == "cuda":
        options = faiss.GpuIndexFlatConfig()
        options.useFloat16 = True
        index = faiss.GpuIndexFlatIP(faiss.StandardGpuResources(), DIMENSIONS, options)
    else:
        index = faiss.IndexFlatIP(DIMENSIONS)
    for start in range(0, count, _STEP):
        rows = _vectors(min(_STEP, count - start), seed=3 + start)
        index.add(np.ascontiguousarray(rows[:, :DIMENSIONS]))
    short = np.ascontiguousarray(asked[:, :DIMENSIONS])
    return _times(lambda at: index.search(short[at : at + 1], _SHORTLIST))


def _embedding(settings: Settings, device: str, named: str) -> dict[str, Any]:
    embedder = load_embedder(settings.model_copy(update={"device": device}))
    drawn = ZipfTexts()
    texts = drawn.spell(drawn.draw(_TEXTS[device]))
    embedder.embed_documents(texts[:100])
    began = time.perf_counter()
    embedder.embed_documents(texts)
    seconds = time.perf_counter() - began
    tokens = sum(len(embedder.tokenizer.offsets(text)) for text in texts[:100]) / 100
    return {
        "what": f"embedding, {tokens:.0f} tokens a text",
        "device": named,
        "rows": len(texts),
        "p50_ms": "-",
        "limit_ms": "-",
        "texts/s": round(len(texts) / seconds),
        "tokens/s": round(tokens * len(texts) / seconds),
    }


def _row(what: str, named: str, count: int, spent: list[float], limit: float) -> dict[str, Any]:
    return {
        "what": f"{what}, {DIMENSIONS} d",
        "device": named,
        "rows": count,
        "p50_ms": round(statistics.median(spent), 3),
        "limit_ms": round(limit, 3),
        "texts/s": "-",
        "tokens/s": "-",
    }
