"""What is embedded of each chunk of a document, and under which key its vector is kept.

What always holds: equal keys mean equal vectors in one embedding space; a key is sha256 of all that
the embedder reads. Headers are left out where they and the text together are more than the embedder
reads: the text comes first.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rostra.core import Embedder, FloatMatrix, Part, PartEmbedder, Settings
from rostra.ingest.chunking.chunk import CONTEXT_TOKENS, Chunk
from rostra.ingest.chunking.late import late_part
from rostra.ingest.chunking.make import make_chunker
from rostra.ingest.chunking.neighbours import VERSION, Beside, blended, with_neighbours
from rostra.ingest.chunking.places import SEPARATOR
from rostra.ingest.document import ParsedDocument
from rostra.ingest.tokens import TokenIndex
from rostra.retrieval import searchable_text

Content = str | Beside | Part


@dataclass(frozen=True, slots=True)
class ChunkInput:
    """A chunk and what is embedded of it.

    Attributes:
        chunk: with the context that is embedded and indexed.
        content: a text, alone or with those beside it, or a part of one where chunking is late.
        key: of the content.
    """

    chunk: Chunk
    content: Content
    key: bytes


def chunk_inputs(
    document: ParsedDocument, settings: Settings, embedder: Embedder
) -> list[ChunkInput]:
    """Cuts a document as the settings say. Blocks; some chunkers embed."""
    chunks = make_chunker(settings, embedder).chunk(document)
    chunks = [_fitted(chunk, document.text, settings, embedder) for chunk in chunks]
    contents: list[Content]
    if settings.chunker != "late":
        texts = [
            searchable_text(chunk.context, document.text[chunk.start : chunk.end])
            for chunk in chunks
        ]
        contents = [*(with_neighbours(texts) if settings.chunk_neighbours else texts)]
    else:
        tokens = TokenIndex(document.text, embedder.tokenizer)
        contents = [
            late_part(document.text, tokens, chunk, embedder.tokenizer, embedder.max_tokens)
            for chunk in chunks
        ]
    return [
        ChunkInput(chunk, content, content_key(content))
        for chunk, content in zip(chunks, contents, strict=True)
    ]


def embed_contents(
    contents: Sequence[Content],
    embedder: Embedder,
    late: PartEmbedder | None,
    on_batch: Callable[[int], None] | None = None,
) -> FloatMatrix:
    """Vectors of contents, float32 [len(contents), dimensions].

    Args:
        contents: of `chunk_inputs`, in any order.
        embedder: of texts.
        late: of parts; None where there are none.
        on_batch: called with the number of contents done after each batch.

    Raises:
        ValueError: there are parts and nothing to embed them.
    """
    vectors = np.empty((len(contents), embedder.space.dimensions), np.float32)
    parts = {row: content for row, content in enumerate(contents) if isinstance(content, Part)}
    texts = {row: content for row, content in enumerate(contents) if not isinstance(content, Part)}
    if texts:
        vectors[list(texts)] = _embed_texts(list(texts.values()), embedder, on_batch)
    if parts:
        if late is None:
            raise ValueError("parts of texts need an embedder of parts")
        vectors[list(parts)] = late.embed_parts(list(parts.values()), on_batch)
    return vectors


def _embed_texts(
    contents: Sequence[str | Beside],
    embedder: Embedder,
    on_batch: Callable[[int], None] | None,
) -> FloatMatrix:
    """Embeds each text once, whether chunks are it or stand beside it."""
    places: dict[str, int] = {}
    own = []
    for content in contents:
        text = content if isinstance(content, str) else content.text
        own.append(places.setdefault(text, len(places)))
    beside = [
        []
        if isinstance(content, str)
        else [places.setdefault(text, len(places)) for text in content.neighbours]
        for content in contents
    ]
    left = len(contents)

    def on_texts(count: int) -> None:
        nonlocal left
        if on_batch and (done := min(count, left)):
            left -= done
            on_batch(done)

    read = embedder.embed_documents(list(places), on_texts)
    on_texts(left)
    vectors = read[own]
    mixed = [row for row, neighbours in enumerate(beside) if neighbours]
    if mixed:
        first = read[[beside[row][0] for row in mixed]]
        last = read[[beside[row][-1] for row in mixed]]
        vectors[mixed] = blended(vectors[mixed], first, last)
    return vectors


def content_key(content: Content) -> bytes:
    """Under which the vector of a content is kept."""
    if isinstance(content, str):
        return hashlib.sha256(content.encode()).digest()
    if isinstance(content, Beside):
        # No text has NUL in it.
        facts = "\0".join(("", f"beside {VERSION}", content.text, *content.neighbours))
        return hashlib.sha256(facts.encode()).digest()
    # No text begins so: NUL is not stored.
    facts = f"\0late\0{content.start}\0{content.end}\0{content.text}"
    return hashlib.sha256(facts.encode()).digest()


def _fitted(chunk: Chunk, text: str, settings: Settings, embedder: Embedder) -> Chunk:
    """The chunk with all that is embedded before its text as its context.

    Where that and the text are more than the embedder reads, headings are left out, and then the
    table's header.
    """
    before = [part for part in (chunk.context, chunk.header) if part]
    own = text[chunk.start : chunk.end]
    # Only what cannot be cut, a row or a line, is larger than asked for.
    usual = "\n" in own
    if not (usual and settings.chunk_tokens + CONTEXT_TOKENS + 1 <= embedder.max_tokens):
        count = embedder.tokenizer.offsets
        room = embedder.max_tokens - len(count(own))
        while before and len(count(SEPARATOR.join(before))) > room:
            del before[0]
    return replace(chunk, context=SEPARATOR.join(before), header="")
