"""Chunkers: documents to slices of the size that the embedder reads best, in several ways.

`make_chunker` gives the one that the settings name; all have the face of `Chunker`.
"""

from rostra.ingest.chunking.chunk import CONTEXT_TOKENS, Chunk, Chunker
from rostra.ingest.chunking.inputs import (
    ChunkInput,
    Content,
    chunk_inputs,
    content_key,
    embed_contents,
)
from rostra.ingest.chunking.late import late_part
from rostra.ingest.chunking.make import chunking_facts, make_chunker
from rostra.ingest.chunking.neighbours import Beside
from rostra.ingest.chunking.structure import StructureChunker, chunk_document

__all__ = [
    "CONTEXT_TOKENS",
    "Beside",
    "Chunk",
    "ChunkInput",
    "Chunker",
    "Content",
    "StructureChunker",
    "chunk_document",
    "chunk_inputs",
    "chunking_facts",
    "content_key",
    "embed_contents",
    "late_part",
    "make_chunker",
]
