"""The lexical index on Zipf text: `python -m benchmarks.lexical [--chunks N] [--json]`.

Chunks are 120 words drawn by Zipf's law from a vocabulary of 200,000. Queries are five words drawn
as the chunks' are, and four words of the middle of the vocabulary. The peer is bm25s with its numba
backend over the same postings, in the arrays that its own `index` would make (which would take many
minutes of lists here); that its results are ours is checked. Scores are compared with rank-bm25's
on a sample of chunks. Both sides answer in turn, one query after another, on one thread.
"""

import asyncio
import json
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import bm25s
import click
import numpy as np
import numpy.typing as npt
from rank_bm25 import BM25Okapi

from rostra.core import Settings
from rostra.retrieval.lexical import Bm25, LexicalReader, LexicalWriter
from rostra.retrieval.lexical.scoring import gains, idf

CHUNKS = 1_000_000
_WORDS = 120
_VOCABULARY = 200_000
_BATCH = 20_000
_QUERIES = 100
_SAMPLE = 2_000
_ADDED = 20


async def run(settings: Settings, folders: Sequence[Path]) -> list[dict[str, Any]]:
    """As `measure`, over `CHUNKS` chunks."""
    return await asyncio.to_thread(measure, CHUNKS)


def measure(chunks: int) -> list[dict[str, Any]]:
    """One row a kind of query."""
    folder = Path(tempfile.mkdtemp(prefix="rostra-lexical-"))
    try:
        return _measure(folder, chunks)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(folder: Path, chunks: int) -> list[dict[str, Any]]:
    text = _Text(np.random.default_rng(0))
    index = LexicalWriter(folder, "bench-1")
    building = 0.0
    for batch in text.batches(chunks):
        began = time.perf_counter()
        index.add(batch)
        building += time.perf_counter() - began
        click.echo(f"  {len(index):,} chunks", err=True)
    began = time.perf_counter()
    index.flush()
    index.merge(everything=True)
    building += time.perf_counter() - began
    queries = {
        "5 words as in texts": [text.words(5) for _ in range(_QUERIES)],
        "4 rarer words": [text.middle_words(4) for _ in range(_QUERIES)],
    }
    del index
    began = time.perf_counter()
    before = _anonymous_mb()
    index = LexicalWriter(folder, "bench-1")
    index.snapshot().search(queries["4 rarer words"][0], 10)
    opening = time.perf_counter() - began
    reader = index.snapshot()
    for asked in queries.values():
        for query in asked:
            reader.search(query, 10)
    memory = _anonymous_mb() - before
    facts = {
        "build_s": building,
        "open_ms": opening * 1000,
        "add_one_ms": _adding(index, text),
        "memory_mb": memory,
        "disk_mb": sum(path.stat().st_size for path in folder.iterdir()) / 1e6,
    }
    peer = _peer(reader)
    facts["bm25s_mb"] = (
        sum(peer.scores[name].nbytes for name in ("data", "indices", "indptr")) / 1e6
    )
    worst = _difference(text)
    return [
        {"queries": name, "chunks": chunks}
        | _compared(reader, peer, asked)
        | facts
        | {"rank_bm25_difference": worst}
        for name, asked in queries.items()
    ]


