"""What comes after fusion, by the searcher: tuned weights, deadlines, variety, probabilities."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from rostra.core import InvalidRequest
from rostra.retrieval import Calibration, SearchMode, SearchRequest, Tuning
from rostra.retrieval.lexical import Scores
from rostra.store import get_collection, set_tuning
from tests.integration.pipeline.conftest import Library

PAGES = {
    "vacuum": ("Vacuum reclaims storage of dead tuples.", "A full vacuum rewrites the table."),
    "index": ("An index is created without blocking writes.", "A partial index covers rows."),
    "lock": ("A lock on a row blocks other writers of the row.", "Advisory locks are free."),
    "copy": ("Vacuum reclaims storage of dead tuples.",),
}
QUERY = SearchRequest("vacuum of rows in a table", k=50)


@pytest.fixture
async def filled(library: Library) -> Library:
    for uri, paragraphs in PAGES.items():
        await library.put(uri, *paragraphs)
    return library


async def keep(library: Library, tuning: Tuning | None, name: str = "default") -> None:
    kept = None if tuning is None else msgspec.to_builtins(tuning)
    async with library.database.write() as session:
        await set_tuning(session, (await get_collection(session, name)).id, kept)


def tuning(library: Library, **given: Any) -> Tuning:
    space = library.embedder.space.fingerprint
    return Tuning(**({"space": space, "fusion": "convex", "dense_weight": 0.6} | given))


async def scored(library: Library, request: SearchRequest = QUERY, **settings: Any) -> list[Any]:
    result = await library.searcher(**settings).search(request)
    return [(hit.uri, hit.start, hit.score) for hit in result.hits]


async def test_a_collection_is_ranked_by_what_was_tuned_for_it(filled: Library) -> None:
    untuned = await scored(filled)
    for fusion, weight in (("zscore", 0.2), ("rrf", 0.9), ("convex", 0.0)):
        by_settings = await scored(filled, fusion=fusion, dense_weight=weight)
        await keep(filled, tuning(filled, fusion=fusion, dense_weight=weight))
        assert await scored(filled) == by_settings != untuned
        await keep(filled, None)
        assert await scored(filled) == untuned


async def test_what_was_tuned_elsewhere_is_not_used(filled: Library) -> None:
    untuned = await scored(filled)
    await keep(filled, tuning(filled, space="f" * 32, dense_weight=0.0))
    assert await scored(filled) == untuned
    async with filled.database.write() as session:
        found = await get_collection(session, "default")
        await set_tuning(session, found.id, {"fusion": "no such", "dense_weight": 7})
    assert await scored(filled) == untuned
    # Several collections are one ranking, which has one set of weights.
    await filled.put("other", "Something else.", collection="second")
    both = replace(QUERY, collections=("default", "second"))
    plain = await scored(filled, both)
    await keep(filled, tuning(filled, dense_weight=0.0))
    assert await scored(filled, both) == plain


class Waiting:
    """A reranker that waits until it is told to go on."""

    name = "waiting"

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def scores(self, query: str, passages: Sequence[str]) -> Scores:
        assert self.go_on.wait(60)
        return np.array([len(passage) for passage in passages], np.float64)


async def test_on_timeout_the_fused_order_stands_and_the_result_says_so(filled: Library) -> None:
    reranker = Waiting()
    plain = await filled.searcher().search(QUERY)
    assert not plain.reranked
    searcher = filled.searcher(reranker=lambda: reranker, rerank_seconds=0.01)
    late = await searcher.search(QUERY)
    assert not late.reranked
    assert [hit.score for hit in late.hits] == [hit.score for hit in plain.hits]
    assert all(hit.scores.rerank is None for hit in late.hits)
    reranker.go_on.set()
    in_time = await filled.searcher(reranker=lambda: reranker).search(QUERY)
    assert in_time.reranked
    assert {hit.chunk_id for hit in in_time.hits} == {hit.chunk_id for hit in plain.hits}
    assert in_time.to_dict()["reranked"] is True


async def test_rerankers_are_off_where_settings_say_so(filled: Library) -> None:
    reranker = Waiting()
    reranker.go_on.set()
    filled.settings = filled.settings.model_copy(update={"reranker": "off"})
    searcher = filled.searcher(reranker=lambda: reranker)
    assert not (await searcher.search(replace(QUERY, rerank=True))).reranked
    filled.settings = filled.settings.model_copy(update={"reranker": "auto"})
    # The fake embedder has no vectors of tokens; nobody asked for late interaction by name.
    assert not (await filled.searcher().search(replace(QUERY, rerank=True))).reranked


async def test_a_cross_encoder_counts_beside_the_fused_score_as_the_settings_say(
    filled: Library,
) -> None:
    reranker = Waiting()
    reranker.go_on.set()
    plain = (await filled.searcher().search(QUERY)).hits
    own = {hit.chunk_id: hit.score for hit in plain}
    least, span = min(own.values()), max(own.values()) - min(own.values())
    lengths = [len(hit.text) for hit in plain]
    for weight in (0.0, 0.25):
        searcher = filled.searcher(reranker=lambda: reranker, cross_encoder_weight=weight)
        hits = (await searcher.search(QUERY)).hits
        for hit in hits:
            length = (len(hit.text) - min(lengths)) / (max(lengths) - min(lengths))
            fused = (own[hit.chunk_id] - least) / span
            assert hit.score == pytest.approx(weight * length + (1 - weight) * fused)
        if not weight:
            assert [hit.chunk_id for hit in hits] == list(own)


async def test_diversity_puts_back_what_says_the_same(filled: Library) -> None:
    request = SearchRequest("Vacuum reclaims storage of dead tuples.", k=50)
    plain = (await filled.searcher().search(request)).hits
    # Both pages with the same sentence come first.
    same = [hit.text for hit in plain[:2]]
    assert same[0] == same[1] == request.query
    varied = (await filled.searcher().search(replace(request, diversity=0.7))).hits
    assert {hit.chunk_id for hit in varied} == {hit.chunk_id for hit in plain}
    assert varied[0].chunk_id == plain[0].chunk_id
    assert varied[1].text != varied[0].text
    # It looks beyond what is asked for.
    two = (await filled.searcher().search(replace(request, diversity=0.7, k=2))).hits
    assert [hit.chunk_id for hit in two] == [hit.chunk_id for hit in varied[:2]]
    none = (await filled.searcher().search(replace(request, diversity=0.0))).hits
    assert [hit.chunk_id for hit in none] == [hit.chunk_id for hit in plain]


async def test_nothing_relevant_is_said_by_raw_scores(filled: Library) -> None:
    with pytest.raises(InvalidRequest, match="nothing says how likely"):
        await filled.searcher().search(replace(QUERY, min_probability=0.5))
    assert (await filled.searcher().search(QUERY)).probability is None
    await keep(filled, tuning(filled, calibration=Calibration(-8.0, 12.0, 1.0)))
    good = await filled.searcher().search(
        SearchRequest("Vacuum reclaims storage of dead tuples.", min_probability=0.5)
    )
    bad = await filled.searcher().search(SearchRequest("zebra", min_probability=0.5))
    assert good.probability is not None and bad.probability is not None
    assert good.probability > 0.5 > bad.probability
    assert good.hits[0].uri in ("vacuum", "copy")
    assert bad.hits == []
    everything = await filled.searcher().search(SearchRequest("zebra", min_probability=0.0))
    assert everything.hits
    assert everything.probability == bad.probability
    # One side alone gives no probability, and drops nothing.
    lexical = await filled.searcher().search(SearchRequest("vacuum", mode=SearchMode.LEXICAL))
    assert lexical.hits and lexical.probability is None
    nothing = await filled.searcher().search(SearchRequest("zebra", mode=SearchMode.LEXICAL))
    assert not nothing.hits and nothing.probability is None


@pytest.mark.parametrize("given", [{"diversity": 1.5}, {"min_probability": -0.1}])
async def test_options_out_of_bounds_are_refused(filled: Library, given: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest, match="from 0 to 1"):
        await filled.searcher().search(replace(QUERY, **given))


@pytest.mark.parametrize("mode", [SearchMode.DENSE, SearchMode.LEXICAL])
async def test_one_side_alone_cannot_leave_out_what_is_unlikely(
    filled: Library, mode: SearchMode
) -> None:
    await keep(filled, tuning(filled, calibration=Calibration(-8.0, 12.0, 1.0)))
    request = replace(QUERY, mode=mode, min_probability=0.5)
    with pytest.raises(InvalidRequest, match="both sides") as told:
        await filled.searcher().search(request)
    assert told.value.to_dict()["field"] == "min_probability"


async def test_all_candidates_come_back_with_both_scores(filled: Library) -> None:
    reranker = Waiting()
    searcher = filled.searcher(reranker=lambda: reranker, diversity=0.9)
    found = await searcher.search(SearchRequest("vacuum of rows", k=2, candidates=True))
    chunks = sum(len(paragraphs) for paragraphs in PAGES.values())
    assert len(found.hits) == chunks
    assert not found.reranked
    for hit in found.hits:
        assert hit.scores.dense is not None and hit.scores.lexical is not None
