"""A library of paragraphs with a fake embedder, searched as the platform searches."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import pytest

from rostra.core import Settings
from rostra.ingest import Ingester, ParsedDocument, pipeline
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers import parse_bytes
from rostra.retrieval import Indexes, Reranker, Searcher
from rostra.store import (
    Database,
    NewChunk,
    NewDocument,
    delete_document,
    document_versions,
    ensure_collection,
    put_document,
    put_vectors,
)
from tests.fakes import FakeEmbedder


@dataclass
class Library:
    """Documents put straight into the store; each paragraph is a chunk."""

    database: Database
    settings: Settings
    embedder: FakeEmbedder

    async def put(
        self,
        uri: str,
        *paragraphs: str,
        collection: str = "default",
        metadata: dict[str, Any] | None = None,
    ) -> UUID:
        chunks, start = [], 0
        hashes = [hashlib.sha256(text.encode()).digest() for text in paragraphs]
        for text, key in zip(paragraphs, hashes, strict=True):
            chunks.append(NewChunk(start, start + len(text), None, "", key))
            start += len(text) + 2
        text = "\n\n".join(paragraphs)
        new = NewDocument(
            uri=uri,
            title=f"Title of {uri}",
            media_type="text/plain",
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            recipe="recipe",
            bytes=len(text.encode()),
            text=text,
            spans=[],
            chunks=chunks,
            metadata=metadata or {},
        )
        vectors = self.embedder.embed_documents(paragraphs)
        async with self.database.write() as session:
            target = await ensure_collection(session, collection, self.embedder.space)
            document_id = await put_document(session, target.id, new)
            await put_vectors(
                session, target.id, target.space_id, dict(zip(hashes, vectors, strict=True))
            )
        return document_id

    async def delete(self, uri: str, collection: str = "default") -> None:
        async with self.database.write() as session:
            target = await ensure_collection(session, collection, self.embedder.space)
            versions = await document_versions(session, target.id)
            await delete_document(session, versions[uri].id)

    def indexes(self) -> Indexes:
        """As another start of the platform on the same data directory has them."""
        return Indexes(self.database, self.settings)

    def ingester(self, indexes: Indexes | None = None, **overrides: Any) -> Ingester:
        return Ingester(
            self.database,
            indexes or self.indexes(),
            lambda: self.embedder,
            self.settings.model_copy(update=overrides),
        )

    def searcher(
        self,
        indexes: Indexes | None = None,
        reranker: Callable[[], Reranker | None] = lambda: None,
        **overrides: Any,
    ) -> Searcher:
        return Searcher(
            self.database,
            indexes or self.indexes(),
            lambda: self.embedder,
            self.settings.model_copy(update=overrides),
            reranker,
        )


@dataclass(frozen=True)
class Given:
    """A file that an ingest is given; its address is its name below a folder."""

    name: str
    content: str | bytes
    folder: str = "test:/"

    @property
    def uri(self) -> str:
        return self.folder + self.name

    @property
    def size(self) -> int:
        return len(self.read())

    def read(self) -> bytes:
        return self.content.encode() if isinstance(self.content, str) else self.content


class QuickParser:
    """The parsers without their process, whose start takes longer than a test."""

    def __init__(self, settings: Settings) -> None:
        self._limits = ParseLimits.of(settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def parse(self, name: str, data: bytes) -> ParsedDocument:
        return parse_bytes(data, name, self._limits)


@pytest.fixture
def real_parser() -> None:
    """Asked for by tests that are about the parser's process."""


@pytest.fixture(autouse=True)
def _parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "real_parser" not in request.fixturenames:
        monkeypatch.setattr(pipeline, "ParserProcess", QuickParser)


@pytest.fixture
def library(database: Database, settings: Settings) -> Library:
    return Library(database, settings, FakeEmbedder())
