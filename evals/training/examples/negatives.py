"""Passages that look like answers and are none: what our own search finds beside the right one.

What always holds: a negative does not have the answering sentence in it, and is held out exactly if
the answering passage is.
"""

import asyncio
import random
from collections.abc import Callable, Sequence

import numpy as np

from evals.training.pages import Pages, Passage
from rostra.core import Embedder, FloatMatrix
from rostra.retrieval import (
    SearchMode,
    SearchRequest,
    TextIndex,
    embedder_within,
    searchable_text,
)
from rostra.runtime import Runtime

_AT_ONCE = 8  # searches
_BLOCK = 512  # questions whose vectors are compared at once
_RANK = 60  # of reciprocal rank fusion, as published

Found = list[list[int]]


async def search_pages(
    runtime: Runtime,
    pages: Pages,
    questions: Sequence[str],
    depth: int,
    tell: Callable[[str], None] = lambda _: None,
) -> Found:
    """For each question the places of passages that BM25 and their vectors find, best first.

    Args:
        depth: passages of either side.
    """
    places = {chunk: place for place, chunk in enumerate(pages.chunks)}
    lexical: Found = []
    for at in range(0, len(questions), _AT_ONCE):
        found = await asyncio.gather(
            *(
                runtime.searcher.search(
                    SearchRequest(
                        question,
                        (pages.collection,),
                        k=depth,
                        mode=SearchMode.LEXICAL,
                        rerank=False,
                    )
                )
                for question in questions[at : at + _AT_ONCE]
            )
        )
        lexical += [
            [places[hit.chunk_id] for hit in one.hits if hit.chunk_id in places] for one in found
        ]
        if at % (_AT_ONCE * 1000) == 0:
            tell(f"searched for {at} of {len(questions)} questions")
    embedder = embedder_within(await asyncio.to_thread(runtime.embedder), pages.space)
    dense = await asyncio.to_thread(_nearest, embedder, pages.vectors, questions, depth)
    return [_fused(one, other) for one, other in zip(lexical, dense, strict=True)]


def search_texts(
    embedder: Embedder, passages: Sequence[Passage], questions: Sequence[str], depth: int
) -> Found:
    """The same over passages that are in no collection. Blocks."""
    texts = [searchable_text(one.context, one.text) for one in passages]
    index = TextIndex(texts, embedder.embed_documents(texts))
    vectors = embedder.embed_documents(list(questions))
    return [
        index.best(question, 2 * depth, vector)
        for question, vector in zip(questions, vectors, strict=True)
    ]


def choose_negatives(
    passages: Sequence[Passage],
    place: int,
    gold: Sequence[int],
    found: Sequence[int],
    count: int,
    rng: random.Random,
) -> list[int]:
    """Negatives for a question: a neighbour on the page first, then what was found, best first.

    Args:
        place: of the passage that answers.
        gold: sentences of it that answer.
        found: places of passages.
    """
    own = passages[place]
    said = [own.sentence(number) for number in gold]
    beside = [
        at
        for at in (place - 2, place - 1, place + 1, place + 2)
        if 0 <= at < len(passages) and passages[at].page == own.page
    ]
    first = [rng.choice(beside)] if beside else []
    chosen: list[int] = []
    for at in [*first, *found]:
        other = passages[at]
        if at == place or at in chosen or other.is_held_out != own.is_held_out:
            continue
        if other.text == own.text or any(sentence in other.text for sentence in said):
            continue
        chosen.append(at)
        if len(chosen) == count:
            break
    return chosen


def _nearest(
    embedder: Embedder, vectors: FloatMatrix, questions: Sequence[str], depth: int
) -> Found:
    asked = embedder.embed_documents(list(questions))
    depth = min(depth, len(vectors))
    found: Found = []
    for at in range(0, len(questions), _BLOCK):
        scores = asked[at : at + _BLOCK] @ vectors.T
        best = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
        for row, places in enumerate(best):
            # Ties fall by place.
            ordered = places[np.lexsort((places, -scores[row, places]))]
            found.append(ordered.tolist())
    return found


def _fused(*rankings: Sequence[int]) -> list[int]:
    """Reciprocal rank fusion; ties fall by place."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, place in enumerate(ranking, 1):
            scores[place] = scores.get(place, 0.0) + 1 / (_RANK + rank)
    return sorted(scores, key=lambda place: (-scores[place], place))
