"""Ingest from sources to rows and indexes: what is stored, left alone, replaced, and survives."""

import asyncio
import itertools
import math
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.message import EmailMessage
from typing import Any

import numpy as np
import psutil
import pytest
from sqlalchemy import func, select

from rostra.core import (
    CollectionNotFound,
    FloatMatrix,
    ModelUnavailable,
    SpaceMismatch,
    UnreadableFile,
)
from rostra.ingest import (
    AnySource,
    FailedSource,
    IngestReport,
    ParsedDocument,
    Progress,
    ReadySource,
    pipeline,
)
from rostra.retrieval import SearchMode, SearchRequest
from rostra.store import UnusableVector, get_collection
from rostra.store.tables import ChunkRow, DocumentRow, VectorRow
from tests.fakes import FakeEmbedder
from tests.integration.pipeline.conftest import Given, Library

MARKDOWN = """# Storage

Tables are stored in heap pages of eight kilobytes.

## Vacuum

Vacuum reclaims the storage of dead tuples. It runs by itself from time to time.

| option | meaning |
| ------ | ------- |
| full   | rewrite the table |
| freeze | mark tuples frozen |
"""
FILES = [
    Given("storage.md", MARKDOWN),
    Given("locks.txt", "A lock on a row blocks other writers.\n\nAdvisory locks are free."),
    Given("plan.html", "<title>Plans</title><h1>Plans</h1><p>The planner picks by cost.</p>"),
    Given("data.csv", "name,size\nheap,8192\nindex,4096\n"),
]


@dataclass(frozen=True)
class Stored:
    """What the rows hold of one document."""

    text: str
    chunks: list[tuple[int, int, str]]


async def stored(library: Library) -> dict[str, Stored]:
    async with library.database.read() as session:
        documents = (
            await session.execute(select(DocumentRow.id, DocumentRow.uri, DocumentRow.text))
        ).all()
        chunks = (
            await session.execute(
                select(ChunkRow.document_id, ChunkRow.start, ChunkRow.end, ChunkRow.text).order_by(
                    ChunkRow.ordinal
                )
            )
        ).all()
    return {
        uri: Stored(text, [(start, end, part) for of, start, end, part in chunks if of == id_])
        for id_, uri, text in documents
    }


async def generation(library: Library) -> int:
    async with library.database.read() as session:
        return (await get_collection(session, "default")).generation


async def vectors(library: Library) -> int:
    async with library.database.read() as session:
        return await session.scalar(select(func.count()).select_from(VectorRow)) or 0


async def contents(library: Library) -> int:
    async with library.database.read() as session:
        return await session.scalar(select(func.count(ChunkRow.content_hash.distinct()))) or 0


async def found(library: Library, query: str, mode: SearchMode) -> set[str]:
    request = SearchRequest(query, mode=mode, k=100)
    return {hit.uri for hit in (await library.searcher().search(request)).hits}


def small_batches(monkeypatch: pytest.MonkeyPatch, chunks: int = 2) -> None:
    monkeypatch.setattr(pipeline, "_BATCH_CHUNKS", chunks)


def many(count: int) -> list[Given]:
    return [Given(f"{at:03}.txt", f"Paragraph {at} about thing{at}.") for at in range(count)]


async def test_stores_documents_with_chunks_that_are_slices_of_their_text(
    library: Library, real_parser: None
) -> None:
    seen: list[Progress] = []
    report = await library.ingester(chunk_tokens=16).ingest(
        FILES, "default", on_progress=lambda progress: seen.append(replace(progress))
    )
    rows = await stored(library)
    assert rows.keys() == {source.uri for source in FILES}
    for document in rows.values():
        assert document.chunks
        for start, end, text in document.chunks:
            assert document.text[start:end] == text != ""
    count = sum(len(document.chunks) for document in rows.values())
    assert (report.documents, report.chunks, report.unchanged, report.failed) == (4, count, 0, [])
    assert report.seconds > 0
    assert seen[-1].done == seen[-1].total == 4
    assert seen[-1].chunks == len(library.embedder.embedded) == await contents(library)
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)
    assert await vectors(library) == await contents(library)


