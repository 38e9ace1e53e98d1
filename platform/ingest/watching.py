"""A folder followed as it changes: what is new or changed is read, what is gone is deleted.

What always holds: events of the file system only say when to look; what changed is found by
comparing the whole listing with the one before, so an event that was missed costs time and nothing
else. What is below a folder or an archive that cannot be read is not taken to be gone, nor is
anything when the watched folder itself is not there.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from watchfiles import Change, DefaultFilter, awatch

from rostra.core import CollectionNotFound, PathNotFound, Settings, get_logger
from rostra.ingest import media
from rostra.ingest.items import FailedSource, Source
from rostra.ingest.pipeline import AnySource, Ingester, IngestReport, OnProgress
from rostra.ingest.sources import file_uri, list_sources
from rostra.store import (
    Database,
    delete_document,
    document_versions,
    get_collection,
)

log = get_logger(__name__)

# Device, inode, size and time of change; None where the file cannot be looked at.
_Stamp = tuple[int, int, int, int] | None


@dataclass(frozen=True, slots=True)
class WatchPace:
    """Seconds.

    Attributes:
        quiet: events that follow each other faster than this are looked at together.
        longest: events that never pause are looked at after this.
        rescan: time between looks without any event.
    """

    quiet: float = 0.5
    longest: float = 5.0
    rescan: float = 300.0


@dataclass(frozen=True, slots=True)
class FolderChange:
    """What is different since the last look.

    Attributes:
        sources: new or changed ones.
        gone: addresses of what was there and is not any more.
        is_first: nothing is known of what was there before; `sources` is everything.
    """

    sources: list[AnySource] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    is_first: bool = False


class _Filter(DefaultFilter):
    """Lets pass what ingest would look at: not hidden files, nor folders that are passed over."""

    def __init__(self, root: Path) -> None:
        super().__init__(ignore_dirs=(), ignore_entity_patterns=(), ignore_paths=())
        self._root = root

    def __call__(self, change: Change, path: str) -> bool:
        try:
            parts = Path(path).relative_to(self._root).parts
        except ValueError:
            return True
        return not any(part.startswith(".") or part in media.SKIPPED_FOLDERS for part in parts)


class FolderWatch:
    """Looks at one folder again and again.

    Args:
        folder: what is watched; links are resolved once.
        settings: limits for files and archives.
        pace: when to look.

    Raises:
        PathNotFound: it is no folder.
    """

    def __init__(self, folder: Path, settings: Settings, pace: WatchPace | None = None) -> None:
        self.folder = folder.absolute().resolve()
        if not self.folder.is_dir():
            raise PathNotFound(
                f"there is no folder {folder}", hint="Check the path.", path=str(folder)
            )
        self._settings = settings
        self._pace = pace or WatchPace()
        self._stamps: dict[str, _Stamp] = {}
        self._looked = False

    @property
    def prefix(self) -> str:
        """What the addresses of the folder's files begin with."""
        return file_uri(self.folder) + "/"

    async def changes(self) -> AsyncGenerator[FolderChange, None]:
        """First everything, then what changes, until closed; an empty change is not given."""
        async with aclosing(self._moments()) as moments:
            async for _ in moments:
                try:
                    change = await asyncio.to_thread(self.look)
                except PathNotFound:
                    log.warning("watched folder is not there", folder=str(self.folder))
                    continue
                if change.is_first or change.sources or change.gone:
                    yield change

    def look(self) -> FolderChange:
        """What has changed since the last call. Blocks.

        Raises:
            PathNotFound: the folder is not there; nothing counts as gone then.
        """
        if not self.folder.is_dir():
            raise PathNotFound(f"there is no folder {self.folder}", path=str(self.folder))
        items = list_sources([self.folder], self._settings).items
        now = {item.uri: _stamp(item) for item in items}
        unknown = tuple(
            item.uri + below
            for item in items
            if isinstance(item, FailedSource)
            for below in ("/", "!/")
        )
        before, is_first = self._stamps, not self._looked
        hidden = {uri: stamp for uri, stamp in before.items() if uri.startswith(unknown)}
        gone = [uri for uri in before if uri not in now and uri not in hidden]
        changed: list[AnySource] = [
            item for item in items if item.uri not in before or before[item.uri] != now[item.uri]
        ]
        self._stamps = {**hidden, **now}
        self._looked = True
        return FolderChange(changed, gone, is_first)

    async def _moments(self) -> AsyncGenerator[None, None]:
        """When to look: at once, after events, and now and then."""
        pace = self._pace
        while True:
            try:
                events = awatch(
                    self.folder,
                    watch_filter=_Filter(self.folder),
                    debounce=round(1000 * pace.longest),
                    step=round(1000 * pace.quiet),
                    rust_timeout=round(1000 * pace.rescan),
                    yield_on_timeout=True,
                    ignore_permission_denied=True,
                    recursive=True,
                )
                async with aclosing(events):
                    # Begun before the first look, so that nothing falls between the two.
                    following = asyncio.ensure_future(anext(events))
                    await asyncio.sleep(0)
                    try:
                        yield None
                        while True:
                            await following
                            following = asyncio.ensure_future(anext(events))
                            yield None
                    finally:
                        following.cancel()
                        await asyncio.wait({following})
            except (OSError, StopAsyncIteration) as error:
                # The folder went, or the system watches no more files: look now and then.
                log.warning("not told of changes", folder=str(self.folder), reason=str(error))
                yield None
            await asyncio.sleep(min(pace.rescan, 10 * pace.longest))


async def ingest_change(
    ingester: Ingester,
    database: Database,
    watch: FolderWatch,
    change: FolderChange,
    collection: str,
    on_progress: OnProgress | None = None,
) -> IngestReport:
    """Brings a collection to what a folder holds now.

    Raises:
        RostraError: as `Ingester.ingest` does; what was committed stays.
    """
    deleted = await _delete(database, collection, change.gone)
    report = await ingester.ingest(
        change.sources,
        collection,
        on_progress=on_progress,
        delete_missing=[watch.prefix] if change.is_first else [],
    )
    report.deleted += deleted
    return report


async def _delete(database: Database, collection: str, gone: Iterable[str]) -> int:
    """Deletes the documents of these addresses and of what was inside of them."""
    uris = set(gone)
    if not uris:
        return 0
    inside = tuple(f"{uri}!/" for uri in uris)
    async with database.read() as session:
        try:
            found = await get_collection(session, collection)
        except CollectionNotFound:
            return 0
        versions = await document_versions(session, found.id)
    ids = [v.id for uri, v in versions.items() if uri in uris or uri.startswith(inside)]
    for document_id in ids:
        async with database.write() as session:
            await delete_document(session, document_id)
    return len(ids)


def _stamp(item: Source | FailedSource) -> _Stamp:
    """When the file behind an item was last changed; an archive's for what is in it."""
    path = os.fsdecode(unquote_to_bytes(urlsplit(item.uri).path))
    candidates = [path, path.partition("!/")[0]] if "!/" in path else [path]
    for candidate in candidates:
        try:
            facts = Path(candidate).stat()
        except (OSError, ValueError):
            continue
        return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns
    return None
