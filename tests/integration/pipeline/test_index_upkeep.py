"""What is done for indexes beside searches, and what happens when it cannot be done."""

import asyncio
import shutil
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from rostra.core import CollectionNotFound, DenseIndexKind, StoreUnavailable
from rostra.retrieval import Indexes, SearchRequest, collection, indexes
from rostra.retrieval.collection import Changes, CollectionWriter
from rostra.retrieval.dense import DenseOptions, DenseReader, FinderFailed, live
from rostra.retrieval.held import HeldIndex
from rostra.retrieval.index import CollectionIndex
from rostra.retrieval.lexical import DamagedIndex, merging
from rostra.store import Collection, delete_collection, get_collection
from tests.integration.pipeline.conftest import Library

# Nothing here depends on the engine.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
WORDS = ("vacuum", "lock", "tuple", "heap", "buffer", "index", "plan", "join")


async def fill(library: Library, count: int = 8) -> None:
    for number in range(count):
        await library.put(f"{number}.html", f"{WORDS[number % 8]} {number}", f"page {number}")


async def answers(library: Library, of: Indexes) -> list[Any]:
    searcher = library.searcher(of)
    return [
        [(hit.uri, hit.start, hit.score) for hit in (await searcher.search(request)).hits]
        for request in (SearchRequest("vacuum heap", k=5), SearchRequest("page lock", k=5))
    ]


async def held(library: Library, of: Indexes) -> HeldIndex:
    async with library.database.read() as session:
        return of._held[(await get_collection(session, "default")).id]


async def finished(library: Library, of: Indexes) -> None:
    """Waits for what runs beside searches."""
    thread = (await held(library, of))._thread
    assert thread is not None
    await asyncio.to_thread(thread.join)


def use(monkeypatch: pytest.MonkeyPatch, kind: DenseIndexKind = "int8", **options: Any) -> None:
    monkeypatch.setattr(
        indexes, "dense_options", lambda _: DenseOptions(kind=kind, train_at=5, **options)
    )
    monkeypatch.setattr(live, "GATHER", 0)
    monkeypatch.setattr(collection, "_WORTH_COMPACTING", 1)


async def test_an_index_is_trained_beside_searches_and_then_used(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch)
    await fill(library)
    followed = library.indexes()
    before = await answers(library, followed)
    await finished(library, followed)
    assert await answers(library, followed) == before
    index = (await held(library, followed))._index
    assert index is not None
    assert index.dense.finder is not None
    assert index.dense.finder.count == 16
    await followed.close()
    # It was written down: nothing is trained at the next start.
    monkeypatch.setattr(CollectionWriter, "improve", None)
    again = library.indexes()
    assert await answers(library, again) == before
    assert not (await held(library, again)).writer.due
    await again.close()


