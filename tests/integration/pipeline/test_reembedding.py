"""Another model for a stored collection gives the vectors of a clean ingest with that model."""

import numpy as np
import pytest
from sqlalchemy import func, select

from rostra.ingest import reembed
from rostra.store import get_collection, index_rows
from rostra.store.tables import VectorRow
from tests.fakes import FakeEmbedder
from tests.integration.pipeline.conftest import Given, Library

PARTS = ("pump", "valve", "tank", "boiler", "filter", "motor", "gauge", "pipe", "fuse", "belt")
FILES = [
    Given("long.txt", " ".join(f"The {one} of the {two} leaks." for one in PARTS for two in PARTS)),
    Given("short.txt", "A lone remark on rust."),
]


async def vectors_of(library: Library, collection: str) -> list[tuple[str, bytes]]:
    async with library.database.read() as session:
        found = await get_collection(session, collection)
        rows = await index_rows(session, found.id, found.space_id)
    return sorted((row.text, np.asarray(row.vector).tobytes()) for row in rows)


@pytest.mark.parametrize("neighbours", [True, False])
async def test_equals_a_clean_ingest(library: Library, neighbours: bool) -> None:
    told = {"chunk_neighbours": neighbours, "chunk_tokens": 32}
    await library.ingester(**told).ingest(FILES, "moved")
    before = await vectors_of(library, "moved")
    library.embedder = FakeEmbedder(revision="1" * 64, dimensions=16)
    await library.ingester(**told).ingest(FILES, "clean")
    done = await reembed(library.database, library.indexes(), "moved", library.embedder)
    after = await vectors_of(library, "moved")
    assert done == len(before) > 4
    assert after != before
    assert after == await vectors_of(library, "clean")
    async with library.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(VectorRow)) == 2 * done


async def test_a_change_embeds_the_neighbours_of_what_changed(library: Library) -> None:
    told = {"chunk_neighbours": True, "chunk_tokens": 32}
    await library.ingester(**told).ingest(FILES, "changed")
    changed = [Given("long.txt", f"{FILES[0].content} And it all ended well."), FILES[1]]
    await library.ingester(**told).ingest(changed, "changed")
    await library.ingester(**told).ingest(changed, "clean")
    assert await vectors_of(library, "changed") == await vectors_of(library, "clean")
