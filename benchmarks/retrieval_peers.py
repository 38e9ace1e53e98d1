"""Real passages: from stored chunks with vectors to what can be searched, and search by vectors.

The pages are ingested once and stay, as for `search`. What is measured then has their chunks and
vectors given: Rostra commits rows and brings both indexes up to date and to the disk; txtai indexes
vectors and keeps text in SQLite; milvus-lite fills a collection in a file. Questions are headings
of the pages. All systems answer the same questions by the same vectors, in turns: whole searches
that give texts, and the index of vectors alone where it can be asked. Recall counts what is as near
as the tenth of an exact search. txtai and milvus-lite are in the dependency group `bench-peers`;
what is not installed is left out.
"""

import asyncio
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np

from evals.search_speed.opened import opened, space_of
from evals.search_speed.rows import write_rows
from rostra.core import FloatMatrix, FloatVector, Settings
from rostra.ingest import list_sources
from rostra.retrieval import SearchMode, SearchRequest, searchable_text
from rostra.runtime import open_runtime
from rostra.store import ensure_collection, get_collection, index_rows

_QUESTIONS = 200
_TURN = 20
_K = 10
_STEP = 5_000
_NEAR = 1e-5  # what two orders of summing may differ by
_COLLECTION = "bench"

Search = Callable[[str], Awaitable[list[int]]]


@dataclass(frozen=True)
class _Passages:
    """What is searched: texts, and vectors of the same places; questions with theirs."""

    texts: list[str]
    vectors: FloatMatrix
    questions: list[str]
    asked: FloatMatrix

    def vector_of(self) -> dict[str, FloatVector]:
        """By text, questions and passages."""
        return dict(zip([*self.texts, *self.questions], [*self.vectors, *self.asked], strict=True))


@dataclass
class _System:
    """A system that holds all passages.

    Attributes:
        build: seconds it took to hold them, and processor seconds, of all threads.
        search: whole, with texts.
        index: the index alone: milliseconds; None where it cannot be asked alone.
        spent, found, alone: of whole searches, and of the index alone; milliseconds and places.
    """

    name: str
    build: tuple[float, float]
    search: Search
    index: Callable[[str], Awaitable[float]] | None = None
    spent: list[float] = field(default_factory=list)
    found: list[list[int]] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)


async def run(settings: Settings, folders: Sequence[Path]) -> list[dict[str, Any]]:
    """One row a system."""
    passages = await _passages(settings, folders)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rostra-bench-")))
        systems = [await _rostra(stack, folder / "rostra", passages)]
        # Which `auto` does not take at this size.
        for kind in ("int8", "two_stage") if settings.dense_index == "auto" else ():
            systems.append(await _rostra(stack, folder / kind, passages, dense_index=kind))
        for module, make in (("txtai", _txtai), ("pymilvus", _milvus)):
            if importlib.util.find_spec(module) is None:
                click.echo(
                    f"  {module} is not installed: pip install --group bench-peers", err=True
                )
                continue
            systems.append(await asyncio.to_thread(make, stack, folder, passages))
        for turn in range(2):
            await _ask_all(systems, passages.questions, counted=turn > 0)
        return [_row(system, passages, systems[0]) for system in systems]


