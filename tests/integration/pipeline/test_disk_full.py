"""A disk that is full in the middle of an ingest: told as such, nothing half-stored, no loss."""

import contextlib
import resource
from collections.abc import Iterator

import pytest

from rostra.core import StoreUnavailable
from rostra.ingest import pipeline
from rostra.retrieval import SearchMode, SearchRequest
from tests.integration.pipeline.conftest import Given, Library
from tests.integration.pipeline.test_ingest import found, generation, stored

WORDS = "word " * 150
FILES = [
    Given(f"{at:02}.txt", "\n\n".join(f"{WORDS}thing{at} part{part}." for part in range(9)))
    for at in range(40)
]
# The disk of a PostgreSQL server is not this process's.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@contextlib.contextmanager
def full_disk(most: int) -> Iterator[None]:
    """No file can grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_ends_an_ingest_and_the_next_one_does_the_rest(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_BATCH_CHUNKS", 40)
    await library.ingester().ingest(FILES[:2], "default")
    before = await generation(library)
    with full_disk(700_000), pytest.raises(StoreUnavailable, match=r"disk|full"):
        await library.ingester().ingest(FILES, "default")
    # What was committed is whole and searched; what was not has left nothing.
    kept = await stored(library)
    assert 2 <= len(kept) < len(FILES)
    assert await generation(library) >= before
    for uri, document in kept.items():
        assert document.text == next(one.content for one in FILES if one.uri == uri)
        assert [document.text[start:end] for start, end, _ in document.chunks] == [
            part for _, _, part in document.chunks
        ]
    assert (await library.searcher().search(SearchRequest("thing0"))).hits
    report = await library.ingester().ingest(FILES, "default")
    assert (report.documents, report.unchanged) == (len(FILES) - len(kept), len(kept))
    assert (await stored(library)).keys() == {one.uri for one in FILES}
    assert await found(library, "thing39", SearchMode.LEXICAL) == {"test:/39.txt"}


async def test_a_disk_too_full_for_the_index_costs_only_its_file(library: Library) -> None:
    """Rows are the truth: an index that cannot be written is built again at the next start."""
    await library.ingester().ingest(FILES, "default")
    folder = library.settings.home / "indexes"
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    with full_disk(2_000):  # enough for what a test's log says
        await library.indexes().save("default")
    assert await found(library, "thing1", SearchMode.LEXICAL) == {"test:/01.txt"}
