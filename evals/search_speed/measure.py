"""Search over many chunks through the product's own searcher, beside bm25s and FAISS.

What always holds: rows are committed in SQLite and searched through `Searcher`; only embedding is
left out, and reranking. What serves is a fresh process; so are the peers, so that memory is theirs
alone. Both sides answer the same questions in turns, one after another, after a round that is not
counted.
"""

import importlib.util
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.search_speed.child import Child, Tell
from evals.search_speed.plan import Places, Plan
from rostra.core import InvalidRequest

SEARCH_PEERS = ("bm25s", "faiss")
_ROUNDS = 2
_TURN = 20  # questions in a row, before the other side has its turn
_ADDED = 20
_MARK = "bench.json"

_WHAT = {
    "lexical_p50_ms": "top 10 of the lexical index alone, as bm25s gives them",
    "dense_p50_ms": "a whole search by vectors, hits read from the database; embedding excluded",
    "hybrid_p50_ms": "the same by vectors and terms, fused",
    "add_one_ms": "one document of one chunk with its vector: commit, then both indexes follow",
    "cold_start_s": "a fresh process: opening database and saved index, first hybrid result; "
    "imports excluded, the system's file cache is warm",
    "rss_mb": "resident memory of the serving process after all searches, what it maps included",
    "recall@10": "of dense search against exact search at full width",
    "build": "rows_s: chunks with vectors to committed rows, while indexes follow those before; "
    "index_s: until the indexes have all and are on the disk",
}


@dataclass(frozen=True, slots=True)
class SearchSpeed:
    """All figures, as `--json` prints them."""

    figures: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return self.figures

    def rows(self) -> list[tuple[str, str]]:
        """A line for each figure."""
        return list(_lines("", self.figures))


def measure_search(
    chunks: int,
    *,
    dimensions: int = 384,
    questions: int = 200,
    compare: Sequence[str] = SEARCH_PEERS,
    keep: Path | None = None,
    tell: Tell = lambda *_: None,
) -> SearchSpeed:
    """Runs the benchmark.

    Args:
        chunks: how many are searched.
        dimensions: of their vectors.
        compare: peers among `SEARCH_PEERS`; those that are not installed are named as skipped.
        keep: folder that the rows and indexes stay in; those of an earlier run with the same
            numbers are used again.
        tell: told how far it is.

    Raises:
        InvalidRequest: an unknown peer, or `keep` has something else in it.
        BenchmarkFailed: a part of it ended with an error.
    """
    unknown = set(compare) - set(SEARCH_PEERS)
    if unknown:
        raise InvalidRequest(f"{', '.join(sorted(unknown))}: peers are {', '.join(SEARCH_PEERS)}")
    there = [name for name in SEARCH_PEERS if name in compare and importlib.util.find_spec(name)]
    with _folder(keep) as folder:
        built = Places(folder).read_plan()
        peers = Places(folder).postings.is_file()
        if (
            built is None
            or not _fits(built, chunks, dimensions, questions)
            or (there and not peers)
        ):
            with Child("evals.search_speed.build", folder) as builder:
                builder.ask(
                    "build",
                    tell,
                    chunks=chunks,
                    dimensions=dimensions,
                    questions=questions,
                    peers=bool(there),
                )
        plan = Places(folder).read_plan()
        if plan is None:
            raise InvalidRequest(f"{folder} cannot be read")
        found = _searched(folder, plan, there, tell)
    skipped = {name: "not installed" for name in compare if name not in there}
    if skipped:
        found["peers"]["skipped"] = skipped
    return SearchSpeed(found)


