"""Rows of many chunks, written as rows always are: `put_documents` and `put_vectors`.

What always holds: chunk `n` is chunk `n % PER_DOCUMENT` of document `n // PER_DOCUMENT`; documents
and vectors of a transaction are committed together.
"""

import hashlib
from collections.abc import Sequence
from uuid import UUID

from rostra.core import FloatMatrix
from rostra.store import (
    Collection,
    Database,
    NewChunk,
    NewDocument,
    put_document,
    put_documents,
    put_vectors,
)

PER_DOCUMENT = 20
_AT_ONCE = 4_000  # chunks of a transaction
_BETWEEN = "\n\n"


def uri_of(number: int) -> str:
    """Of the document that has a chunk."""
    return f"bench/{number // PER_DOCUMENT:08d}"


async def write_rows(
    database: Database,
    collection: Collection,
    texts: Sequence[str],
    vectors: FloatMatrix,
    first: int,
) -> None:
    """Commits chunks.

    Args:
        first: number of the first, a multiple of `PER_DOCUMENT`.
    """
    for at in range(0, len(texts), _AT_ONCE):
        stop = min(len(texts), at + _AT_ONCE)
        async with database.write() as session:
            hashes = [_digest(text) for text in texts[at:stop]]
            named = dict(zip(hashes, vectors[at:stop], strict=True))
            await put_vectors(session, collection.id, collection.space_id, named)
            documents = [
                document_of(
                    uri_of(first + begin),
                    texts[begin : min(stop, begin + PER_DOCUMENT)],
                    hashes[begin - at : begin - at + PER_DOCUMENT],
                )
                for begin in range(at, stop, PER_DOCUMENT)
            ]
            await put_documents(session, collection.id, documents)


async def write_one(
    database: Database, collection: Collection, uri: str, text: str, vectors: FloatMatrix
) -> UUID:
    """Commits a document of one chunk.

    Args:
        vectors: float32 [1, dimensions].
    """
    async with database.write() as session:
        digest = _digest(text)
        await put_vectors(session, collection.id, collection.space_id, {digest: vectors[0]})
        return await put_document(session, collection.id, document_of(uri, [text], [digest]))


def document_of(uri: str, texts: Sequence[str], hashes: Sequence[bytes]) -> NewDocument:
    """A document of these chunks."""
    chunks = []
    start = 0
    for text, digest in zip(texts, hashes, strict=True):
        chunks.append(NewChunk(start, start + len(text), None, "", digest))
        start += len(text) + len(_BETWEEN)
    text = _BETWEEN.join(texts)
    return NewDocument(
        uri=uri,
        title=uri,
        media_type="text/plain",
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        recipe="bench",
        bytes=len(text.encode()),
        text=text,
        spans=[],
        chunks=chunks,
    )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
