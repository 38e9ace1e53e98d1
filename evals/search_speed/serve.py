"""Searches a benchmark's collection, one query after another. Runs in its own process."""

import statistics
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np

from evals.search_speed.child import BenchmarkFailed, Handler, Tell, answer_all, resident
from evals.search_speed.opened import Opened, opened
from evals.search_speed.plan import COLLECTION, Places, Plan
from evals.search_speed.rows import write_one
from evals.search_speed.texts import ZipfTexts
from rostra.core import FloatMatrix
from rostra.retrieval import Searcher, SearchMode, SearchRequest, SearchResult
from rostra.store import delete_document, get_collection

_K = 10


def main() -> None:
    """Of the process."""
    answer_all(lambda folder, tell: _Server(folder, tell).handlers)


class _Server:
    def __init__(self, folder: Path, tell: Tell) -> None:
        self._places = Places(folder)
        plan = self._places.read_plan()
        if plan is None:
            raise BenchmarkFailed(f"nothing was built in {folder}")
        self._plan: Plan = plan
        self._vectors: FloatMatrix = np.load(self._places.questions)
        self._tell = tell
        self._stack = AsyncExitStack()
        self._parts: Opened | None = None

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {
            "open": self.open,
            "lexical": self.lexical,
            "dense": self.dense,
            "hybrid": self.hybrid,
            "memory": self.memory,
            "add": self.add,
            "close": self.close,
        }

    async def open(self) -> dict[str, Any]:
        """From the folder to the first result."""
        began = time.perf_counter()
        known = dict(zip(self._plan.texts, self._vectors, strict=True))
        entered = opened(self._places.home, known, self._plan.dimensions)
        self._parts = await self._stack.enter_async_context(entered)
        await self._search(self._opened.searcher, 0, SearchMode.HYBRID)
        return {"cold_start_s": time.perf_counter() - began}

    async def lexical(self, first: int, stop: int) -> dict[str, Any]:
        """The lexical index's top ten, and whole searches."""
        index, whole, scores = [], [], []
        for at in range(first, stop):
            found = await self._search(self._opened.best, at, SearchMode.LEXICAL)
            index.append(found.timings_ms["lexical"])
            whole.append(found.timings_ms["total"])
            scores.append([hit.scores.lexical for hit in found.hits])
        return {"index_ms": index, "whole_ms": whole, "scores": scores}

    async def dense(self, first: int, stop: int) -> dict[str, Any]:
        """Whole searches by vectors, the index's share, and how many of the nearest they found."""
        index, whole, right = [], [], 0
        for at in range(first, stop):
            found = await self._search(self._opened.searcher, at, SearchMode.DENSE)
            index.append(found.timings_ms["dense"])
            whole.append(found.timings_ms["total"] - found.timings_ms["embed"])
            nearest = set(self._plan.nearest[at])
            right += sum((hit.uri, hit.start) in nearest for hit in found.hits)
        return {"index_ms": index, "whole_ms": whole, "right": right}

    async def hybrid(self, first: int, stop: int) -> dict[str, Any]:
        """Whole searches by both."""
        whole = []
        for at in range(first, stop):
            found = await self._search(self._opened.searcher, at, SearchMode.HYBRID)
            whole.append(found.timings_ms["total"] - found.timings_ms["embed"])
        return {"whole_ms": whole}

    async def memory(self) -> dict[str, Any]:
        """Of this process."""
        return dict(resident())

    async def add(self, count: int) -> dict[str, Any]:
        """Single documents, from the call to their being searchable; they are taken out again."""
        texts = ZipfTexts(seed=1)
        parts = self._opened
        name = (COLLECTION,)
        commits, follows, added = [], [], []
        for at in range(count):
            (text,) = texts.spell(texts.draw(1))
            vector = self._vectors[at % len(self._vectors)][None, :]
            async with parts.database.read() as session:
                collection = await get_collection(session, COLLECTION)
            began = time.perf_counter()
            uri = f"added/{at}"
            added.append(await write_one(parts.database, collection, uri, text, vector))
            committed = time.perf_counter()
            async with parts.database.read() as session:
                collection = await get_collection(session, COLLECTION)
            await parts.indexes.current(collection)
            followed = time.perf_counter()
            commits.append((committed - began) * 1000)
            follows.append((followed - committed) * 1000)
            request = SearchRequest(text, name, k=1, mode=SearchMode.LEXICAL, rerank=False)
            hits = (await parts.searcher.search(request)).hits
            if [hit.uri for hit in hits] != [uri]:
                raise BenchmarkFailed(f"{uri} was added and is not found")
            self._tell("add single documents", at + 1, count)
        for document in added:
            async with parts.database.write() as session:
                await delete_document(session, document)
        whole = [one + other for one, other in zip(commits, follows, strict=True)]
        return {
            "add_one_ms": statistics.median(whole),
            "commit_ms": statistics.median(commits),
            "follow_ms": statistics.median(follows),
        }

    async def close(self) -> dict[str, Any]:
        """Gives files back."""
        await self._stack.aclose()
        return {}

    @property
    def _opened(self) -> Opened:
        if self._parts is None:
            raise BenchmarkFailed("searched before it was opened")
        return self._parts

    async def _search(self, searcher: Searcher, at: int, mode: SearchMode) -> SearchResult:
        request = SearchRequest(self._plan.texts[at], (COLLECTION,), k=_K, mode=mode, rerank=False)
        return await searcher.search(request)
