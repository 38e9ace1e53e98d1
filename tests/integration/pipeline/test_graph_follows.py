"""A graph follows what is ingested after it was built, as far as it knows the names."""

from typing import Any

import pytest

from rostra.ingest import GraphBuilder
from rostra.ingest.graph import build
from rostra.retrieval import GraphSearcher, GraphWeights, NameReader, SearchRequest
from rostra.store import (
    Graph,
    count_unread,
    get_collection,
    graph_state,
    put_graph,
    stored_graph,
)
from tests.integration.pipeline.conftest import Given, Library

PAGES = {
    "tool.md": "# Reindexer\n\nThe reindexer program is a wrapper around REBUILD TABLE.\n",
    "command.md": "# REBUILD TABLE\n\nREBUILD TABLE takes an Exclusive Lock while it works.\n",
    "locks.md": "# Locks\n\nAn Exclusive Lock keeps readers out until the end. See Locks.\n",
}
LATER = Given("later.md", "# Nights\n\nAt night an Exclusive Lock of REBUILD TABLE hurts nobody.\n")


def given(pages: dict[str, str]) -> list[Given]:
    return [Given(name, text) for name, text in pages.items()]


async def whole(library: Library) -> Graph:
    async with library.database.read() as session:
        return await stored_graph(session, (await get_collection(session, "default")).id)


def mentioned(graph: Graph) -> dict[str, int]:
    """How many chunks mention each entity, counted."""
    keys = {one.id: one.key for one in graph.entities}
    return {key: sum(entity == id_ for entity, _ in graph.mentions) for id_, key in keys.items()}


async def test_what_is_ingested_later_is_in_the_graph(library: Library) -> None:
    await library.ingester().ingest(given(PAGES), "default")
    await GraphBuilder(library.database).build("default")
    before = mentioned(await whole(library))
    await library.ingester().ingest([LATER], "default")
    graph = await whole(library)
    after = mentioned(graph)
    assert after.keys() == before.keys()
    grown = {key for key in after if after[key] == before[key] + 1}
    assert {"rebuild tabl", "exclus lock"} <= grown
    assert {one.key: one.df for one in graph.entities} == after
    # The walk reaches it from what the question names, though no word of it is asked for.
    searcher = GraphSearcher(
        library.searcher(), library.database, library.settings, GraphWeights(1000, 0)
    )
    found = await searcher.search(SearchRequest("the reindexer program", k=10))
    assert "test:/later.md" in {hit.uri for hit in found.hits}
    async with library.database.read() as session:
        target = await get_collection(session, "default")
        state = await graph_state(session, target.id)
        assert state is not None
        assert state.chunks == len({chunk for _, chunk in graph.mentions})
        # It was not built from what came later, and says so.
        assert state.generation < target.generation


async def test_what_is_ingested_during_a_build_is_in_the_graph(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    await library.ingester().ingest(given(PAGES), "default")
    builder = GraphBuilder(library.database)
    await builder.build("default")
    before = mentioned(await whole(library))
    texts = build.chunk_texts

    async def late(session: Any, chunks: Any) -> Any:
        await library.ingester().ingest([LATER], "default")
        return await texts(session, chunks)

    monkeypatch.setattr(build, "chunk_texts", late)
    await builder.build("default")
    graph = await whole(library)
    after = mentioned(graph)
    assert after["rebuild tabl"] == before["rebuild tabl"] + 1
    assert after["exclus lock"] == before["exclus lock"] + 1
    assert {one.key: one.df for one in graph.entities} == after
    async with library.database.read() as session:
        target = await get_collection(session, "default")
        assert await count_unread(session, target.id, NameReader().recipe) == 0
        state = await graph_state(session, target.id)
    assert state is not None and state.generation < target.generation
    assert state.chunks == len({chunk for _, chunk in graph.mentions})


async def test_the_next_build_reads_nothing_and_makes_what_one_from_nothing_makes(
    library: Library,
) -> None:
    await library.ingester().ingest(given(PAGES), "default")
    builder = GraphBuilder(library.database)
    await builder.build("default")
    await library.ingester().ingest([LATER], "default")
    assert (await builder.build("default")).read == 0
    followed = await whole(library)
    assert await builder.drop("default")
    assert (await builder.build("default")).read == 4
    assert await whole(library) == followed


async def test_a_document_that_is_replaced_is_mentioned_as_it_is_now(library: Library) -> None:
    await library.ingester().ingest(given(PAGES), "default")
    await GraphBuilder(library.database).build("default")
    await library.ingester().ingest([LATER], "default")
    again = Given(LATER.name, "# Nights\n\nAt night an Exclusive Lock hurts nobody.\n")
    await library.ingester().ingest([again], "default")
    after = mentioned(await whole(library))
    assert (after["rebuild tabl"], after["exclus lock"]) == (2, 3)


async def test_without_a_graph_nothing_is_read(library: Library) -> None:
    await library.ingester().ingest(given(PAGES), "default")
    assert await whole(library) == Graph([], {}, {}, [])
    report = await GraphBuilder(library.database).build("default")
    assert report.read == 3


async def test_a_graph_of_other_rules_is_left_to_the_next_build(library: Library) -> None:
    """Its chunks would all have to be read again, by an ingest of one page."""
    await library.ingester().ingest(given(PAGES), "default")
    await GraphBuilder(library.database).build("default")
    graph = await whole(library)
    async with library.database.write() as session:
        target = await get_collection(session, "default")
        await put_graph(session, target.id, graph, recipe="of old;", generation=target.generation)
    await library.ingester().ingest([LATER], "default")
    assert mentioned(await whole(library)) == mentioned(graph)
    async with library.database.read() as session:
        assert await count_unread(session, target.id, "names-") == 1
