"""Writes a benchmark's rows, has them indexed, and says what each took. Runs in its own process."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rank_bm25 import BM25Okapi

from evals.search_speed.child import Handler, Tell, answer_all
from evals.search_speed.opened import Opened, opened, settings_at, space_of
from evals.search_speed.plan import COLLECTION, FORMAT, SAMPLE, SAMPLE_TEXTS, Places, Plan
from evals.search_speed.rows import PER_DOCUMENT, uri_of, write_rows
from evals.search_speed.scores import Postings
from evals.search_speed.texts import VOCABULARY, WORDS, ZipfTexts
from evals.search_speed.vectors import MOST_PASSAGES, Nearest, NoisyVectors, passage_vectors
from rostra.core import FloatMatrix
from rostra.retrieval import SearchMode, SearchRequest, truncate
from rostra.store import Collection, ensure_collection, get_collection

# Chunks of one step, and of what is indexed at once; a multiple of `PER_DOCUMENT`.
_STEP = 20_000
_SAMPLE_QUESTIONS = 10
# The text of every chunk ends where the next begins, this many code points later.
_BETWEEN = 2


def main() -> None:
    """Of the process."""
    answer_all(_handlers)


def _handlers(folder: Path, tell: Tell) -> Mapping[str, Handler]:
    async def build(chunks: int, dimensions: int, questions: int, peers: bool) -> dict[str, Any]:
        places = Places(folder)
        folder.mkdir(parents=True, exist_ok=True)
        places.clear()
        places.plan.touch()  # this folder is a benchmark's, whatever ends it early
        return await _build(places, chunks, dimensions, questions, peers, tell)

    return {"build": build}


async def _build(
    places: Places, chunks: int, dimensions: int, questions: int, peers: bool, tell: Tell
) -> dict[str, Any]:
    passages = _passages(places, min(MOST_PASSAGES, max(50, chunks // 10)), tell)
    if passages.shape[1] < dimensions:
        raise ValueError(f"the model's vectors have {passages.shape[1]} dimensions")
    vectors, texts = NoisyVectors(truncate(passages, dimensions), questions), ZipfTexts()
    asked, words = vectors.questions(questions), texts.questions(questions)
    nearest, postings = Nearest(asked), Postings(VOCABULARY)
    spans: list[list[int]] = []
    took = {"rows_s": 0.0, "index_s": 0.0}
    sample = min(SAMPLE_TEXTS, chunks)
    kept = (
        np.lib.format.open_memmap(places.vectors, "w+", np.float32, (chunks, dimensions))
        if peers
        else None
    )
    async with opened(places.home, {}, dimensions) as parts:
        collection = await _collection(parts, COLLECTION, dimensions)
        for first in range(0, chunks, _STEP):
            stop = min(chunks, first + _STEP)
            numbers, rows = texts.draw(stop - first), vectors.draw(stop - first)
            nearest.show(rows, first)
            spelled = texts.spell(numbers)
            for at in range(0, len(spelled), PER_DOCUMENT):
                spans.append(_starts(spelled[at : at + PER_DOCUMENT]))
            if kept is not None:
                kept[first:stop] = rows
                postings.add(numbers)
            began = time.perf_counter()
            # The indexes follow what is committed while more is written.
            following = asyncio.create_task(_follow(parts)) if first else None
            await write_rows(parts.database, collection, spelled, rows, first)
            written = time.perf_counter()
            if following is not None:
                await following
            took["rows_s"] += written - began
            took["index_s"] += time.perf_counter() - written
            tell("write and index", stop, chunks)
        tell("save the index", 0, 1)
        began = time.perf_counter()
        await _follow(parts)
        await parts.indexes.save(COLLECTION)
        took["index_s"] += time.perf_counter() - began
        difference = await _difference(parts, texts, vectors, dimensions, sample, tell)
    if kept is not None:
        tell("write what peers read", 0, 1)
        kept.flush()
        data, docs, starts = postings.scored(WORDS)
        np.savez(places.postings, data=data, docs=docs, starts=starts)
    np.save(places.questions, asked)
    facts = took | {
        "chunks_s": chunks / (took["rows_s"] + took["index_s"]),
        "rank_bm25_difference": difference,
        "rank_bm25_texts": sample,
    }
    where = [
        [(uri_of(at), spans[at // PER_DOCUMENT][at % PER_DOCUMENT]) for at in row]
        for row in nearest.found.tolist()
    ]
    plan = Plan(FORMAT, chunks, dimensions, words, where, facts)
    places.plan.write_bytes(msgspec.json.encode(plan))
    return dict(facts)


def _passages(places: Places, wanted: int, tell: Tell) -> FloatMatrix:
    """Passages' vectors, those of an earlier run in this folder where they are enough."""
    if places.passages.is_file():
        kept: FloatMatrix = np.load(places.passages)
        if len(kept) >= wanted:
            return kept
    made = passage_vectors(settings_at(places.home), wanted, tell)
    np.save(places.passages, made)
    return made


async def _collection(parts: Opened, name: str, dimensions: int) -> Collection:
    async with parts.database.write() as session:
        return await ensure_collection(session, name, space_of(dimensions))


async def _follow(parts: Opened) -> None:
    async with parts.database.read() as session:
        collection = await get_collection(session, COLLECTION)
    await parts.indexes.current(collection)


async def _difference(
    parts: Opened,
    texts: ZipfTexts,
    vectors: NoisyVectors,
    dimensions: int,
    count: int,
    tell: Tell,
) -> float:
    """The largest difference between the scores of hits and rank-bm25's, over other texts."""
    tell("compare with rank-bm25", 0, 1)
    collection = await _collection(parts, SAMPLE, dimensions)
    spelled = texts.spell(texts.draw(count))
    await write_rows(parts.database, collection, spelled, vectors.draw(count), 0)
    oracle = BM25Okapi([text.split() for text in spelled])
    place = {text: at for at, text in enumerate(spelled)}
    largest = 0.0
    for question in texts.questions(_SAMPLE_QUESTIONS):
        scores = oracle.get_scores(question.split())
        request = SearchRequest(question, (SAMPLE,), k=100, mode=SearchMode.LEXICAL, rerank=False)
        for hit in (await parts.searcher.search(request)).hits:
            lexical = hit.scores.lexical or 0.0
            largest = max(largest, abs(lexical - float(scores[place[hit.text]])))
    return largest


def _starts(texts: list[str]) -> list[int]:
    """Where the chunks of a document begin."""
    sizes = [len(text) + _BETWEEN for text in texts]
    return [0, *np.cumsum(sizes[:-1]).tolist()]
