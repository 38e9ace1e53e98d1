"""Search over rows and indexes, on both engines."""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import numpy as np
import pytest

from rostra.core import (
    CollectionNotFound,
    EmptyQuery,
    InvalidFilter,
    InvalidRequest,
    QueryTooLong,
    RostraError,
    SpaceMismatch,
)
from rostra.retrieval import (
    Indexes,
    SearchMode,
    SearchRequest,
    SearchResult,
    index,
    load_reranker,
)
from rostra.retrieval.collection import Changes, CollectionWriter
from rostra.retrieval.lexical import Scores
from rostra.store import (
    delete_collection,
    ensure_collection,
    ensure_space,
    get_collection,
    move_to_space,
    open_database,
    pending_chunks,
    put_vectors,
)
from rostra.store.tables import DocumentRow
from tests.fakes import FakeEmbedder, train_cross_encoder
from tests.integration.pipeline.conftest import Library

PAGES = {
    "vacuum.html": (
        "Vacuum reclaims storage of dead tuples.",
        "A full vacuum rewrites the whole table and locks it.",
    ),
    "index.html": (
        "An index can be created concurrently, without blocking writes.",
        "A partial index covers some rows of a table.",
        "Reindex rebuilds an index.",
    ),
    "lock.html": ("A lock on a row blocks other writers of the row.", "Advisory locks are free."),
    "plan.html": ("The planner chooses a plan by its estimated cost.",),
    "copy.html": ("Vacuum reclaims storage of dead tuples.",),
    "empty.html": (),
}
QUERIES = ("vacuum dead tuples", "create an index without blocking writes", "row lock", "zebra")


async def fill(library: Library) -> None:
    for number, (uri, paragraphs) in enumerate(PAGES.items()):
        await library.put(uri, *paragraphs, metadata={"number": number, "even": number % 2 == 0})


def plain(result: SearchResult) -> list[tuple[Any, ...]]:
    """A result without what differs from run to run: ids and timings."""
    return [
        (hit.collection, hit.uri, hit.start, hit.end, hit.text, hit.score, hit.scores)
        for hit in result.hits
    ]


async def answers(library: Library, indexes: Indexes | None = None) -> list[Any]:
    searcher = library.searcher(indexes)
    return [
        plain(await searcher.search(SearchRequest(query, k=5, mode=mode)))
        for query in QUERIES
        for mode in SearchMode
    ]


async def test_each_mode_fills_the_scores_of_its_stages(library: Library) -> None:
    await fill(library)
    searcher = library.searcher()
    query = "vacuum of dead tuples"
    asked = library.embedder.embed_query(query)

    dense = await searcher.search(SearchRequest(query, mode=SearchMode.DENSE))
    for hit in dense.hits:
        cosine = float(library.embedder.embed_query(hit.text) @ asked)
        assert hit.scores.dense == hit.score == pytest.approx(cosine, abs=1e-5)
        assert hit.scores.lexical is hit.scores.fused is hit.scores.rerank is None
    assert len(dense.hits) == 9

    lexical = await searcher.search(SearchRequest(query, mode=SearchMode.LEXICAL))
    assert {hit.uri for hit in lexical.hits} == {"vacuum.html", "copy.html"}
    for hit in lexical.hits:
        assert hit.scores.lexical == hit.score > 0
        assert hit.scores.dense is hit.scores.fused is hit.scores.rerank is None

    hybrid = await searcher.search(SearchRequest(query))
    by_lexical = {(hit.uri, hit.start): hit.score for hit in lexical.hits}
    by_dense = {(hit.uri, hit.start): hit.score for hit in dense.hits}
    assert len(hybrid.hits) == 9
    for hit in hybrid.hits:
        assert hit.scores.fused == hit.score
        assert hit.scores.rerank is None
        # Every candidate of the union has both scores, whichever side found it.
        assert hit.scores.dense == pytest.approx(by_dense[hit.uri, hit.start])
        assert hit.scores.lexical == pytest.approx(by_lexical.get((hit.uri, hit.start), 0.0))

    for result in (dense, lexical, hybrid):
        assert [hit.score for hit in result.hits] == sorted(
            (hit.score for hit in result.hits), reverse=True
        )
        assert result.query == query
        assert "total" in result.timings_ms
    # Equal passages tie; who goes first depends on nothing but their addresses.
    assert [hit.uri for hit in hybrid.hits[:2]] == ["copy.html", "vacuum.html"]
    assert hybrid.hits[0].score == hybrid.hits[1].score


