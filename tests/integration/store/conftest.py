"""Collections, documents with chunks and vectors, and other processes that work on one database."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import EmbeddingSpace, FloatVector
from rostra.store import (
    Collection,
    Database,
    NewChunk,
    NewDocument,
    create_collection,
    put_document,
    put_vectors,
)

ROOT = Path(__file__).parents[3]
WORKER = Path(__file__).with_name("worker.py")


@pytest.fixture
def space() -> EmbeddingSpace:
    return EmbeddingSpace(model="test/four", revision="0" * 64, dimensions=4)


@pytest.fixture
async def collection(database: Database, space: EmbeddingSpace) -> Collection:
    """An empty collection named `papers`."""
    async with database.write() as session:
        return await create_collection(session, "papers", space)


class MakeDocument(Protocol):
    def __call__(self, uri: str, text: str, **fields: Any) -> NewDocument: ...


@pytest.fixture
def make_document() -> MakeDocument:
    """Documents whose chunks are the paragraphs of their text."""

    def make(uri: str, text: str, **fields: Any) -> NewDocument:
        return NewDocument(
            **{
                "uri": uri,
                "title": f"Title of {uri}",
                "media_type": "text/plain",
                "sha256": hashlib.sha256(text.encode()).hexdigest(),
                "recipe": "recipe",
                "bytes": len(text.encode()),
                "text": text,
                "spans": [],
                "chunks": [
                    NewChunk(m.start(), m.end(), None, "", hashlib.sha256(m[0].encode()).digest())
                    for m in re.finditer(r"(?s).+?(?=\n\n|\Z)", text)
                ],
            }
            | fields
        )

    return make


def vector_of(content_hash: bytes) -> FloatVector:
    """Any unit vector that depends on the content alone."""
    vector = np.frombuffer(content_hash[:4], np.uint8).astype(np.float32) + 1
    unit: FloatVector = vector / np.linalg.norm(vector)
    return unit


Put = Callable[[AsyncSession, Collection, NewDocument], Awaitable[UUID]]


@pytest.fixture
def put() -> Put:
    """Stores a document with the vectors of its chunks, as ingest does."""

    async def put(session: AsyncSession, collection: Collection, document: NewDocument) -> UUID:
        vectors = {c.content_hash: vector_of(c.content_hash) for c in document.chunks}
        await put_vectors(session, collection.id, collection.space_id, vectors)
        return await put_document(session, collection.id, document)

    return put


class RunWorkers(Protocol):
    def __call__(self, *commands: Sequence[object]) -> list[str]: ...


@pytest.fixture
def run_workers() -> Iterator[RunWorkers]:
    """Runs `worker.py` in one process a command, let go all at once; returns what each printed."""
    with ExitStack() as stack:

        def run(*commands: Sequence[object]) -> list[str]:
            processes = [
                stack.enter_context(
                    subprocess.Popen(
                        [sys.executable, WORKER, *map(str, command)],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        text=True,
                        env=os.environ | {"PYTHONPATH": str(ROOT)},
                    )
                )
                for command in commands
            ]
            stack.callback(lambda: [process.kill() for process in processes])
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            printed = []
            for process in processes:
                out, err = process.communicate()
                assert process.returncode == 0, err
                printed.append(out)
            return printed

        yield run
