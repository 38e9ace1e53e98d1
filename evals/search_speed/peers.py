"""bm25s and FAISS's flat index over a benchmark's tokens and vectors. Runs in its own process."""

import importlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evals.search_speed.child import BenchmarkFailed, Handler, Tell, answer_all, resident
from evals.search_speed.plan import Places
from evals.search_speed.texts import word_numbers

_K = 10


def main() -> None:
    """Of the process."""
    answer_all(lambda folder, tell: _Peers(folder, tell).handlers)


class _Peers:
    def __init__(self, folder: Path, tell: Tell) -> None:
        self._places = Places(folder)
        plan = self._places.read_plan()
        if plan is None:
            raise BenchmarkFailed(f"nothing was built in {folder}")
        self._plan = plan
        self._tell = tell
        self._bm25s: Any = None
        self._flat: Any = None
        self._questions = np.load(self._places.questions)

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {
            "load_bm25s": self.load_bm25s,
            "load_faiss": self.load_faiss,
            "bm25s": self.bm25s,
            "faiss": self.faiss,
            "memory": self.memory,
        }

    async def load_bm25s(self) -> dict[str, Any]:
        """Its own arrays, as `BM25.index` makes them, in memory."""
        bm25s: Any = importlib.import_module("bm25s")  # it ships no types, and may not be there
        self._tell("load bm25s", 0, 1)
        index = bm25s.BM25(method="atire", backend="numba")
        with np.load(self._places.postings) as saved:
            index.scores = {
                "data": saved["data"],
                "indices": saved["docs"],
                "indptr": saved["starts"],
                "num_docs": self._plan.chunks,
            }
        index.vocab_dict = word_numbers()
        index.unique_token_ids_set = set(index.vocab_dict.values())
        index.nonoccurrence_array = None
        self._bm25s = index
        return {}

    async def load_faiss(self) -> dict[str, Any]:
        """A flat index of float32, inner products."""
        import faiss

        self._tell("load FAISS", 0, 1)
        vectors = np.load(self._places.vectors, mmap_mode="r")
        self._flat = faiss.IndexFlatIP(vectors.shape[1])
        self._flat.add(vectors)  # in one piece, so that it takes no more memory than it needs
        return {}

    async def bm25s(self, first: int, stop: int) -> dict[str, Any]:
        """Top ten of the questions' tokens."""
        spent, scores = [], []
        for text in self._plan.texts[first:stop]:
            tokens = [text.split()]
            began = time.perf_counter()
            found = self._bm25s.retrieve(tokens, k=_K, show_progress=False)
            spent.append((time.perf_counter() - began) * 1000)
            scores.append(found.scores[0].tolist())
        return {"index_ms": spent, "scores": scores}

    async def faiss(self, first: int, stop: int) -> dict[str, Any]:
        """Top ten of the questions' vectors."""
        spent = []
        for question in self._questions[first:stop]:
            began = time.perf_counter()
            self._flat.search(question[None, :], _K)
            spent.append((time.perf_counter() - began) * 1000)
        return {"index_ms": spent}

    async def memory(self) -> dict[str, Any]:
        """Of this process, without what it maps from files for a moment."""
        return dict(resident())
