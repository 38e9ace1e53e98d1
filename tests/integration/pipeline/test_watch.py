"""A watched folder: what a collection holds follows it."""

import asyncio
import os
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from rostra.core import PathNotFound
from rostra.ingest import FolderWatch, WatchPace, ingest_change
from rostra.ingest.items import FailedSource
from rostra.store import document_versions, get_collection

PACE = WatchPace(quiet=0.02, longest=0.1, rescan=3600)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "notes"
    path.mkdir()
    return path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def names(items: list[Any]) -> list[str]:
    return sorted(item.uri.rpartition("/notes/")[2] for item in items)


def gone(uris: list[str]) -> list[str]:
    return sorted(uri.rpartition("/notes/")[2] for uri in uris)


def test_each_look_gives_what_is_different(folder: Path, settings: Any) -> None:
    write(folder / "a.md", "alpha")
    write(folder / "sub/b.md", "beta")
    watch = FolderWatch(folder, settings)
    first = watch.look()
    assert (names(first.sources), first.gone, first.is_first) == (["a.md", "sub/b.md"], [], True)
    assert watch.look() == type(first)()
    write(folder / "a.md", "alpha!")
    write(folder / "c.md", "gamma")
    write(folder / ".hidden.md", "x")
    os.utime(folder / "sub/b.md", (1, 1))
    assert names(watch.look().sources) == ["a.md", "c.md", "sub/b.md"]
    (folder / "a.md").unlink()
    (folder / "sub").rename(folder / "other")
    change = watch.look()
    assert (names(change.sources), gone(change.gone)) == (["other/b.md"], ["a.md", "sub/b.md"])


def test_a_file_that_replaces_another_of_its_size_and_time_is_seen(
    folder: Path, settings: Any
) -> None:
    write(folder / "a.md", "one")
    os.utime(folder / "a.md", (5, 5))
    watch = FolderWatch(folder, settings)
    watch.look()
    write(folder / "b.tmp", "two")
    os.utime(folder / "b.tmp", (5, 5))
    (folder / "b.tmp").replace(folder / "a.md")
    assert names(watch.look().sources) == ["a.md"]


def test_members_of_an_archive_change_with_it(folder: Path, settings: Any) -> None:
    def pack(*members: str) -> None:
        with zipfile.ZipFile(folder / "x.zip", "w") as archive:
            for name in members:
                archive.writestr(name, "text")

    pack("1.md", "2.md")
    watch = FolderWatch(folder, settings)
    assert names(watch.look().sources) == ["x.zip!/1.md", "x.zip!/2.md"]
    pack("2.md", "3.md")
    change = watch.look()
    assert (names(change.sources), gone(change.gone)) == (
        ["x.zip!/2.md", "x.zip!/3.md"],
        ["x.zip!/1.md"],
    )
    (folder / "x.zip").write_bytes(b"PK damaged")
    change = watch.look()
    assert [isinstance(item, FailedSource) for item in change.sources] == [True]
    assert change.gone == []
    assert watch.look() == type(change)()
    (folder / "x.zip").unlink()
    assert gone(watch.look().gone) == ["x.zip", "x.zip!/2.md", "x.zip!/3.md"]


def test_a_folder_that_is_not_there_has_lost_nothing(folder: Path, settings: Any) -> None:
    write(folder / "a.md", "alpha")
    watch = FolderWatch(folder, settings)
    watch.look()
    folder.rename(folder.with_name("away"))
    with pytest.raises(PathNotFound):
        watch.look()
    folder.with_name("away").rename(folder)
    assert watch.look() == type(watch.look())()
    with pytest.raises(PathNotFound):
        FolderWatch(folder / "a.md", settings)
    with pytest.raises(PathNotFound):
        FolderWatch(folder / "nowhere", settings)


@asynccontextmanager
async def following(library: Any, folder: Path) -> AsyncIterator[Callable[[set[str]], Any]]:
    """Follows the folder; gives a wait for what is stored. The test's timeout is the limit."""
    watch = FolderWatch(folder, library.settings, PACE)
    ingester = library.ingester()

    async def follow() -> None:
        async for change in watch.changes():
            await ingest_change(ingester, library.database, watch, change, "default")

    async def holds(wanted: set[str]) -> None:
        while await stored(library) != wanted:
            assert not task.done(), task
            await asyncio.sleep(0.01)

    task = asyncio.create_task(follow())
    try:
        yield holds
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def stored(library: Any) -> set[str]:
    async with library.database.read() as session:
        with suppress(Exception):
            collection = await get_collection(session, "default")
            versions = await document_versions(session, collection.id)
            return {uri.rpartition("/notes/")[2] for uri in versions}
    return set()


async def test_a_collection_follows_its_folder_and_goes_on_after_a_restart(
    library: Any, folder: Path
) -> None:
    write(folder / "a.md", "alpha")
    write(folder / "b.md", "beta")
    async with following(library, folder) as holds:
        await holds({"a.md", "b.md"})
        write(folder / "new/c.md", "gamma")
        await holds({"a.md", "b.md", "new/c.md"})
        (folder / "a.md").unlink()
        await holds({"b.md", "new/c.md"})
        (folder / "new").rename(folder / "old")
        await holds({"b.md", "old/c.md"})
    # While nobody looks.
    (folder / "b.md").unlink()
    write(folder / "d.md", "delta")
    embedded = len(library.embedder.embedded)
    async with following(library, folder) as holds:
        await holds({"old/c.md", "d.md"})
    (new,) = library.embedder.embedded[embedded:]
    assert new.endswith("delta")


async def test_many_changes_at_once_end_in_what_is_there(library: Any, folder: Path) -> None:
    async with following(library, folder) as holds:
        await holds(set())
        for number in range(60):
            write(folder / f"{number}.md", f"text {number}")
            if number % 3 == 0:
                (folder / f"{number}.md").unlink()
        await holds({f"{n}.md" for n in range(60) if n % 3})
