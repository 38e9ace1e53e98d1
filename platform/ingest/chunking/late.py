"""Late chunking: which long passage each chunk's tokens are read in before they are pooled.

A chunk's vector is the mean of its tokens' vectors in a window that holds its neighbours too, so
that "it" and "the company" carry what they stand for (Günther et al., "Late Chunking: Contextual
Chunk Embeddings Using Long-Context Embedding Models", 2024).

What always holds: each chunk lies in exactly one window, whole, where it fits one at all; a
window's text is a slice of the document's; windows of one document have at most `max_tokens`
tokens and are as few as a single pass can make them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rostra.core import Tokenizer
from rostra.ingest.chunking.chunk import Chunk
from rostra.ingest.document import ParsedDocument
from rostra.ingest.tokens import TokenIndex


@dataclass(frozen=True, slots=True)
class LateWindow:
    """A slice `[start, end)` of a document and the chunks in it.

    Attributes:
        start: first code point.
        end: code point after the last.
        chunks: which of the document's, by number.
    """

    start: int
    end: int
    chunks: tuple[int, ...]


def late_windows(
    document: ParsedDocument, chunks: Sequence[Chunk], tokenizer: Tokenizer, max_tokens: int
) -> list[LateWindow]:
    """Puts chunks that follow each other into windows.

    Args:
        document: of the chunks.
        chunks: in order.
        tokenizer: the embedder's.
        max_tokens: most tokens of a window; a chunk that is larger has a window of its own.
    """
    tokens = TokenIndex(document.text, tokenizer)
    windows: list[LateWindow] = []
    inside: list[int] = []
    start = end = 0
    for number, chunk in enumerate(chunks):
        if inside and tokens.count(start, max(end, chunk.end)) > max_tokens:
            windows.append(LateWindow(start, end, tuple(inside)))
            inside = []
        if not inside:
            start = end = chunk.start
        inside.append(number)
        end = max(end, chunk.end)
    if inside:
        windows.append(LateWindow(start, end, tuple(inside)))
    return windows