async def test_hits_are_slices_of_documents_with_their_particulars(library: Library) -> None:
    await fill(library)
    for hit in (await library.searcher().search(SearchRequest("index table"))).hits:
        text = "\n\n".join(PAGES[hit.uri])
        assert hit.text == text[hit.start : hit.end]
        assert hit.title == f"Title of {hit.uri}"
        assert hit.metadata["number"] == list(PAGES).index(hit.uri)
        assert hit.page is None
        body = msgspec.to_builtins(hit)
        assert body["scores"].keys() == {"dense", "lexical", "fused", "rerank"}


async def test_results_do_not_depend_on_the_engine_nor_on_the_order_of_writing(
    library: Library, tmp_path: Path
) -> None:
    await fill(library)
    await library.put("lock.html", "to be replaced")
    await library.put("lock.html", *PAGES["lock.html"], metadata={"number": 2})
    async with await open_database(f"sqlite:///{tmp_path / 'other.db'}") as database:
        other = Library(database, library.settings, library.embedder)
        for uri in sorted(PAGES, reverse=True):
            await other.put(uri, *PAGES[uri])
        assert await answers(library) == await answers(other)


async def test_k_bounds_the_hits(library: Library) -> None:
    await fill(library)
    searcher = library.searcher(shortlist=2)
    for mode in (SearchMode.DENSE, SearchMode.HYBRID):
        for k in (1, 4, 9):
            result = await searcher.search(SearchRequest("vacuum index", k=k, mode=mode))
            assert len(result.hits) == k


async def test_a_selective_filter_still_gives_k_hits(library: Library) -> None:
    # Far more and better passages than the shortlist takes are forbidden.
    for number in range(30):
        await library.put(f"good{number}", "lock row lock row", metadata={"kind": "good"})
    for number in range(5):
        await library.put(f"bad{number}", f"a lock and much else {number}", metadata={"kind": "x"})
    searcher = library.searcher(shortlist=5)
    for mode in SearchMode:
        request = SearchRequest("lock row", k=5, mode=mode, filters={"kind": "x"})
        result = await searcher.search(request)
        assert sorted(hit.uri for hit in result.hits) == [f"bad{number}" for number in range(5)]
        nothing = await searcher.search(replace(request, filters={"kind": "none"}))
        assert nothing.hits == []


async def test_a_limit_for_each_document_lets_the_next_ones_in(library: Library) -> None:
    await library.put("many", *(f"lock row {number}" for number in range(8)))
    await library.put("one", "lock of a table")
    await library.put("two", "lock of a page", "lock")
    limited = await library.searcher().search(SearchRequest("lock row", k=5, per_document=1))
    assert sorted(hit.uri for hit in limited.hits) == ["many", "one", "two"]
    free = await library.searcher().search(SearchRequest("lock row", k=20))
    best: dict[str, Any] = {}
    for hit in free.hits:
        best.setdefault(hit.uri, hit)
    assert limited.hits == list(best.values())


async def test_several_collections_are_ranked_as_one(library: Library) -> None:
    await library.put("a", "vacuum storage", "row lock", collection="first")
    await library.put("a", "vacuum storage of tuples", collection="second")
    await library.put("b", "index", collection="third")
    searcher = library.searcher()
    names = ("first", "second", "first")
    dense = await searcher.search(SearchRequest("vacuum storage", names, mode=SearchMode.DENSE))
    assert [(hit.collection, hit.start) for hit in dense.hits] == [
        ("first", 0),
        ("second", 0),
        ("first", 16),
    ]
    for mode in SearchMode:
        result = await searcher.search(SearchRequest("vacuum storage", names, mode=mode))
        assert {hit.collection for hit in result.hits} <= {"first", "second"}
        assert len({hit.chunk_id for hit in result.hits}) == len(result.hits)


async def test_an_empty_collection_gives_no_hits(library: Library) -> None:
    await library.put("empty")
    async with library.database.write() as session:
        await ensure_collection(session, "new", library.embedder.space)
    searcher = library.searcher()
    for mode in SearchMode:
        for names in (("default",), ("new",), ("default", "new")):
            assert (await searcher.search(SearchRequest("vacuum", names, mode=mode))).hits == []


