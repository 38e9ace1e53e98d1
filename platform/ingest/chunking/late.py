"""Late chunking: which longer passage each chunk's tokens are read in before they are pooled.

A chunk's vector is the mean of its tokens' vectors, read together with its headings and with as
much of what stands before and after it as the embedder takes, so that "it" and "the company" carry
what they stand for (Günther et al., "Late Chunking: Contextual Chunk Embeddings Using Long-Context
Embedding Models", 2024). A passage of its own for each chunk, with the chunk in its middle, since
what an embedder reads at once may hold little more than one chunk.

What always holds: the chunk is in its passage, whole; the passage has at most `max_tokens` tokens,
unless the chunk alone has more; it begins and ends between words.
"""

from bisect import bisect_left

from rostra.core import Part, Tokenizer
from rostra.ingest.chunking.chunk import Chunk
from rostra.ingest.chunking.cuts import is_between_words
from rostra.ingest.tokens import TokenIndex


def late_part(
    text: str, tokens: TokenIndex, chunk: Chunk, tokenizer: Tokenizer, max_tokens: int
) -> Part:
    """A chunk as a part of the passage that is read.

    Args:
        text: the document's.
        tokens: of the text.
        chunk: with the context that is read before the passage.
        tokenizer: the embedder's.
        max_tokens: most tokens of the passage, the context counted.
    """
    before = f"{chunk.context}\n" if chunk.context else ""
    first = bisect_left(tokens.starts, chunk.start)
    last = bisect_left(tokens.starts, chunk.end)
    room = max(0, max_tokens - len(tokenizer.offsets(before)) - (last - first))
    # What one side has too little text for goes to the other.
    left = min(first, max(room // 2, room - (len(tokens.starts) - last)))
    right = min(len(tokens.starts) - last, room - left)
    start = chunk.start
    if left:
        start = tokens.starts[first - left]
        while start < chunk.start and not is_between_words(text, start):
            start += 1
    end = chunk.end
    if right:
        following = last + right
        end = tokens.starts[following] if following < len(tokens.starts) else len(text)
        while end > chunk.end and not is_between_words(text, end):
            end -= 1
    shift = len(before) - start
    return Part(before + text[start:end], chunk.start + shift, chunk.end + shift)