async def test_what_was_ingested_is_found_by_both_sides(library: Library) -> None:
    await library.ingester().ingest(FILES, "default")
    for mode in SearchMode:
        result = await library.searcher().search(SearchRequest("vacuum dead tuples", mode=mode))
        assert result.hits[0].uri == "test:/storage.md"
        assert "Vacuum" in result.hits[0].text


async def test_an_unchanged_file_is_left_alone(library: Library) -> None:
    await library.ingester().ingest(FILES, "default")
    before, embedded = await generation(library), len(library.embedder.embedded)
    report = await library.ingester().ingest(FILES[::-1], "default")
    assert (report.documents, report.unchanged, report.chunks) == (0, len(FILES), 0)
    assert await generation(library) == before
    assert len(library.embedder.embedded) == embedded


async def test_other_settings_read_unchanged_files_anew(library: Library) -> None:
    await library.ingester().ingest(FILES, "default")
    before = await stored(library)
    report = await library.ingester(chunk_tokens=16).ingest(FILES, "default")
    assert report.documents == len(FILES)
    after = await stored(library)
    assert len(after["test:/storage.md"].chunks) > len(before["test:/storage.md"].chunks)
    assert {uri: row.text for uri, row in after.items()} == {
        uri: row.text for uri, row in before.items()
    }
    assert await vectors(library) == await contents(library)


async def test_a_changed_file_is_replaced_in_one_commit(library: Library) -> None:
    versions = {
        letter: "\n\n".join(f"Paragraph {at} of {letter * 8}." for at in range(40))
        for letter in "xy"
    }
    await library.ingester(chunk_tokens=16).ingest([Given("a.txt", versions["x"])], "default")
    embedding, go_on = threading.Event(), threading.Event()

    def wait(_: Sequence[str]) -> None:
        embedding.set()
        assert go_on.wait(60)

    library.embedder.before_batch = wait
    run = asyncio.create_task(
        library.ingester(chunk_tokens=16).ingest([Given("a.txt", versions["y"])], "default")
    )
    assert await asyncio.to_thread(embedding.wait, 60)
    seen = [await stored(library)]
    go_on.set()
    while not run.done():
        seen.append(await stored(library))
    report = await run
    seen.append(await stored(library))
    assert report.documents == 1
    states = []
    for rows in seen:
        (document,) = rows.values()
        (letter,) = {letter for letter in "xy" if document.text == versions[letter]}
        assert all(letter * 8 in text for _, _, text in document.chunks)
        assert len(document.chunks) >= 10
        states.append(letter)
    assert states[0] == "x"
    assert states[-1] == "y"
    assert states == sorted(states)
    assert await vectors(library) == await contents(library)
    for mode in (SearchMode.LEXICAL, SearchMode.DENSE):
        hits = (await library.searcher().search(SearchRequest("x" * 8, mode=mode, k=100))).hits
        assert not any("xxxxxxxx" in hit.text for hit in hits)


def note(text: str) -> str:
    """A file whose title does not depend on its name, so that equal ones have equal contents."""
    return f"# Notes\n\n{text}\n"


async def test_files_that_swap_their_contents(library: Library) -> None:
    one, other = note("All about one thing."), note("Quite another matter.")
    await library.ingester().ingest([Given("a.md", one), Given("b.md", other)], "default")
    assert await contents(library) == 2
    swapped = [Given("a.md", other), Given("b.md", one)]
    async with asyncio.timeout(60):
        report = await library.ingester().ingest(swapped, "default")
    assert report.documents == 2
    assert await vectors(library) == await contents(library) == 2
    for mode in SearchMode:
        result = await library.searcher().search(SearchRequest("another matter", mode=mode))
        assert result.hits[0].uri == "test:/a.md"
    assert await found(library, "notes", SearchMode.DENSE) == {"test:/a.md", "test:/b.md"}