async def test_a_query_without_terms_is_answered_all_the_same(library: Library) -> None:
    await library.put("a", "vacuum storage")
    searcher = library.searcher()
    for query in ("the of and", "!?", "🙂", "x" * 8_000, "a\x00b\ud800"):
        for mode in SearchMode:
            result = await searcher.search(SearchRequest(query, mode=mode))
            assert len(result.hits) == (0 if mode is SearchMode.LEXICAL else 1)


BAD_REQUESTS: list[tuple[SearchRequest, type[RostraError], int]] = [
    (SearchRequest(""), EmptyQuery, 400),
    (SearchRequest(" \n\t"), EmptyQuery, 400),
    (SearchRequest("x" * 8_001), QueryTooLong, 413),
    (SearchRequest("x" * 100_000), QueryTooLong, 413),
    (SearchRequest("x", k=0), InvalidRequest, 400),
    (SearchRequest("x", k=-1), InvalidRequest, 400),
    (SearchRequest("x", k=1_001), InvalidRequest, 400),
    (SearchRequest("x", per_document=0), InvalidRequest, 400),
    (SearchRequest("x", ()), InvalidRequest, 400),
    (SearchRequest("x", tuple(f"c{at}" for at in range(21))), InvalidRequest, 400),
    (SearchRequest("x", ("nowhere",)), CollectionNotFound, 404),
    (SearchRequest("x", ("",)), CollectionNotFound, 404),
    (SearchRequest("x", ("../x",)), CollectionNotFound, 404),
    (SearchRequest("x", ("default", "nowhere")), CollectionNotFound, 404),
    (SearchRequest("x", filters={"number": {"like": 1}}), InvalidFilter, 400),
]


async def test_what_cannot_be_answered_is_a_typed_error(library: Library) -> None:
    await library.put("a", "vacuum storage")
    searcher = library.searcher()
    for request, error, status in BAD_REQUESTS:
        for mode in SearchMode:
            with pytest.raises(error) as refused:
                await searcher.search(replace(request, mode=mode))
            assert refused.value.status == status


async def test_vectors_of_another_model_are_not_compared(library: Library) -> None:
    await library.put("a", "vacuum storage")
    library.embedder = FakeEmbedder(revision="1" * 64)
    searcher = library.searcher()
    for mode in (SearchMode.DENSE, SearchMode.HYBRID):
        with pytest.raises(SpaceMismatch) as refused:
            await searcher.search(SearchRequest("vacuum", mode=mode))
        assert refused.value.hint
        assert "embed apply --collection default" in refused.value.hint
    # Words need no model.
    lexical = await searcher.search(SearchRequest("vacuum", mode=SearchMode.LEXICAL))
    assert len(lexical.hits) == 1


# --- Following the rows --------------------------------------------------------------------------


async def test_a_change_is_found_by_the_next_search(library: Library) -> None:
    await fill(library)
    searcher = library.searcher()
    for mode in SearchMode:
        request = SearchRequest("zebra", mode=mode, k=1)
        await library.put("zebra.html", "A zebra grazes.")
        assert [hit.text for hit in (await searcher.search(request)).hits] == ["A zebra grazes."]
        await library.put("zebra.html", "One zebra sleeps.")
        assert [hit.text for hit in (await searcher.search(request)).hits] == ["One zebra sleeps."]
        await library.delete("zebra.html")
        assert "zebra.html" not in [hit.uri for hit in (await searcher.search(request)).hits]


async def test_results_are_the_same_after_a_restart_and_without_the_cache(
    library: Library,
) -> None:
    await fill(library)
    first = library.indexes()
    await first.save("default")
    before = await answers(library, first)
    assert await answers(library) == before
    # Saved before the last changes: followed from there.
    await library.put("late.html", "Vacuum came late to the index.")
    await library.delete("plan.html")
    changed = await answers(library, first)
    assert changed != before
    assert await answers(library) == changed
    shutil.rmtree(library.settings.home / "indexes")
    assert await answers(library) == changed