async def test_the_event_loop_never_waits_for_a_writer(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    snapshot = CollectionWriter.snapshot

    def seen(writer: CollectionWriter) -> CollectionIndex:
        threads.append(threading.current_thread())
        return snapshot(writer)

    monkeypatch.setattr(CollectionWriter, "snapshot", seen)
    followed = library.indexes()
    for count in (1, 2):
        await fill(library, count)
        assert (await answers(library, followed))[0]
        assert len(threads) == count
    assert threading.current_thread() not in threads
    await followed.close()


async def test_without_the_gpu_that_was_asked_for_every_vector_is_looked_at(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, "gpu_flat", device="cuda:99")
    await fill(library)
    followed = library.indexes()
    await followed.save("default")
    use(monkeypatch, "flat")
    exact = library.indexes()
    assert await answers(library, followed) == await answers(library, exact)
    # Nor is it tried again for every search.
    monkeypatch.setattr(CollectionWriter, "improve", _raises(FinderFailed("asked again")))
    assert await answers(library, followed) == await answers(library, exact)
    await followed.close()
    await exact.close()


async def test_what_became_sparse_is_written_anew(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch)
    await fill(library)
    followed = library.indexes()
    await followed.save("default")
    for number in range(0, 8, 2):
        await library.delete(f"{number}.html")
    before = await answers(library, followed)
    folder = (await held(library, followed)).writer.folder
    await followed.save("default")
    await library.put("late.html", "vacuum again")
    await library.delete("late.html")
    assert await answers(library, followed) == before
    writer = (await held(library, followed)).writer
    assert writer.folder != folder
    assert not folder.exists()
    assert len(writer) == 8  # and nothing of what came and went since
    await followed.close()
    again = library.indexes()
    assert await answers(library, again) == before
    await again.close()


async def test_damage_that_is_found_later_makes_it_built_anew(library: Library) -> None:
    await fill(library)
    followed = library.indexes()
    await followed.save("default")
    before = await answers(library, followed)
    await finished(library, followed)
    kept = await held(library, followed)
    folder = kept.writer.folder
    (path,) = (folder / "dense").glob("*.vectors-*")
    with path.open("r+b") as file:
        file.write(np.zeros(32, np.float32).tobytes())
    kept._verified = False
    await library.searcher(followed).search(SearchRequest("vacuum"))
    assert kept._thread is not None
    await asyncio.to_thread(kept._thread.join)
    assert kept.reopen
    assert await answers(library, followed) == before
    assert (await held(library, followed)).writer.folder != folder
    await followed.close()


async def test_damage_that_a_search_meets_is_told_and_the_next_one_answers(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(library)
    followed = library.indexes()
    await followed.save("default")
    before = await answers(library, followed)
    with monkeypatch.context() as patch:
        patch.setattr(DenseReader, "search", _raises(DamagedIndex(Path("vectors"), "is short")))
        with pytest.raises(StoreUnavailable, match="is short") as told:
            await answers(library, followed)
    assert told.value.hint
    assert await answers(library, followed) == before
    await followed.close()


async def test_a_long_way_goes_on_where_it_was_broken_off(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "_BATCH", 2)
    monkeypatch.setattr(indexes, "_CHECKPOINT", 1)
    await fill(library)
    seen: list[list[str]] = []
    original = CollectionWriter.take_in

    def take_in(writer: CollectionWriter, changes: Changes) -> None:
        if len(seen) == 3:
            seen.append([])
            raise OSError(28, "No space left on device")
        seen.append(sorted(stamp.uri for stamp in changes.stamps))
        original(writer, changes)

    monkeypatch.setattr(CollectionWriter, "take_in", take_in)
    followed = library.indexes()
    with pytest.raises(StoreUnavailable, match="No space") as refused:
        await answers(library, followed)
    assert refused.value.hint
    found = await answers(library, followed)
    assert seen[4:] == [["6.html", "7.html"]]
    fresh = library.indexes()
    assert found == await answers(library, fresh)
    await followed.close()
    await fresh.close()


async def test_what_is_scattered_over_files_is_gathered_when_it_is_saved(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "_WORTH_GATHERING", 1)
    followed = library.indexes()
    for number in range(3):
        await library.put(f"{number}.html", f"{WORDS[number]} heap", "page")
        await followed.save("default")
    kept = (await held(library, followed)).writer.folder / "lexical"
    assert len(list(kept.glob("*.seg"))) == 1
    found = await answers(library, followed)
    assert len((await followed.current(await of_default(library))).lexical.parts) == 1
    await library.put("3.html", "late heap")
    later = await answers(library, followed)
    await followed.close()
    again, fresh = library.indexes(), library.indexes()
    assert await answers(library, again) == later != found
    await again.close()
    shutil.rmtree(library.settings.home / "indexes")
    assert await answers(library, fresh) == later
    await fresh.close()


async def of_default(library: Library) -> Collection:
    async with library.database.read() as session:
        return await get_collection(session, "default")


async def test_of_a_collection_that_is_deleted_meanwhile_nothing_is_left(library: Library) -> None:
    await fill(library)
    followed = library.indexes()
    await followed.save("default")
    await library.put("late.html", "vacuum")
    async with library.database.read() as session:
        before = await get_collection(session, "default")
    async with library.database.write() as session:
        await delete_collection(session, "default")
    for of in (followed, library.indexes()):
        with pytest.raises(CollectionNotFound):
            await of.current(before)
        assert list((library.settings.home / "indexes").iterdir()) == []
        await of.close()


async def test_a_search_that_is_cancelled_leaves_no_change_half_taken_in(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(library, 3)
    followed = library.indexes()
    entered, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    original = CollectionWriter.take_in

    def take_in(writer: CollectionWriter, changes: Changes) -> None:
        loop.call_soon_threadsafe(entered.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
        original(writer, changes)

    monkeypatch.setattr(CollectionWriter, "take_in", take_in)
    searcher = library.searcher(followed)
    search = asyncio.create_task(searcher.search(SearchRequest("vacuum")))
    await entered.wait()
    search.cancel()
    with pytest.raises(asyncio.CancelledError):
        await search
    await library.put("late.html", "vacuum came late")
    go_on.set()
    found = await searcher.search(SearchRequest("vacuum"))
    assert {hit.uri for hit in found.hits} == {"0.html", "1.html", "2.html", "late.html"}
    assert len(found.hits) == 7
    await followed.close()


async def test_what_follows_ends_soon_after_the_event_loop(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "_BATCH", 2)
    await fill(library)
    followed = library.indexes()
    entered, go_on, ended = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    original, whole = CollectionWriter.take_in, Indexes._catch_up
    taken: list[int] = []

    def take_in(writer: CollectionWriter, changes: Changes) -> None:
        loop.call_soon_threadsafe(entered.set)
        go_on.wait()
        taken.append(len(changes.stamps))
        original(writer, changes)

    def catch_up(of: Indexes, *arguments: Any) -> Collection:
        try:
            return whole(of, *arguments)
        finally:
            ended.set()

    with monkeypatch.context() as patch:
        patch.setattr(CollectionWriter, "take_in", take_in)
        patch.setattr(Indexes, "_catch_up", catch_up)
        search = asyncio.create_task(answers(library, followed))
        await entered.wait()
        (task,) = followed._following.values()
        task.cancel()  # as the end of the loop does
        with pytest.raises(asyncio.CancelledError):
            await search
        go_on.set()
        await asyncio.to_thread(ended.wait)
    assert taken == [2]
    await followed.close()
    again, fresh = library.indexes(), library.indexes()
    found = await answers(library, again)
    await again.close()
    assert found == await answers(library, fresh)
    await fresh.close()


async def test_an_index_older_than_the_log_of_removals_compares_all_documents(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rostra.store.changes.LOGGED", 3)
    monkeypatch.setattr(indexes, "_BATCH", 2)
    await fill(library)
    followed = library.indexes()
    await followed.save("default")
    read: list[UUID] = []
    original = CollectionWriter.take_in

    def take_in(writer: CollectionWriter, changes: Changes) -> None:
        read.extend(stamp.id for stamp in changes.stamps)
        original(writer, changes)

    monkeypatch.setattr(CollectionWriter, "take_in", take_in)
    for number in range(5):
        await library.delete(f"{number}.html")
    await library.put("6.html", "rewritten heap")
    await library.put("new.html", "lock of a page")
    found = await answers(library, followed)
    assert len(read) == 2
    fresh = library.indexes()
    assert found == await answers(library, fresh)
    await followed.close()
    await fresh.close()


def _raises(error: Exception) -> Any:
    def function(*_: object) -> None:
        raise error

    return function


async def test_following_that_has_just_ended_is_not_waited_for_again(library: Library) -> None:
    await fill(library, 3)
    followed = library.indexes()
    await followed.save("default")
    async with library.database.read() as session:
        before = await get_collection(session, "default")
    # As in the moment before what ended is put away.
    ended = asyncio.create_task(followed.current(before))
    await ended
    followed._following[before.id] = ended
    await library.put("late.html", "vacuum came late")
    found = await library.searcher(followed).search(SearchRequest("late"))
    assert found.hits[0].uri == "late.html"
    assert not followed._following
    await followed.close()