async def _passages(settings: Settings, folders: Sequence[Path]) -> _Passages:
    apart = settings.model_copy(update={"home": settings.home / "bench", "database_url": ""})
    async with open_runtime(apart) as runtime:
        click.echo("  ingesting; the first time takes minutes, later ones only look", err=True)
        await runtime.ingester.ingest(list_sources(folders, apart).items, _COLLECTION)
        async with runtime.database.read() as session:
            collection = await get_collection(session, _COLLECTION)
            rows = await index_rows(session, collection.id, collection.space_id)
        # By document, as they were ingested; equal texts have one vector, so one is enough.
        rows.sort(key=lambda row: (row.document_id, row.ordinal))
        distinct = {searchable_text(row.context, row.text): row.vector for row in rows}
        headings = sorted({row.context.rsplit(" > ", 1)[-1] for row in rows if row.context})
        questions = headings[:: max(1, len(headings) // _QUESTIONS)][:_QUESTIONS]
        embedder = await asyncio.to_thread(runtime.embedder)
        asked = [await asyncio.to_thread(embedder.embed_query, one) for one in questions]
    vectors = np.stack(list(distinct.values())).astype(np.float32)
    return _Passages(list(distinct), vectors, questions, np.stack(asked))


async def _rostra(
    stack: AsyncExitStack, home: Path, passages: _Passages, **changed: Any
) -> _System:
    name = ", ".join(["rostra", *changed.values()])
    click.echo(f"  {name}: rows and indexes", err=True)
    width, vector_of = passages.vectors.shape[1], passages.vector_of()
    parts = await stack.enter_async_context(opened(home, vector_of, width, **changed))
    async with parts.database.write() as session:
        collection = await ensure_collection(session, _COLLECTION, space_of(width))

    async def follow() -> None:
        async with parts.database.read() as session:
            now = await get_collection(session, _COLLECTION)
        await parts.indexes.current(now)

    began, cpu = time.perf_counter(), time.process_time()
    # The indexes follow what is committed while more is written, as in an ingest.
    following: asyncio.Task[None] | None = None
    for first in range(0, len(passages.texts), _STEP):
        stop = first + _STEP
        await write_rows(
            parts.database, collection, passages.texts[first:stop], passages.vectors[first:stop],
            first,
        )  # fmt: skip
        if following is not None:
            await following
        following = asyncio.create_task(follow())
    if following is not None:
        await following
    await parts.indexes.save(_COLLECTION)
    build = time.perf_counter() - began, time.process_time() - cpu
    async with parts.database.read() as session:
        held = await parts.indexes.current(await get_collection(session, _COLLECTION))
    places = {text: place for place, text in enumerate(passages.texts)}

    async def search(question: str) -> list[int]:
        request = SearchRequest(question, (_COLLECTION,), k=_K, mode=SearchMode.DENSE, rerank=False)
        hits = (await parts.searcher.search(request)).hits
        return [places[hit.text] for hit in hits]

    async def index(question: str) -> float:
        began = time.perf_counter()
        held.dense.search(vector_of[question], _K, None, held.table.tie)
        return (time.perf_counter() - began) * 1000

    return _System(name, build, search, index)


def _txtai(stack: AsyncExitStack, folder: Path, passages: _Passages) -> _System:
    click.echo("  txtai", err=True)
    from txtai import Embeddings

    vector_of = passages.vector_of()

    def transform(texts: Sequence[str]) -> FloatMatrix:
        return np.stack([vector_of[text] for text in texts])

    index = Embeddings(method="external", transform=transform, content=True)
    stack.callback(index.close)
    began, cpu = time.perf_counter(), time.process_time()
    index.index((place, text, None) for place, text in enumerate(passages.texts))
    index.save(str(folder / "txtai"))
    build = time.perf_counter() - began, time.process_time() - cpu

    async def search(question: str) -> list[int]:
        return [int(hit["id"]) for hit in index.search(question, _K)]

    async def alone(question: str) -> float:
        began = time.perf_counter()
        index.ann.search(vector_of[question][None, :], _K)
        return (time.perf_counter() - began) * 1000

    return _System("txtai", build, search, alone)


def _milvus(stack: AsyncExitStack, folder: Path, passages: _Passages) -> _System:
    click.echo("  milvus-lite", err=True)
    from pymilvus import DataType, MilvusClient

    client = MilvusClient(str(folder / "milvus.db"))
    stack.callback(client.close)
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=passages.vectors.shape[1])
    schema.add_field("text", DataType.VARCHAR, max_length=65_535)
    parameters = client.prepare_index_params()
    parameters.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
    client.create_collection(_COLLECTION, schema=schema, index_params=parameters)
    began, cpu = time.perf_counter(), time.process_time()
    for first in range(0, len(passages.texts), 1000):
        rows = [
            {"id": place, "vector": passages.vectors[place], "text": passages.texts[place][:16_000]}
            for place in range(first, min(first + 1000, len(passages.texts)))
        ]
        client.insert(_COLLECTION, rows)
    client.flush(_COLLECTION)
    build = time.perf_counter() - began, time.process_time() - cpu
    asked = dict(zip(passages.questions, passages.asked, strict=True))

    async def search(question: str) -> list[int]:
        found = client.search(_COLLECTION, data=[asked[question]], limit=_K, output_fields=["text"])
        return [int(hit["id"]) for hit in found[0]]

    return _System("milvus-lite", build, search)


async def _ask_all(systems: Sequence[_System], questions: Sequence[str], *, counted: bool) -> None:
    for first in range(0, len(questions), _TURN):
        for system in systems:
            asked = questions[first : first + _TURN]
            for question in asked:
                began = time.perf_counter()
                found = await system.search(question)
                if counted:
                    system.spent.append((time.perf_counter() - began) * 1000)
                    system.found.append(found)
            if system.index is None:
                continue
            for question in asked:
                spent = await system.index(question)
                if counted:
                    system.alone.append(spent)


def _row(system: _System, passages: _Passages, ours: _System) -> dict[str, Any]:
    right = 0
    for asked, found in zip(passages.asked, system.found, strict=True):
        scores = passages.vectors @ asked
        tenth = np.partition(scores, len(scores) - _K)[len(scores) - _K]
        right += int((scores[list(dict.fromkeys(found))] >= tenth - _NEAR).sum())
    middle = statistics.median(system.spent)
    return {
        "system": system.name,
        "passages": len(passages.texts),
        "build_s": system.build[0],
        "build_cpu_s": system.build[1],
        "chunks_s": len(passages.texts) / system.build[0],
        "p50_ms": middle,
        "p95_ms": statistics.quantiles(system.spent, n=20)[-1],
        "index alone, p50_ms": statistics.median(system.alone) if system.alone else "-",
        "recall@10": right / (_K * len(passages.asked)),
        "p50 of rostra's": middle / statistics.median(ours.spent),
    }