@pytest.mark.parametrize("fault", ["vectors", "terms", "manifest", "pointer", "name", "all empty"])
async def test_a_damaged_cache_is_built_anew_from_the_rows(library: Library, fault: str) -> None:
    await fill(library)
    first = library.indexes()
    await first.save("default")
    expected = await answers(library, first)
    await first.close()
    (root,) = (library.settings.home / "indexes").iterdir()
    (folder,) = (path for path in root.iterdir() if path.is_dir())
    match fault:
        case "vectors":
            (path,) = (folder / "dense").glob("*.vectors-*")
            path.write_bytes(path.read_bytes()[::-1])
        case "terms":
            (path,) = (folder / "lexical").glob("*.seg")
            path.write_bytes(path.read_bytes()[::-1])
        case "manifest":
            path = folder / "table" / "manifest.json"
            path.write_bytes(path.read_bytes()[:-7])
        case "pointer":
            (root / "manifest.json").write_bytes(b"{}")
        case "name":
            folder.rename(folder.with_name(f".{uuid4()}"))
        case "all empty":
            for path in folder.rglob("*"):
                if path.is_file():
                    path.write_bytes(b"")
    for _ in range(2):  # built anew, and what that left behind
        restarted = library.indexes()
        assert await answers(library, restarted) == expected
        await restarted.save("default")
        await restarted.close()
        assert len([path for path in root.iterdir() if path.is_dir()]) == 1


