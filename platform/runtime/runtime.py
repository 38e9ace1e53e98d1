"""The whole platform over one data directory, its parts tied together.

What always holds: parts are made once and shared; models load on first need, in the thread that
needs them, and once, however many threads ask at the same time.
"""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from rostra.answer import Answerer, Conversations
from rostra.core import ChatModel, Embedder, Settings
from rostra.ingest import Ingester
from rostra.retrieval import Indexes, Reranker, Searcher, load_embedder, load_reranker
from rostra.store import Database, open_database

T = TypeVar("T")


class Once(Generic[T]):
    """A value made at the first call; a failed try is tried again by the next."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[T] = []

    def __call__(self) -> T:
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]

    @property
    def is_made(self) -> bool:
        """Whether the value exists."""
        return bool(self._made)


class Runtime:
    """All parts of one running platform. Make with `open_runtime`."""

    def __init__(
        self, settings: Settings, database: Database, generator: ChatModel | None = None
    ) -> None:
        self.settings = settings
        self.database = database
        self.generator = generator
        self.embedder: Once[Embedder] = Once(lambda: load_embedder(settings))
        self.reranker: Once[Reranker | None] = Once(lambda: load_reranker(settings))
        self.indexes = Indexes(database, settings)
        self.searcher = Searcher(database, self.indexes, self.embedder, settings, self.reranker)
        self.answerer = Answerer(self.searcher, self.embedder, settings, generator)
        self.conversations = Conversations(database, self.answerer)
        self.ingester = Ingester(database, self.indexes, self.embedder, settings)


@asynccontextmanager
async def open_runtime(
    settings: Settings, generator: ChatModel | None = None
) -> AsyncIterator[Runtime]:
    """Opens the database, brings its schema up to date, and closes everything at the end.

    Raises:
        ConfigError: the database's URL cannot work.
        StoreUnavailable: the database does not answer.
    """
    async with await open_database(settings.resolved_database_url) as database:
        yield Runtime(settings, database, generator)
