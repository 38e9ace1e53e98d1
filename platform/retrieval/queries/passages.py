"""A passage looked for as documents are embedded.

A search embeds what it looks for as a query, with the query's prompt. A passage that a model wrote
is to be compared with passages, so that the embedder is asked for a document's vector in its place.
"""

from collections.abc import Callable, Sequence

from rostra.core import Embedder, EmbeddingSpace, FloatMatrix, FloatVector, Tokenizer
from rostra.retrieval.spaces import RelatedSpaces, embedder_within


class PassageEmbedder:
    """An `Embedder` of the same space that takes queries for passages."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    @property
    def space(self) -> EmbeddingSpace:
        """The other one's: its vectors are compared with stored ones."""
        return self._embedder.space

    @property
    def max_tokens(self) -> int:
        """See `Embedder`."""
        return self._embedder.max_tokens

    @property
    def tokenizer(self) -> Tokenizer:
        """See `Embedder`."""
        return self._embedder.tokenizer

    def embed_documents(
        self, texts: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> FloatMatrix:
        """See `Embedder`."""
        return self._embedder.embed_documents(texts, on_batch)

    @property
    def is_truncated(self) -> bool:
        """See `RelatedSpaces`."""
        return isinstance(self._embedder, RelatedSpaces) and self._embedder.is_truncated

    def within(self, space: EmbeddingSpace) -> "PassageEmbedder":
        """See `RelatedSpaces`."""
        return PassageEmbedder(embedder_within(self._embedder, space))

    def embed_query(self, text: str) -> FloatVector:
        """The vector of a passage."""
        vector: FloatVector = self._embedder.embed_documents([text])[0]
        return vector
