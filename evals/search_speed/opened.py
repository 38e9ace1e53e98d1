"""The product's own searcher over a benchmark's rows; only embedding is left out."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from rostra.core import (
    EmbeddingSpace,
    FloatMatrix,
    FloatVector,
    Settings,
    Tokenizer,
    configure_logging,
    load_settings,
)
from rostra.retrieval import Indexes, Searcher
from rostra.store import Database, open_database


class GivenVectors:
    """An `Embedder` that looks vectors up."""

    def __init__(self, vectors: Mapping[str, FloatVector], dimensions: int) -> None:
        self._vectors = vectors
        self.space = space_of(dimensions)

    @property
    def max_tokens(self) -> int:
        return 512

    @property
    def tokenizer(self) -> Tokenizer:
        self._none()

    def embed_documents(
        self, texts: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> FloatMatrix:
        self._none()

    def embed_query(self, text: str) -> FloatVector:
        return self._vectors[text]

    def _none(self) -> NoReturn:
        raise NotImplementedError("a benchmark's vectors are given")


@dataclass(frozen=True, slots=True)
class Opened:
    """The platform's parts that search.

    Attributes:
        searcher: as the settings have it.
        best: the same for as many candidates of each side as hits are asked for.
    """

    database: Database
    indexes: Indexes
    searcher: Searcher
    best: Searcher


def space_of(dimensions: int) -> EmbeddingSpace:
    """The space of a benchmark's vectors."""
    return EmbeddingSpace("benchmark", "0" * 64, dimensions)


def settings_at(home: Path) -> Settings:
    """The process's settings over a data directory of the benchmark's own; only errors are said."""
    settings = load_settings(home=home, database_url="")
    configure_logging("ERROR", settings.log_format)
    return settings


@asynccontextmanager
async def opened(
    home: Path, vectors: Mapping[str, FloatVector], dimensions: int, **changed: Any
) -> AsyncIterator[Opened]:
    """Opens the database and what searches it.

    Args:
        vectors: of texts that are asked for.
        changed: settings that differ from the process's.
    """
    settings = settings_at(home).model_copy(update=changed)
    embedder = GivenVectors(vectors, dimensions)
    async with await open_database(settings.resolved_database_url) as database:
        indexes = Indexes(database, settings)
        searchers = [
            Searcher(database, indexes, lambda: embedder, chosen)
            for chosen in (settings, settings.model_copy(update={"shortlist": 10}))
        ]
        try:
            yield Opened(database, indexes, *searchers)
        finally:
            await indexes.close()
