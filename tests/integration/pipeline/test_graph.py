"""The graph of a collection: built, followed, searched with; what it may never show."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from rostra.core import EmptyQuery, InvalidRequest, ModelUnavailable, Settings
from rostra.ingest import GraphBuilder, GraphProgress
from rostra.retrieval import (
    Calibration,
    GraphNotBuilt,
    GraphSearcher,
    GraphWeights,
    Hit,
    HitScores,
    SearchRequest,
    SearchResult,
    refine,
)
from rostra.store import (
    Database,
    Graph,
    drop_graph,
    get_collection,
    graph_state,
    open_database,
    read_chunks,
    stored_graph,
)
from tests.fakes import FakeEmbedder, ScriptedChatModel
from tests.integration.pipeline.conftest import Library

BRIDGE = {
    "tool": ("The reindexer program is a wrapper around REBUILD TABLE.", "It has options."),
    "command": ("REBUILD TABLE takes an Exclusive Lock while it works.", "See the reindexer."),
    "locks": ("An Exclusive Lock keeps readers out until the end.", "Other locks do not."),
    "apart": ("Bananas ripen in the sun.", "Bananas are yellow in the sun."),
}


async def fill(library: Library) -> None:
    for uri, paragraphs in BRIDGE.items():
        await library.put(uri, *paragraphs, metadata={"kind": uri})


async def whole(database: Database, name: str = "default") -> Graph:
    async with database.read() as session:
        return await stored_graph(session, (await get_collection(session, name)).id)


def searcher(library: Library, weights: GraphWeights | None = None) -> GraphSearcher:
    return GraphSearcher(library.searcher(), library.database, library.settings, weights)


async def test_a_build_finds_what_documents_share(library: Library) -> None:
    await fill(library)
    stages: list[GraphProgress] = []
    report = await GraphBuilder(library.database).build("default", stages.append)
    assert (report.read, report.asked) == (8, 0)
    graph = await whole(library.database)
    assert {"rebuild tabl", "exclus lock"} <= {one.key for one in graph.entities}
    assert [one.stage for one in stages] == ["read", "make"]
    assert stages[0].done == stages[0].total == 8


async def test_the_graph_reaches_what_the_question_does_not_say(library: Library) -> None:
    await fill(library)
    await GraphBuilder(library.database).build("default")
    request = SearchRequest("the reindexer program", k=6)
    only = GraphWeights(graph=1000, communities=0)
    found = await searcher(library, only).search(request)
    places = [hit.uri for hit in found.hits]
    assert places.index("locks") < 6
    assert "apart" not in places or places.index("locks") < places.index("apart")
    assert "graph" in found.timings_ms


async def test_the_graph_adds_nothing_of_which_nothing_says_how_likely_it_is(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(library)
    await GraphBuilder(library.database).build("default")
    monkeypatch.setattr(refine, "default_calibration", lambda _: Calibration(-8.0, 12.0, 1.0))
    request = SearchRequest(BRIDGE["tool"][0], k=6, min_probability=0.5)
    likely = {hit.chunk_id for hit in (await library.searcher().search(request)).hits}
    assert 0 < len(likely) < 6
    only = GraphWeights(graph=1000, communities=1000)
    found = await searcher(library, only).search(request)
    assert {hit.chunk_id for hit in found.hits} == likely


async def test_incremental_builds_make_what_a_build_from_nothing_makes(library: Library) -> None:
    await fill(library)
    builder = GraphBuilder(library.database)
    await builder.build("default")
    await library.delete("locks")
    await library.put("command", "REBUILD TABLE now takes a Shared Lock.", "See the reindexer.")
    await library.put("more", "A Shared Lock lets readers in.", "Bananas ripen in the sun.")
    report = await builder.build("default")
    assert report.read == 4
    followed = await whole(library.database)
    async with library.database.write() as session:
        await drop_graph(session, (await get_collection(session, "default")).id)
    report = await builder.build("default")
    assert report.read == 8
    assert await whole(library.database) == followed
    assert (await builder.build("default")).read == 0


async def test_a_build_that_broke_off_goes_on(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(library)
    monkeypatch.setattr("rostra.ingest.graph.build._BATCH", 3)

    def stop(progress: GraphProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await GraphBuilder(library.database).build("default", stop)
    assert await whole(library.database) == Graph([], {}, {}, [])
    assert (await GraphBuilder(library.database).build("default")).read == 5


async def test_documents_deleted_after_a_build_are_not_found_by_it(library: Library) -> None:
    await fill(library)
    await GraphBuilder(library.database).build("default")
    before = await whole(library.database)
    await library.delete("locks")
    after = await whole(library.database)
    assert {one.key for one in after.entities} < {one.key for one in before.entities}
    chunks = {chunk for _, chunk in after.mentions}
    async with library.database.read() as session:
        target = await get_collection(session, "default")
        assert chunks <= {one.id for one in await read_chunks(session, target.id, 100)}
    found = await searcher(library).search(SearchRequest("reindexer Exclusive Lock", k=20))
    assert "locks" not in {hit.uri for hit in found.hits}


async def test_without_a_graph_a_search_with_one_is_refused(library: Library) -> None:
    await fill(library)
    with pytest.raises(GraphNotBuilt, match="default"):
        await searcher(library).search(SearchRequest("lock"))


async def test_a_collection_without_a_graph_takes_part_beside_one_that_has(
    library: Library,
) -> None:
    await fill(library)
    await library.put("other", "An Exclusive Lock elsewhere.", collection="bare")
    await GraphBuilder(library.database).build("default")
    both = SearchRequest("Exclusive Lock", ("default", "bare"), k=10)
    found = await searcher(library).search(both)
    assert {hit.collection for hit in found.hits} == {"default", "bare"}


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (SearchRequest(" "), EmptyQuery),
        (SearchRequest("x", k=0), InvalidRequest),
        (SearchRequest("x", k=100_000), InvalidRequest),
        (SearchRequest("x", per_document=0), InvalidRequest),
    ],
)
async def test_what_plain_search_refuses_is_refused(
    request_: SearchRequest, error: type[Exception], library: Library
) -> None:
    await fill(library)
    await GraphBuilder(library.database).build("default")
    with pytest.raises(error):
        await searcher(library).search(request_)


SAID = json.dumps(
    {
        "entities": ["bananas", "sun", "of its own making"],
        "relations": [{"one": "bananas", "other": "sun"}, {"one": "bananas", "other": "moon"}],
    }
)


async def test_a_model_tells_of_as_many_chunks_as_it_may(library: Library) -> None:
    await fill(library)
    model = ScriptedChatModel([SAID])
    report = await GraphBuilder(library.database, model, budget=3).build("default")
    assert (report.read, report.asked, len(model.prompts)) == (8, 3, 3)
    report = await GraphBuilder(library.database, model, budget=100).build("default")
    # Of the chunks about bananas both names stand there, of the others neither.
    assert (report.read, report.asked) == (0, 5)
    graph = await whole(library.database)
    keys = {one.id: one.key for one in graph.entities}
    related = {(keys[one], keys[other]): weight for (one, other), weight in graph.relations.items()}
    assert related["banana", "sun"] == 100
    assert not any("own" in key for key in keys.values())
    prompt = model.prompts[0][1].content
    assert "<passage>" in prompt


@pytest.mark.parametrize("said", ["no JSON", '{"entities": 3}', "[]", '{"relations": []}'])
async def test_what_a_model_says_wrongly_leaves_chunks_to_the_rules(
    said: str, library: Library
) -> None:
    await fill(library)
    await GraphBuilder(library.database).build("default")
    by_rules = await whole(library.database)
    model = ScriptedChatModel([said])
    report = await GraphBuilder(library.database, model, budget=10).build("default")
    assert (report.asked, report.not_told) == (8, 8)
    assert await whole(library.database) == by_rules


async def test_a_model_that_is_away_is_asked_again_by_the_next_build(library: Library) -> None:
    await fill(library)
    away = ScriptedChatModel([ModelUnavailable("it is away")])
    report = await GraphBuilder(library.database, away, budget=10).build("default")
    assert (report.read, report.asked) == (8, 0)
    report = await GraphBuilder(library.database, ScriptedChatModel([SAID]), 10).build("default")
    assert report.asked == 8


# --- Whatever is asked, with whatever filters -----------------------------------------------------

WORDS = ("alpha_one", "beta_two", "gamma_three", "delta_four", "Epsilon Five")


@dataclass
class Shelf:
    """A library with a graph that stays while many requests are tried."""

    runner: asyncio.Runner
    library: Library
    kinds: dict[str, str]
    chunks: set[UUID]

    def search(self, request: SearchRequest, weights: GraphWeights) -> SearchResult:
        async def run() -> SearchResult:
            return await searcher(self.library, weights).search(request)

        return self.runner.run(run())


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    home: Path = tmp_path_factory.mktemp("shelf")
    kinds: dict[str, str] = {}

    async def fill_shelf() -> Library:
        database = await open_database(f"sqlite:///{home / 'rostra.db'}")
        library = Library(database, Settings(home=home), FakeEmbedder())
        for number in range(14):
            uri, kind = f"doc{number}", ("open", "secret")[number % 2]
            one, other = WORDS[number % 5], WORDS[(number + 1) % 5]
            collection = "mine" if number < 10 else "theirs"
            kinds[uri] = kind
            await library.put(
                uri,
                f"{one} is joined with {other} here",
                f"{other} number {number} stands alone",
                collection=collection,
                metadata={"kind": kind},
            )
        await GraphBuilder(database).build("mine")
        await GraphBuilder(database).build("theirs")
        return library

    async def all_chunks(library: Library) -> set[UUID]:
        async with library.database.read() as session:
            mine = await get_collection(session, "mine")
            assert await graph_state(session, mine.id) is not None
            return {one.id for one in await read_chunks(session, mine.id, 1000)}

    with asyncio.Runner() as runner:
        library = runner.run(fill_shelf())
        yield Shelf(runner, library, kinds, runner.run(all_chunks(library)))
        runner.run(library.database.close())


@examples(max_examples=40)
@given(
    query=st.lists(st.sampled_from([*WORDS, "joined", "alone", "7"]), min_size=1, max_size=4),
    kind=st.sampled_from(["open", "secret", None]),
    k=st.integers(1, 30),
    per_document=st.sampled_from([None, 1, 2]),
    graph=st.sampled_from([0.0, 1.0, 1000.0]),
    communities=st.sampled_from([0.0, 1.0, 1000.0]),
)
def test_no_hit_is_forbidden_twice_or_too_many(
    shelf: Shelf,
    query: list[str],
    kind: str | None,
    k: int,
    per_document: int | None,
    graph: float,
    communities: float,
) -> None:
    request = SearchRequest(
        " ".join(query),
        ("mine",),
        k=k,
        filters={"kind": kind} if kind else {},
        per_document=per_document,
    )
    hits = shelf.search(request, GraphWeights(graph, communities)).hits
    assert all(kind is None or shelf.kinds[hit.uri] == kind for hit in hits)
    assert {hit.chunk_id for hit in hits} <= shelf.chunks
    assert len({hit.chunk_id for hit in hits}) == len(hits) <= k
    documents = [hit.document_id for hit in hits]
    assert per_document is None or all(documents.count(one) <= per_document for one in documents)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_equal_requests_have_equal_results(shelf: Shelf) -> None:
    request = SearchRequest("alpha_one gamma_three", ("mine", "theirs"), k=20)
    one, other = (shelf.search(request, GraphWeights()) for _ in range(2))
    assert one.hits == other.hits


class _Nothing:
    """A search that finds nothing, so that all that is found is the graph's."""

    async def search(self, request: SearchRequest) -> SearchResult:
        return SearchResult(request.query, [], {})


def test_what_the_graph_alone_adds_passes_the_filters(shelf: Shelf) -> None:
    alone = GraphSearcher(_Nothing(), shelf.library.database, shelf.library.settings)
    request = SearchRequest("alpha_one", ("mine",), k=50, filters={"kind": "open"})

    async def run(asked: SearchRequest) -> list[Hit]:
        return (await alone.search(asked)).hits

    hits = shelf.runner.run(run(request))
    assert hits
    assert {shelf.kinds[hit.uri] for hit in hits} == {"open"}
    assert {hit.collection for hit in hits} == {"mine"}
    assert all(hit.scores == HitScores() for hit in hits)
    everything: Any = replace(request, filters={})
    assert {hit.chunk_id for hit in hits} < {h.chunk_id for h in shelf.runner.run(run(everything))}