class _Text:
    """Words by Zipf's law."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        shares = 1 / np.arange(1, _VOCABULARY + 1)
        self._upto = np.cumsum(shares) / shares.sum()
        self._spelled = np.array([f"w{at:x}" for at in range(_VOCABULARY)], object)

    def batches(self, chunks: int) -> Iterator[list[list[str]]]:
        for begin in range(0, chunks, _BATCH):
            drawn = self._random.random((min(_BATCH, chunks - begin), _WORDS))
            yield self._spelled[np.searchsorted(self._upto, drawn)].tolist()

    def words(self, size: int) -> list[str]:
        return list(self._spelled[np.searchsorted(self._upto, self._random.random(size))])

    def middle_words(self, size: int) -> list[str]:
        return list(self._spelled[self._random.integers(20, _VOCABULARY // 10, size)])


def _adding(index: LexicalWriter, text: _Text) -> float:
    """Median milliseconds of adding one chunk and searching with it."""
    spent = []
    for _ in range(_ADDED):
        (rows,) = text.batches(1)
        began = time.perf_counter()
        index.add(rows)
        index.snapshot().search(rows[0][:3], 10)
        spent.append((time.perf_counter() - began) * 1000)
    return statistics.median(spent)


def _peer(reader: LexicalReader) -> bm25s.BM25:
    """bm25s over the postings of a reader with one segment."""
    (part,) = reader.parts
    segment = part.segment
    frequencies = np.diff(segment.starts)
    model = Bm25()
    mean = reader.statistics.mean_length
    data = np.empty(len(segment.docs), np.float32)
    # By pieces: the whole would be several gigabytes.
    weights = idf(model, frequencies, reader.statistics)
    step = 1 << 22
    for begin in range(0, len(data), step):
        here = slice(begin, begin + step)
        terms = np.searchsorted(
            segment.starts, np.arange(begin, min(begin + step, len(data))), side="right"
        )
        gained = gains(model, 1.0, segment.tfs[here], segment.lengths[segment.docs[here]], mean)
        data[here] = weights[terms - 1] * gained
    peer = bm25s.BM25(method="atire", idf_method="robertson", backend="numba")
    peer.scores = {
        "data": data,
        "indices": segment.docs.copy(),
        "indptr": segment.starts.copy(),
        "num_docs": segment.rows,
    }
    peer.vocab_dict = {segment.term(at).decode(): at for at in range(segment.terms)}
    peer.unique_token_ids_set = set(peer.vocab_dict.values())
    peer.nonoccurrence_array = None
    return peer


def _compared(
    reader: LexicalReader, peer: bm25s.BM25, queries: Sequence[list[str]]
) -> dict[str, Any]:
    ours: list[float] = []
    theirs: list[float] = []
    known = [[term for term in query if term in peer.vocab_dict] for query in queries]
    for warm in (True, False):
        for query in filter(None, known):
            began = time.perf_counter()
            _, scores = reader.search(query, 10)
            middle = time.perf_counter()
            found = peer.retrieve([query], k=10, show_progress=False).scores[0]
            end = time.perf_counter()
            if not warm:
                ours.append((middle - began) * 1000)
                theirs.append((end - middle) * 1000)
            elif not np.allclose(scores, np.sort(found)[::-1][: len(scores)], rtol=1e-4):
                raise RuntimeError(f"bm25s finds other scores for {query}")
    mine, other = statistics.median(ours), statistics.median(theirs)
    return {"p50_ms": mine, "bm25s_p50_ms": other, "p50_ratio": mine / other}


def _difference(text: _Text) -> float:
    """The largest difference between our scores and rank-bm25's on a sample."""
    with tempfile.TemporaryDirectory() as folder:
        index = LexicalWriter(Path(folder), "bench-1")
        (rows,) = text.batches(_SAMPLE)
        index.add(rows)
        index.flush()
        reader = index.snapshot()
        oracle = BM25Okapi(rows)
        queries = [text.words(5) for _ in range(5)]
        return max(_largest(reader, oracle, query) for query in queries)


def _largest(reader: LexicalReader, oracle: BM25Okapi, query: list[str]) -> float:
    scores: npt.NDArray[np.float64] = np.nan_to_num(reader.scores(query))
    return float(np.abs(scores - oracle.get_scores(query)).max())


def _anonymous_mb() -> float:
    """Memory of this process that no file backs, in megabytes."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@click.command()
@click.option("--chunks", default=CHUNKS, show_default=True, type=click.IntRange(min=10_000))
@click.option("--json", "as_json", is_flag=True)
def main(chunks: int, as_json: bool) -> None:
    """Measure the lexical index over CHUNKS chunks."""
    rows = measure(chunks)
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        for name, value in row.items():
            click.echo(f"{name}: {value:,.3f}" if isinstance(value, float) else f"{name}: {value}")


if __name__ == "__main__":
    main()
