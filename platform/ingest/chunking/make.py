"""The chunker that the settings name.

What always holds: `chunking_facts` names everything but the document that decides its chunks, so
that a document is read again when one of them changes.
"""

from rostra.core import Embedder, Settings
from rostra.ingest.chunking import neighbours
from rostra.ingest.chunking.chunk import Chunker
from rostra.ingest.chunking.fixed import FixedChunker
from rostra.ingest.chunking.headers import WithoutHeaders
from rostra.ingest.chunking.parents import ParentChunker
from rostra.ingest.chunking.recursive import RecursiveChunker
from rostra.ingest.chunking.structure import StructureChunker

# Raise one when that chunker gives other chunks for an equal document.
VERSIONS = {"structure": 3, "code": 3, "fixed": 3, "recursive": 3, "semantic": 3, "late": 3}

# Parents are what a generator reads: nearly as large as was asked for.
_PARENT_AIM = 0.9


def make_chunker(settings: Settings, embedder: Embedder) -> Chunker:
    """The chunker of these settings for this embedder."""
    size = min(settings.chunk_tokens, embedder.max_tokens)
    chunker = _named(settings.chunker, embedder, size, min(settings.chunk_overlap, size - 1))
    if settings.chunk_parent_tokens is not None:
        chunker = ParentChunker(
            chunker,
            StructureChunker(
                embedder.tokenizer,
                settings.chunk_parent_tokens,
                0,
                # Parents are shown, not embedded: the embedder's window does not bound them.
                max(settings.chunk_parent_tokens, embedder.max_tokens),
                _PARENT_AIM,
            ),
        )
    return chunker if settings.chunk_headers else WithoutHeaders(chunker)


def chunking_facts(settings: Settings, embedder: Embedder) -> list[str | int | bool | None]:
    """What decides the chunks of a document, for the recipe of an ingest."""
    facts: list[str | int | bool | None] = [
        settings.chunker,
        VERSIONS[settings.chunker],
        settings.chunk_headers,
        settings.chunk_parent_tokens,
    ]
    if settings.chunk_parent_tokens is not None:
        facts.append(VERSIONS["structure"])
    if settings.chunk_neighbours and settings.chunker != "late":
        facts.append(f"neighbours {neighbours.VERSION}")
    if settings.chunker in ("semantic", "late"):
        facts.append(embedder.space.fingerprint)
    return facts


def _named(name: str, embedder: Embedder, size: int, overlap: int) -> Chunker:
    tokenizer = embedder.tokenizer
    if name == "fixed":
        return FixedChunker(tokenizer, size, overlap)
    if name == "recursive":
        return RecursiveChunker(tokenizer, size, overlap)
    if name == "semantic":
        from rostra.ingest.chunking.semantic import SemanticChunker

        return SemanticChunker(embedder, size)
    structure = StructureChunker(tokenizer, size, overlap, embedder.max_tokens)
    if name == "code":
        from rostra.ingest.chunking.code import CodeChunker

        return CodeChunker(tokenizer, size, structure)
    return structure