async def test_a_renamed_file_moves_with_its_vectors(library: Library) -> None:
    text = note("A text that moves.")
    await library.ingester().ingest([Given("old.md", text)], "default")
    async with asyncio.timeout(60):
        report = await library.ingester().ingest(
            [Given("old.md", note("Something new.")), Given("new.md", text)], "default"
        )
    assert report.documents == 2
    assert await vectors(library) == await contents(library) == 2
    assert len(await found(library, "notes", SearchMode.DENSE)) == 2


async def test_of_several_sources_with_one_uri_the_last_stays(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [Given("a.txt", f"Version number {at}.") for at in range(3)]
    async with asyncio.timeout(60):
        report = await library.ingester().ingest(sources, "default")
        assert report.documents == 3
        assert (await stored(library))["test:/a.txt"].text == "Version number 2."
        assert await vectors(library) == await contents(library) == 1
        # The same across batches.
        small_batches(monkeypatch, 1)
        await library.ingester().ingest([*sources[:2], Given("b.txt", "Other.")], "default")
    assert (await stored(library))["test:/a.txt"].text == "Version number 1."
    assert await vectors(library) == await contents(library) == 2


async def test_a_deleted_document_is_gone_from_both_sides(library: Library) -> None:
    await library.ingester().ingest(FILES, "default")
    assert await found(library, "advisory locks", SearchMode.LEXICAL) == {"test:/locks.txt"}
    await library.delete("test:/locks.txt")
    for mode in SearchMode:
        assert "test:/locks.txt" not in await found(library, "advisory locks", mode)
    assert await vectors(library) == await contents(library)


async def test_documents_whose_files_are_gone_are_deleted_when_asked_to(library: Library) -> None:
    inside = [Given(f"{at}.txt", f"Inside {at}.", "file:///docs/") for at in range(3)]
    outside = [Given("0.txt", "Outside.", "file:///docs-other/")]
    await library.ingester().ingest([*inside, *outside], "default")
    kept = await library.ingester().ingest(inside[:1], "default")
    assert kept.deleted == 0
    assert len(await stored(library)) == 4
    broken = FailedSource(inside[1].uri, UnreadableFile("unreadable today"))
    report = await library.ingester().ingest(
        [inside[0], broken], "default", delete_missing=["file:///docs/"]
    )
    # One that cannot be read now is not one that is gone.
    assert (report.deleted, report.unchanged, len(report.failed)) == (1, 1, 1)
    assert (await stored(library)).keys() == {
        inside[0].uri,
        inside[1].uri,
        outside[0].uri,
    }
    assert await found(library, "inside", SearchMode.LEXICAL) == {inside[0].uri, inside[1].uri}


@dataclass(frozen=True)
class Vanished(Given):
    def read(self) -> bytes:
        raise UnreadableFile("the file is gone", hint="Look for it.")


async def test_a_bad_file_is_reported_and_stops_no_other(
    library: Library, monkeypatch: pytest.MonkeyPatch, real_parser: None
) -> None:
    small_batches(monkeypatch, 1)
    bad: list[AnySource] = [
        FailedSource("test:/listed", UnreadableFile("cannot be listed")),
        Vanished("vanished.txt", ""),
        Given("broken.pdf", b"%PDF-1.7\nbroken"),
        Given("broken.docx", b"PK\x03\x04 no zip"),
        Given("empty.txt", b""),
        Given("n" * 3_000 + ".txt", "a name that no database indexes"),
    ]
    mixed = list(itertools.chain.from_iterable(zip(bad, many(len(bad)), strict=True)))
    report = await library.ingester().ingest(mixed, "default")
    assert report.documents == len(bad)
    assert [failure.uri for failure in report.failed] == [source.uri for source in bad]
    for failure in report.failed:
        assert failure.error
        assert "Traceback" not in failure.error
        assert failure.code
    assert (await stored(library)).keys() == {source.uri for source in many(len(bad))}
    # Nothing is remembered of a failure: it is tried again.
    again = await library.ingester().ingest(mixed, "default")
    assert (again.documents, again.unchanged, len(again.failed)) == (0, len(bad), len(bad))


async def test_a_file_that_turns_bad_keeps_its_last_good_text(library: Library) -> None:
    await library.ingester().ingest([Given("a.pdf", "Plain text after all.")], "default")
    before = await stored(library)
    await library.ingester().ingest([Given("a.pdf", b"%PDF-1.7\nbroken")], "default")
    assert await stored(library) == before


async def test_equal_contents_share_a_vector(library: Library) -> None:
    copies = [Given(f"{at}.md", note("The same paragraph.")) for at in range(5)]
    library.settings = library.settings.model_copy(update={"near_duplicates": 0.0})
    await library.ingester().ingest(copies, "default")
    await library.ingester().ingest([replace(copies[0], folder="other:/")], "default")
    assert len(library.embedder.embedded) == await vectors(library) == 1
    for copy in copies:
        assert len(await found(library, "same paragraph", SearchMode.DENSE)) > 1
        await library.delete(copy.uri)
        assert await vectors(library) == 1
    assert await found(library, "same paragraph", SearchMode.DENSE) == {"other:/0.md"}
    await library.delete("other:/0.md")
    assert await vectors(library) == 0


async def test_documents_that_need_no_parser(library: Library) -> None:
    def ready(text: str, title: str = "Title") -> ReadySource:
        return ReadySource("line:1", ParsedDocument(text, title, "text/plain", (), {"id": 1}))

    for source, expected in (
        (ready("About heap pages."), (1, 0)),
        (ready("About heap pages."), (0, 1)),
        (ready("About heap pages.", "Other title"), (1, 0)),
        (ready("About tuples."), (1, 0)),
    ):
        report = await library.ingester().ingest([source], "default")
        assert (report.documents, report.unchanged) == expected
    (hit,) = (await library.searcher().search(SearchRequest("tuples"))).hits
    assert (hit.text, hit.title, hit.metadata) == ("About tuples.", "Title", {"id": 1})


async def test_headings_never_push_text_out_of_the_embedders_window(library: Library) -> None:
    heading = " ".join(f"heading{at}" for at in range(30))
    line = " ".join(f"word{at}" for at in range(library.embedder.max_tokens - 4))
    body = f"# {heading}\n\nWords before.\n\n```\n{line}\nshort line\n```\n"
    await library.ingester().ingest([Given("a.md", body)], "default")
    assert any(text.endswith(line) for text in library.embedder.embedded)
    assert any(text.startswith(heading) for text in library.embedder.embedded)
    for text in library.embedder.embedded:
        assert len(library.embedder.tokenizer.offsets(text)) <= library.embedder.max_tokens


async def test_nothing_to_ingest_makes_an_empty_collection(library: Library) -> None:
    with pytest.raises(CollectionNotFound):
        await generation(library)
    report = await library.ingester().ingest([], "default")
    assert report.documents == 0
    assert await generation(library) == 0


async def test_a_collection_of_another_model_is_refused(library: Library) -> None:
    await library.ingester().ingest(FILES[:1], "default")
    library.embedder = FakeEmbedder(revision="1" * 64)
    with pytest.raises(SpaceMismatch):
        await library.ingester().ingest(FILES, "default")
    assert len(await stored(library)) == 1


async def test_what_is_below_something_unreadable_is_not_taken_for_gone(library: Library) -> None:
    inside = Given("a.zip!/note.md", "# Note\n\nThe archive holds one note.")
    beside = Given("b.md", "# Beside\n\nAnother file.")
    await library.ingester().ingest([inside, beside], "default")
    damaged = FailedSource("test:/a.zip", UnreadableFile("a.zip is damaged"))
    report = await library.ingester().ingest([damaged], "default", delete_missing=["test:/"])
    assert report.deleted == 1
    assert list(await stored(library)) == [inside.uri]


# --- Broken off -----------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ModelUnavailable("no memory left"), RuntimeError("broken")])
async def test_an_embedder_that_fails_leaves_what_was_committed(
    library: Library, monkeypatch: pytest.MonkeyPatch, error: Exception, real_parser: None
) -> None:
    small_batches(monkeypatch)
    calls = itertools.count()

    def fail_late(_: Sequence[str]) -> None:
        if next(calls) == 2:
            raise error

    library.embedder.before_batch = fail_late
    sources = many(9)
    children = set(psutil.Process().children())
    with pytest.raises(type(error)) as raised:
        await library.ingester().ingest(sources, "default")
    assert raised.value is error
    assert set(psutil.Process().children()) <= children
    # Two batches of two are there, whole; nothing is of the third.
    assert sorted(await stored(library)) == [source.uri for source in sources[:4]]
    assert await vectors(library) == 4
    library.embedder.before_batch = lambda _: None
    report = await library.ingester().ingest(sources, "default")
    assert (report.unchanged, report.documents) == (4, 5)


@pytest.mark.parametrize(("value", "reason"), [(math.nan, "finite"), (0.0, "zeros")])
async def test_a_text_that_cannot_be_embedded_fails_its_document_alone(
    library: Library, monkeypatch: pytest.MonkeyPatch, value: float, reason: str
) -> None:
    small_batches(monkeypatch, 4)
    embed = library.embedder.embed_documents

    def poisoned(texts: Sequence[str], on_batch: Any = None) -> FloatMatrix:
        vectors = embed(texts, on_batch)
        vectors[[row for row, text in enumerate(texts) if "thing2" in text]] = value
        return vectors

    monkeypatch.setattr(library.embedder, "embed_documents", poisoned)
    sources = many(9)
    last: list[Progress] = []
    for stored_before in (0, 8):
        report = await library.ingester().ingest(
            sources, "default", on_progress=lambda progress: last.append(replace(progress))
        )
        assert (report.documents, report.unchanged) == (8 - stored_before, stored_before)
        (failure,) = report.failed
        assert (failure.uri, failure.code) == (sources[2].uri, "unusable_vector")
        assert reason in failure.error
        assert "Paragraph 2 about thing2." in failure.error
        assert last[-1].done == 9
    assert sources[2].uri not in await stored(library)


async def test_a_document_that_fails_leaves_no_vectors(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed = library.embedder.embed_documents

    def poisoned(texts: Sequence[str], on_batch: Any = None) -> FloatMatrix:
        vectors = embed(texts, on_batch)
        vectors[[row for row, text in enumerate(texts) if "Locks" in text]] = 0.0
        return vectors

    monkeypatch.setattr(library.embedder, "embed_documents", poisoned)
    both = "\n\n".join(f"Word{n} " * 20 + "grow." for n in range(6)) + "\n\nLocks wait."
    # The same twice: each of them fails.
    files = [Given("bad.txt", both), Given("again.txt", both), Given("good.txt", "Heaps grow.")]
    report = await library.ingester(chunk_tokens=32).ingest(files, "default")
    assert sorted(failure.uri for failure in report.failed) == [
        "test:/again.txt", "test:/bad.txt",
    ]  # fmt: skip
    assert len(library.embedder.embedded) > 3
    assert await vectors(library) == await contents(library) == 1


async def test_every_source_is_counted_when_one_of_several_with_one_uri_fails(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed = library.embedder.embed_documents

    def poisoned(texts: Sequence[str], on_batch: Any = None) -> FloatMatrix:
        vectors = embed(texts, on_batch)
        vectors[[row for row, text in enumerate(texts) if "Locks" in text]] = 0.0
        return vectors

    monkeypatch.setattr(library.embedder, "embed_documents", poisoned)
    files = [Given("a.txt", "Heaps grow."), Given("b.txt", "Rows."), Given("a.txt", "Locks wait.")]
    last: list[Progress] = []
    report = await library.ingester().ingest(
        files, "default", on_progress=lambda progress: last.append(replace(progress))
    )
    assert [failure.uri for failure in report.failed] == ["test:/a.txt"]
    assert (last[-1].done, last[-1].total) == (3, 3)


async def test_a_query_that_cannot_be_embedded_is_refused(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    await library.ingester().ingest(many(3), "default")
    for value in (math.nan, math.inf, 0.0):
        vector = np.full(library.embedder.space.dimensions, value, np.float32)
        monkeypatch.setattr(library.embedder, "embed_query", lambda _, vector=vector: vector)
        for mode in (SearchMode.DENSE, SearchMode.HYBRID):
            with pytest.raises(UnusableVector):
                await library.searcher().search(SearchRequest("thing1", mode=mode))
        assert await found(library, "thing1", SearchMode.LEXICAL)


async def test_a_database_error_is_raised_as_it_is(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_batches(monkeypatch)
    error = OSError("disk gone")

    async def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(pipeline, "put_documents", fail)
    with pytest.raises(OSError, match="disk gone") as raised:
        await library.ingester().ingest(many(9), "default")
    assert raised.value is error
    assert await stored(library) == {}


async def test_cancelled_it_leaves_no_process_and_no_half_document(
    library: Library, monkeypatch: pytest.MonkeyPatch, real_parser: None
) -> None:
    small_batches(monkeypatch)
    embedding, go_on = threading.Event(), threading.Event()

    def wait(_: Sequence[str]) -> None:
        if len(library.embedder.embedded) >= 4:
            embedding.set()
            go_on.wait(60)

    library.embedder.before_batch = wait
    children = set(psutil.Process().children())
    run = asyncio.create_task(library.ingester().ingest(many(9), "default"))
    assert await asyncio.to_thread(embedding.wait, 60)
    assert set(psutil.Process().children()) > children
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    go_on.set()
    assert set(psutil.Process().children()) <= children
    rows = await stored(library)
    assert len(rows) == 4
    assert all(document.chunks for document in rows.values())
    library.embedder.before_batch = lambda _: None
    report = await library.ingester().ingest(many(9), "default")
    assert (report.unchanged, report.documents) == (4, 5)


# --- Side by side ---------------------------------------------------------------------------------


async def test_two_ingests_at_once_store_everything_once(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_batches(monkeypatch)
    await library.ingester().ingest([Given("000.txt", "To be replaced.")], "default")
    halves = [many(8), many(12)[::-1]]
    async with asyncio.timeout(60):
        reports: list[IngestReport] = await asyncio.gather(
            *(library.ingester().ingest(sources, "default") for sources in halves)
        )
    assert sum(report.documents + report.unchanged for report in reports) == 20
    rows = await stored(library)
    assert rows.keys() == {source.uri for source in many(12)}
    async with library.database.read() as session:
        owners = Counter(await session.scalars(select(ChunkRow.document_id)))
    assert set(owners.values()) == {1}
    assert len(owners) == 12
    assert await vectors(library) == await contents(library) == 12
    assert len(await found(library, "paragraph about", SearchMode.DENSE)) == 12


async def test_an_ingest_elsewhere_is_followed(library: Library) -> None:
    here = library.indexes()
    await library.ingester(here).ingest(FILES[:2], "default")
    searcher = library.searcher(here)
    assert len((await searcher.search(SearchRequest("plan cost"))).hits) > 0
    # Another process has indexes of its own over the same rows.
    await library.ingester().ingest(FILES, "default")
    result = await searcher.search(SearchRequest("plan cost", k=1))
    assert [hit.uri for hit in result.hits] == ["test:/plan.html"]


def message(attached: dict[str, str]) -> bytes:
    made = EmailMessage()
    made["Subject"] = "Minutes"
    made["From"] = "ann@example.org"
    made.set_content("The minutes of Tuesday are attached.")
    for name, text in attached.items():
        made.add_attachment(text, filename=name)
    return made.as_bytes()


async def test_attachments_come_and_go_with_their_message(library: Library) -> None:
    names = ("test:/a.eml", "test:/a.eml!/1/one.txt", "test:/a.eml!/2/two.txt")
    mail = Given("a.eml", message({"one.txt": "Heaps grow.", "two.txt": "Locks wait."}))
    seen: list[tuple[int, int]] = []
    report = await library.ingester().ingest(
        [mail], "default", on_progress=lambda p: seen.append((p.done, p.total))
    )
    assert (report.documents, report.failed) == (3, [])
    assert seen[-1] == (3, 3)
    assert sorted(await stored(library)) == sorted(names)
    # The message is the same: what came with it is not gone.
    same = await library.ingester().ingest([mail], "default", delete_missing=["test:/"])
    assert (same.unchanged, same.deleted) == (1, 0)
    less = Given("a.eml", message({"one.txt": "Heaps grow."}))
    report = await library.ingester().ingest([less], "default", delete_missing=["test:/"])
    assert report.deleted == 1
    assert sorted(await stored(library)) == sorted(names[:2])
    report = await library.ingester().ingest([], "default", delete_missing=["test:/"])
    assert report.deleted == 2


async def test_a_message_is_stored_after_what_is_attached(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between its attachments, a message is read again: it is not stored yet."""
    monkeypatch.setattr(pipeline, "_FIRST_BATCH_CHUNKS", 1)
    monkeypatch.setattr(pipeline, "_BATCH_CHUNKS", 1)
    order: list[str] = []
    put = pipeline.put_documents

    async def noting(session: Any, collection: Any, documents: Any) -> Any:
        order.extend(document.uri for document in documents)
        return await put(session, collection, documents)

    monkeypatch.setattr(pipeline, "put_documents", noting)
    mail = Given("a.eml", message({"one.txt": "Heaps grow.", "two.txt": "Locks wait."}))
    await library.ingester().ingest([mail], "default")
    assert order == ["test:/a.eml!/1/one.txt", "test:/a.eml!/2/two.txt", "test:/a.eml"]


async def test_near_duplicates_are_shown_once_and_named(library: Library) -> None:
    words = " ".join(f"word{n}" for n in range(60))
    files = [
        Given("one.txt", f"Heaps grow slowly. {words}"),
        Given("two.txt", f"Heaps grow quickly. {words}"),
        Given("other.txt", "Heaps are pages."),
    ]
    await library.ingester(near_duplicates=0.8).ingest(files, "default")
    searcher = library.searcher(near_duplicates=0.8)
    hits = (await searcher.search(SearchRequest("heaps grow word1 word2", k=3))).hits
    assert sorted(len(hit.near_duplicates) for hit in hits) == [0, 1]
    best = max(hits, key=lambda hit: len(hit.near_duplicates))
    assert "test:/other.txt" in {hit.uri for hit in hits}
    each = library.searcher(near_duplicates=0.0)
    every = (await each.search(SearchRequest("heaps grow word1 word2", k=3))).hits
    assert len(every) == 3
    assert best.near_duplicates[0] in {hit.chunk_id for hit in every} - {best.chunk_id}
    # Whoever judges candidates judges each.
    asked = SearchRequest("heaps grow word1 word2", k=1, candidates=True)
    assert (await searcher.search(asked)).hits == (await each.search(asked)).hits


async def test_an_ingest_over_a_damaged_index_builds_it_anew(library: Library) -> None:
    await library.ingester().ingest(FILES, "default")
    damaged = [path for path in (library.settings.home / "indexes").rglob("*") if path.is_file()]
    assert damaged
    for path in damaged:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] + b"\0damage")
    report = await library.ingester().ingest([*FILES, Given("b.txt", "A new quokka.")], "default")
    assert (report.documents, report.unchanged) == (1, len(FILES))
    for mode in (SearchMode.LEXICAL, SearchMode.DENSE):
        assert "test:/b.txt" in await found(library, "quokka", mode)
        assert "test:/storage.md" in await found(library, "vacuum reclaims storage", mode)