async def test_searches_at_once_build_an_index_once(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(library)
    built: list[int] = []

    def take_in(writer: CollectionWriter, changes: Changes) -> None:
        built.append(len(changes.rows))
        original(writer, changes)

    original = CollectionWriter.take_in
    monkeypatch.setattr(CollectionWriter, "take_in", take_in)
    searcher = library.searcher()
    results = await asyncio.gather(*(searcher.search(SearchRequest("vacuum")) for _ in range(5)))
    assert built == [9]
    assert len({str(plain(result)) for result in results}) == 1
    await asyncio.gather(*(searcher.search(SearchRequest("vacuum")) for _ in range(3)))
    assert built == [9]


async def test_a_document_deleted_between_index_and_rows_is_not_returned(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(library)
    followed = library.indexes()
    original = followed.current

    async def current(collection: Any) -> index.CollectionIndex:
        found = await original(collection)
        await library.delete("vacuum.html")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(followed, "current", current)
        result = await library.searcher(followed).search(SearchRequest("vacuum", k=5))
    # The next ones move up, so that there are still as many as asked for.
    assert len(result.hits) == 5
    assert "vacuum.html" not in {hit.uri for hit in result.hits}


async def test_a_filter_is_checked_again_on_the_rows(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    await library.put("a", "vacuum storage", metadata={"open": True})
    await library.put("b", "vacuum tuples", metadata={"open": True})
    followed = library.indexes()
    original = followed.current

    async def current(collection: Any) -> index.CollectionIndex:
        found = await original(collection)
        async with library.database.write() as session:
            await session.execute(
                DocumentRow.__table__.update()
                .values(metadata={"open": False})
                .where(DocumentRow.uri == "a")
            )
        return found

    monkeypatch.setattr(followed, "current", current)
    result = await library.searcher(followed).search(
        SearchRequest("vacuum", filters={"open": True})
    )
    assert [hit.uri for hit in result.hits] == ["b"]


async def test_a_collection_made_again_under_its_name_shows_nothing_of_the_old_one(
    library: Library,
) -> None:
    await fill(library)
    followed = library.indexes()
    searcher = library.searcher(followed)
    assert (await searcher.search(SearchRequest("vacuum"))).hits
    async with library.database.write() as session:
        gone = await delete_collection(session, "default")
    with pytest.raises(CollectionNotFound):
        await searcher.search(SearchRequest("vacuum"))
    followed.drop(gone)
    await library.put("new", "vacuum of something else")
    result = await searcher.search(SearchRequest("vacuum"))
    assert [hit.uri for hit in result.hits] == ["new"]


async def move(library: Library, embedder: FakeEmbedder) -> None:
    """Embeds the default collection anew."""
    async with library.database.write() as session:
        target = await get_collection(session, "default")
        space_id = (await ensure_space(session, embedder.space)).id
        pending = await pending_chunks(session, target.id, space_id, 100)
        vectors = embedder.embed_documents([chunk.text for chunk in pending])
        keys = [chunk.content_hash for chunk in pending]
        await put_vectors(session, target.id, space_id, dict(zip(keys, vectors, strict=True)))
        await move_to_space(session, target.id, embedder.space)


async def test_a_collection_embedded_anew_is_never_taken_for_the_old_one(
    library: Library,
) -> None:
    await fill(library)
    followed = library.indexes()
    await followed.save("default")
    await library.put("late.html", "Vacuum came late.")
    async with library.database.read() as session:
        before = await get_collection(session, "default")
    new = FakeEmbedder(dimensions=48, revision="1" * 64)
    await move(library, new)
    # What a search holds that began before the move, here and in a process without an index.
    for indexes_ in (followed, library.indexes()):
        late = await indexes_.current(before)
        assert late.space == new.space.fingerprint
        assert (late.chunks, late.dense.view.dimensions) == (10, 48)
    with pytest.raises(SpaceMismatch):
        await library.searcher(followed).search(SearchRequest("vacuum"))
    library.embedder = new
    assert (await library.searcher(followed).search(SearchRequest("vacuum"))).hits
    assert await answers(library) == await answers(library, followed)


# --- Reranking ----------------------------------------------------------------------------------


class LongestFirst:
    """A reranker that likes long passages."""

    name = "test/longest"

    def __init__(self) -> None:
        self.read: list[Sequence[str]] = []

    def scores(self, query: str, passages: Sequence[str]) -> Scores:
        self.read.append(passages)
        return np.array([len(passage) for passage in passages], np.float64)


async def test_reranking_reorders_and_neither_adds_nor_drops(library: Library) -> None:
    await fill(library)
    reranker = LongestFirst()
    searcher = library.searcher(reranker=lambda: reranker)
    plain_hits = (await searcher.search(SearchRequest("vacuum", k=50, rerank=False))).hits
    assert reranker.read == []
    hits = (await searcher.search(SearchRequest("vacuum", k=50))).hits
    assert {hit.chunk_id for hit in hits} == {hit.chunk_id for hit in plain_hits}
    assert [hit.score for hit in hits] == sorted((len(hit.text) for hit in hits), reverse=True)
    by_id = {hit.chunk_id: hit for hit in plain_hits}
    for hit in hits:
        assert hit.scores.rerank == hit.score == len(hit.text)
        assert hit.scores.fused == by_id[hit.chunk_id].score
    assert all(hit.scores.rerank is None for hit in plain_hits)


async def test_the_reranker_reads_more_than_is_asked_for(library: Library) -> None:
    await fill(library)
    reranker = LongestFirst()
    searcher = library.searcher(reranker=lambda: reranker, rerank_candidates=9)
    hits = (await searcher.search(SearchRequest("vacuum", k=1))).hits
    assert len(reranker.read[0]) == 9
    longest = max((text for page in PAGES.values() for text in page), key=len)
    assert [hit.text for hit in hits] == [longest]


async def test_a_cross_encoder_puts_the_right_passage_first(
    library: Library, tmp_path_factory: pytest.TempPathFactory
) -> None:
    await library.put("wrong", "lock page row")
    await library.put("also wrong", "the page row of index", "query a row page")
    await library.put("right", "a vacuum in the")
    model = train_cross_encoder(tmp_path_factory.getbasetemp() / "cross-encoder")
    reranker = load_reranker(library.settings.model_copy(update={"reranker_model": model}))
    searcher = library.searcher(reranker=lambda: reranker)
    request = SearchRequest("vacuum page row")
    before = (await searcher.search(replace(request, rerank=False))).hits
    after = (await searcher.search(request)).hits
    assert before[0].uri != "right"
    assert after[0].uri == "right"
    assert {hit.chunk_id for hit in after} == {hit.chunk_id for hit in before}
    assert all(hit.scores.rerank == hit.score for hit in after)


async def test_no_hits_need_no_reranking(library: Library) -> None:
    await library.put("a", "vacuum")
    searcher = library.searcher(reranker=LongestFirst)
    result = await searcher.search(SearchRequest("zebra", mode=SearchMode.LEXICAL))
    assert result.hits == []


# --- Phrases and prefixes -------------------------------------------------------------------------


async def test_what_is_in_quotes_must_occur_whichever_side_finds_it(library: Library) -> None:
    await library.put("a", "An index scan of a table.", metadata={"old": True})
    await library.put("b", "A table scan reads an index.", "The index scan is quick.")
    searcher = library.searcher()
    for mode in SearchMode:
        request = SearchRequest('"index scan" table', mode=mode, operators=True)
        result = await searcher.search(request)
        assert {(hit.uri, hit.start) for hit in result.hits} == {("a", 0), ("b", 30)}
        filtered = await searcher.search(replace(request, filters={"old": True}))
        assert [hit.uri for hit in filtered.hits] == ["a"]
        assert (await searcher.search(replace(request, query='"scan index"'))).hits == []
        # Without operators quotes are nothing but punctuation.
        words = await searcher.search(replace(request, operators=False))
        assert {hit.uri for hit in words.hits} == {"a", "b"}
        assert len(words.hits) == 3


async def test_a_prefix_stands_for_the_terms_that_start_so(library: Library) -> None:
    await library.put("a", "Checkpoints write dirty pages.")
    await library.put("b", "A checksum of the page.")
    await library.put("c", "Vacuum.")
    searcher = library.searcher()
    request = SearchRequest("check*", mode=SearchMode.LEXICAL, operators=True)
    result = await searcher.search(request)
    assert {hit.uri for hit in result.hits} == {"a", "b"}
    # What it was expanded to says nothing about which of the query's words matter.
    assert result.term_weights == {}
    both = await searcher.search(replace(request, query="page check*"))
    assert both.term_weights.keys() == {"page"}
    assert (await searcher.search(replace(request, operators=False))).hits == []
    hybrid = await searcher.search(replace(request, mode=SearchMode.HYBRID))
    assert {hit.uri for hit in hybrid.hits if hit.scores.lexical} == {"a", "b"}


async def test_a_second_process_follows_by_itself_and_keeps_nothing(library: Library) -> None:
    await fill(library)
    first, second = library.indexes(), library.indexes()
    await first.save("default")
    assert await answers(library, second) == await answers(library, first)
    await library.put("late.html", "Vacuum came late to the index.")
    changed = await answers(library, second)
    assert await answers(library, first) == changed
    await second.save("default")
    await first.close()
    # Nobody keeps it any more: the next saving does.
    await second.save("default")
    assert await answers(library, second) == changed
    await second.close()
    third = library.indexes()
    assert await answers(library, third) == changed
    await third.close()


# --- Threads ------------------------------------------------------------------------------------


async def test_one_thread_does_a_search_whose_index_is_up_to_date(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(library)
    searcher = library.searcher()
    await searcher.search(SearchRequest("vacuum"))
    handed = []
    original = asyncio.to_thread

    async def to_thread(work: Any, *args: Any) -> Any:
        handed.append(work)
        return await original(work, *args)

    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    for mode in SearchMode:
        found = await searcher.search(SearchRequest("vacuum", mode=mode, filters={"even": True}))
        assert {hit.metadata["even"] for hit in found.hits} == {True}
    assert len(handed) == len(SearchMode)


async def test_what_was_gone_or_hidden_when_a_search_began_is_not_in_it(library: Library) -> None:
    count = 8
    for number in range(count):
        text = f"Vacuum of table {number}."
        await library.put(f"{number}", text, "vacuum", metadata={"open": True})
    searcher = library.searcher()
    out: set[str] = set()

    async def take_out() -> None:
        for number in range(count):
            uri = f"{number}"
            if number % 2:
                await library.delete(uri)
            else:
                await library.put(uri, f"Vacuum of table {number}.", metadata={"open": False})
            out.add(uri)

    async def ask() -> None:
        while len(out) < count:
            before = set(out)
            request = SearchRequest("vacuum table", k=50, filters={"open": True})
            hits = (await searcher.search(request)).hits
            assert not before & {hit.uri for hit in hits}
            for hit in hits:
                assert hit.metadata["open"] is True
                assert hit.text in (f"Vacuum of table {hit.uri}.", "vacuum")

    await asyncio.gather(take_out(), *(ask() for _ in range(3)))
    request = SearchRequest("vacuum table", k=50, filters={"open": True})
    assert (await searcher.search(request)).hits == []
