"""Passages: slices of stored text, spread over documents and over the length of each."""

from collections import Counter

import pytest

from evals.sets.synthetic.passages import MOST_CHARS, Sampler, SourcePassage, open_sampler
from rostra.core import CollectionNotFound, Settings
from rostra.store import Database, get_text
from tests.fakes import FakeEmbedder
from tests.integration.pipeline.conftest import Library

LONG = " ".join(
    f"Station {n} lies {n} miles up the river \U0001f30a and keeps records." for n in range(400)
)


@pytest.fixture
async def library(database: Database, settings: Settings) -> Library:
    """Ten short documents, a long one, one without sentences, and one of nothing."""
    library = Library(database, settings, FakeEmbedder())
    for number in range(10):
        await library.put(f"{number}.md", f"Note {number} says that the harbour is closed. " * 3)
    await library.put("long.md", LONG)
    await library.put("wall.md", "word" * 2000)
    await library.put("nothing.md", " \n ")
    return library


async def taken(database: Database, turns: int, seed: int = 0) -> list[SourcePassage | None]:
    sampler = await open_sampler(database, "default", seed)
    return [await sampler.take(turn) for turn in range(turns)]


async def test_every_passage_is_its_documents_text_at_its_place(library: Library) -> None:
    found = [one for one in await taken(library.database, 13 * 8) if one is not None]
    for one in found:
        async with library.database.read() as session:
            assert await get_text(session, one.document_id, one.start, one.end) == one.text
        assert 0 < len(one.text) <= MOST_CHARS
    for one in found:
        if one.uri == "long.md":
            assert one.text.startswith("Station")
            assert one.text.endswith("keeps records.")


async def test_documents_take_turns_and_long_ones_are_gone_through(library: Library) -> None:
    found = await taken(library.database, 13 * 12)
    for at in range(0, len(found), 13):
        uris = [one.uri for one in found[at : at + 13] if one is not None]
        assert len(set(uris)) == len(uris)
    counts = Counter(one.uri for one in found if one is not None)
    assert "nothing.md" not in counts
    assert {counts[f"{number}.md"] for number in range(10)} == {1}
    assert counts["long.md"] == 12
    starts = sorted(one.start for one in found if one is not None and one.uri == "long.md")
    gaps = [b - a for a, b in zip([0, *starts], [*starts, len(LONG)], strict=True)]
    assert max(gaps) < len(LONG) / 4


async def test_what_is_taken_hangs_on_the_seed_alone(library: Library) -> None:
    first = await taken(library.database, 26)
    assert await taken(library.database, 26) == first
    assert await taken(library.database, 26, seed=1) != first
    sampler = await open_sampler(library.database, "default", 0)
    assert await sampler.take(17) == first[17]


async def test_documents_that_went_away_are_passed_over(library: Library) -> None:
    sampler = await open_sampler(library.database, "default", 0)
    await library.delete("long.md")
    found = [await sampler.take(turn) for turn in range(13)]
    assert sum(one is None for one in found) == 2
    assert "long.md" not in {one.uri for one in found if one is not None}
    with pytest.raises(CollectionNotFound):
        await open_sampler(library.database, "none", 0)


async def test_what_is_no_text_is_not_telling(library: Library) -> None:
    sampler: Sampler = await open_sampler(library.database, "default", 0)
    found = {one.uri: one for turn in range(13) if (one := await sampler.take(turn)) is not None}
    assert found["0.md"].is_telling
    assert found["long.md"].is_telling
    start = found["0.md"]
    short = await sampler.around(start.document_id, 0, 20)
    assert short is not None
    assert not short.is_telling
    cut = await sampler.around(found["long.md"].document_id, 10, 10_000)
    assert cut is not None
    assert (cut.start, cut.end, cut.text) == (10, 10 + MOST_CHARS, LONG[10 : 10 + MOST_CHARS])
    await library.delete("0.md")
    assert await sampler.around(start.document_id, 0, 20) is None