def _fits(plan: Plan, chunks: int, dimensions: int, questions: int) -> bool:
    return (plan.chunks, plan.dimensions, len(plan.texts)) == (chunks, dimensions, questions)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        if keep.is_dir() and any(keep.iterdir()) and not (keep / _MARK).is_file():
            raise InvalidRequest(
                f"{keep} has something else in it", hint="Name a new folder, or an empty one."
            )
        yield keep
        return
    made = Path(tempfile.mkdtemp(prefix="rostra-bench-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _searched(folder: Path, plan: Plan, peers: Sequence[str], tell: Tell) -> dict[str, Any]:
    count = len(plan.texts)
    sides: dict[str, dict[str, list[Any]]] = {}
    right = 0
    with ExitStack() as stack:
        tell("open the index", 0, 1)
        began = time.perf_counter()
        server = stack.enter_context(Child("evals.search_speed.serve", folder))
        opened = server.ask("open", tell) | {"process_s": time.perf_counter() - began}
        other = stack.enter_context(Child("evals.search_speed.peers", folder))
        for peer in peers:
            other.ask(f"load_{peer}", tell)
        jobs = [(server, name) for name in ("lexical", "dense", "hybrid")]
        jobs += [(other, name) for name in peers]
        total = (_ROUNDS + 1) * count
        for turn in range(_ROUNDS + 1):
            for first in range(0, count, _TURN):
                stop = min(count, first + _TURN)
                for child, name in jobs:
                    answer = child.ask(name, tell, first=first, stop=stop)
                    if turn == 0:
                        continue  # warms caches, loads kernels
                    right += answer.pop("right", 0)
                    for key, values in answer.items():
                        sides.setdefault(name, {}).setdefault(key, []).extend(values)
                tell("search", turn * count + stop, total)
        memory = server.ask("memory", tell)
        theirs = other.ask("memory", tell) if peers else {}
        added = server.ask("add", tell, count=_ADDED)
        server.ask("close", tell)
    return _figures(plan, sides, right, opened, memory, theirs, added)


def _figures(
    plan: Plan,
    sides: dict[str, dict[str, list[Any]]],
    right: int,
    opened: dict[str, Any],
    memory: dict[str, Any],
    theirs: dict[str, Any],
    added: dict[str, Any],
) -> dict[str, Any]:
    lexical, dense = sides["lexical"], sides["dense"]
    peers: dict[str, Any] = {}
    if "bm25s" in sides:
        peers["bm25s"] = {
            "lexical_p50_ms": _median(sides["bm25s"]["index_ms"]),
            "lexical_ratio": _ratio(lexical["index_ms"], sides["bm25s"]["index_ms"]),
            "words as in texts_p50_ms": _median(sides["bm25s"]["index_ms"][::2]),
            "rarer words_p50_ms": _median(sides["bm25s"]["index_ms"][1::2]),
            "largest_relative_difference": _difference(lexical["scores"], sides["bm25s"]["scores"]),
        }
    if "faiss" in sides:
        peers["faiss"] = {"flat_p50_ms": _median(sides["faiss"]["index_ms"])}
    if theirs:
        peers |= theirs
    return {
        "lexical_p50_ms": _median(lexical["index_ms"]),
        "dense_p50_ms": _median(dense["whole_ms"]),
        "hybrid_p50_ms": _median(sides["hybrid"]["whole_ms"]),
        "add_one_ms": round(added["add_one_ms"], 3),
        "cold_start_s": round(opened["cold_start_s"], 3),
        "rss_mb": memory["rss_mb"],
        "recall@10": round(right / (10 * _ROUNDS * len(plan.texts)), 4),
        "peers": peers,
        "chunks": plan.chunks,
        "dimensions": plan.dimensions,
        "queries": len(plan.texts),
        "lexical": {
            "words as in texts_p50_ms": _median(lexical["index_ms"][::2]),
            "rarer words_p50_ms": _median(lexical["index_ms"][1::2]),
            "whole_search_p50_ms": _median(lexical["whole_ms"]),
            "p95_ms": _p95(lexical["index_ms"]),
            "rank_bm25_difference": plan.facts["rank_bm25_difference"],
            "rank_bm25_texts": int(plan.facts["rank_bm25_texts"]),
        },
        "dense": {"index_p50_ms": _median(dense["index_ms"]), "p95_ms": _p95(dense["whole_ms"])},
        "hybrid": {"p95_ms": _p95(sides["hybrid"]["whole_ms"])},
        "start": {"whole_process_s": round(opened["process_s"], 3)},
        "add": {name: round(added[name], 3) for name in ("commit_ms", "follow_ms")},
        "memory": memory,
        "build": {name: round(plan.facts[name], 1) for name in ("rows_s", "index_s", "chunks_s")},
        "durability": "SQLite, write-ahead log, synchronous=FULL: a commit is on the disk; "
        "indexes follow rows and are rebuilt from them",
        "data": "texts of 120 words by Zipf's law; vectors of real passages with noise of "
        "standard deviation 0.5 added, normalised",
        "excluded": ["embedding", "reranking"],
        "what": _WHAT,
        "device": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def _lines(before: str, figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in figures.items():
        if isinstance(value, Mapping):
            if name != "what":
                yield from _lines(f"{before}{name}: ", value)
        elif isinstance(value, float):
            yield before + name, f"{value:,.3f}" if abs(value) >= 0.001 else f"{value:.1e}"
        else:
            yield before + name, ", ".join(value) if isinstance(value, list) else str(value)


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 3)


def _p95(values: Sequence[float]) -> float:
    return round(statistics.quantiles(values, n=20)[-1], 3)


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return round(statistics.median(ours) / statistics.median(theirs), 3)


def _difference(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> float:
    """The largest between scores at one place, as a share of them; theirs are float32."""
    return max(
        (
            abs(one - other) / max(abs(one), 1e-9)
            for mine, peers in zip(ours, theirs, strict=True)
            for one, other in zip(mine, sorted(peers, reverse=True), strict=False)
        ),
        default=0.0,
    )
