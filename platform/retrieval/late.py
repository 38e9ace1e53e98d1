"""Vectors of parts of a text, pooled from token vectors that have read all of it.

The model reads the whole text; a part's vector is the mean of the vectors of the tokens that begin
in it ("late chunking", Günther et al. 2024).

What always holds: vectors are float32 of unit length, in the space of the embedder; a text is read
once for all its parts; what the model cannot read, since the text is too long for it, has the
vector of the part embedded alone.
"""

from collections.abc import Callable, Sequence

import numpy as np

from rostra.core import FloatMatrix, ModelUnavailable, Part, Settings
from rostra.retrieval.embed import SentenceEmbedder, reshape_vectors
from rostra.retrieval.rotation import Rotation


class LateEmbedder:
    """A `PartEmbedder` over a sentence-transformers model. Make with `late_embedder`.

    Args:
        embedder: whose model and space these are.
        rotation: the embedder's.
    """

    def __init__(self, embedder: SentenceEmbedder, rotation: Rotation | None = None) -> None:
        self._embedder = embedder
        self._rotation = rotation

    def embed_parts(
        self, parts: Sequence[Part], on_batch: Callable[[int], None] | None = None
    ) -> FloatMatrix:
        """See `PartEmbedder`.

        Raises:
            ModelUnavailable: the model gives no vectors of tokens.
        """
        by_text: dict[str, list[int]] = {}
        for row, part in enumerate(parts):
            by_text.setdefault(part.text, []).append(row)
        texts = list(by_text)
        space = self._embedder.space
        vectors = np.zeros((len(parts), space.dimensions), np.float32)
        alone: list[int] = []
        for batch, read in self._embedder.read_tokens(texts, space.document_prompt):
            done = 0
            for at, tokens in zip(batch, read, strict=True):
                text = texts[at]
                offsets = self._offsets(text, len(tokens))
                for row in by_text[text]:
                    pooled = _pooled(parts[row], offsets, tokens)
                    if pooled is None:
                        alone.append(row)
                    else:
                        vectors[row] = reshape_vectors(pooled, space.dimensions, self._rotation)[0]
                done += len(by_text[text])
            if on_batch:
                on_batch(done)
        if alone:
            texts = [parts[row].text[parts[row].start : parts[row].end] for row in alone]
            vectors[alone] = self._embedder.embed_documents(texts)
        return vectors

    def _offsets(self, text: str, count: int) -> list[tuple[int, int]]:
        """The `[start, end)` of the tokens that were read, in code points of the text."""
        prompt = len(self._embedder.space.document_prompt)
        offsets = self._embedder.tokenizer.offsets(self._embedder.space.document_prompt + text)
        return [(start - prompt, end - prompt) for start, end in offsets[:count]]


def _pooled(part: Part, offsets: list[tuple[int, int]], tokens: FloatMatrix) -> FloatMatrix | None:
    """The mean of the vectors of a part's tokens, float32 [1, width]; None if not all were read."""
    inside = [
        at
        for at, (start, end) in enumerate(offsets)
        if part.start <= start < part.end and start < end
    ]
    if not inside or offsets[-1][1] < len(part.text[: part.end].rstrip()):
        return None
    mean: FloatMatrix = tokens[inside].mean(axis=0, keepdims=True, dtype=np.float32)
    return mean


def late_embedder(settings: Settings, embedder: object) -> LateEmbedder:
    """What embeds parts for an embedder.

    Raises:
        ModelUnavailable: its model gives no vectors of tokens.
    """
    if not isinstance(embedder, SentenceEmbedder):
        raise ModelUnavailable(
            "this embedding model gives no vectors of tokens, which late chunking needs",
            hint="Use another chunker than `late`.",
        )
    return LateEmbedder(embedder, embedder.rotation)
