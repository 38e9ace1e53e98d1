"""Vectors of parts of a text, pooled from token vectors that have read all of it.

The model reads the whole text; a part's vector is the mean of the vectors of the tokens that begin
in it ("late chunking", Günther et al. 2024).

What always holds: vectors are float32 of unit length, in the space of the embedder; a text is read
once for all its parts; what the model cannot read, since the text is too long for it, has the
vector of the part embedded alone.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from rostra.core import FloatMatrix, ModelUnavailable, Part, Settings
from rostra.retrieval.embed import SentenceEmbedder, reshape_vectors
from rostra.retrieval.rotation import Rotation, load_rotation

# Padded lengths are multiples of this many tokens; texts of one padded length are read together.
_BUCKET = 16
_BATCH_TEXTS = 8


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
        dimensions = self._embedder.space.dimensions
        vectors = np.zeros((len(parts), dimensions), np.float32)
        alone: list[int] = []
        for batch in self._batches(list(by_text)):
            done = 0
            for text, tokens in zip(batch, self._read(batch), strict=True):
                rows = by_text[text]
                done += len(rows)
                offsets = self._offsets(text, len(tokens))
                for row in rows:
                    part = parts[row]
                    inside = [
                        at
                        for at, (start, end) in enumerate(offsets)
                        if part.start <= start < part.end and start < end
                    ]
                    whole = offsets and offsets[-1][1] >= len(text[: part.end].rstrip())
                    if not inside or not whole:
                        alone.append(row)
                        continue
                    pooled = tokens[inside].mean(axis=0, keepdims=True, dtype=np.float32)
                    vectors[row] = reshape_vectors(pooled, dimensions, self._rotation)[0]
            if on_batch:
                on_batch(done)
        if alone:
            texts = [parts[row].text[parts[row].start : parts[row].end] for row in alone]
            vectors[alone] = self._embedder.embed_documents(texts)
        return vectors

    def _batches(self, texts: list[str]) -> Iterator[list[str]]:
        """Texts of one padded length, so that no vector depends on the others of its batch."""
        prompt = self._embedder.space.document_prompt
        lengths = self._embedder.tokenizer.lengths([prompt + text for text in texts])
        buckets: dict[int, list[str]] = {}
        for text, length in zip(texts, lengths, strict=True):
            buckets.setdefault(self._padded(length), []).append(text)
        for padded in sorted(buckets, reverse=True):
            bucket = buckets[padded]
            for at in range(0, len(bucket), _BATCH_TEXTS):
                yield bucket[at : at + _BATCH_TEXTS]

    def _padded(self, length: int) -> int:
        longest = self._embedder.model.max_seq_length or 512
        return min(longest, -(-length // _BUCKET) * _BUCKET)

    def _read(self, texts: list[str]) -> list[FloatMatrix]:
        """The vectors of each text's tokens, special tokens left out."""
        prompt = self._embedder.space.document_prompt
        length = self._embedder.tokenizer.lengths([prompt + texts[0]])[0]
        with self._embedder.turn:
            encoded = self._embedder.model.encode(
                texts,
                batch_size=len(texts),
                prompt=prompt or None,
                output_value="token_embeddings",
                show_progress_bar=False,
                processing_kwargs={
                    "text": {"padding": "max_length", "max_length": self._padded(length)}
                },
            )
        special = int(self._embedder.model.tokenizer.num_special_tokens_to_add())
        if special not in (0, 2):
            raise ModelUnavailable(
                f"{self._embedder.space.model} does not say which of its vectors are of tokens",
                hint="Use another chunker than `late`.",
            )
        found = [tokens.float().cpu().numpy() for tokens in encoded]
        return [tokens[1:-1] if special else tokens for tokens in found]

    def _offsets(self, text: str, count: int) -> list[tuple[int, int]]:
        """The `[start, end)` of the tokens that were read, in code points of the text."""
        prompt = len(self._embedder.space.document_prompt)
        offsets = self._embedder.tokenizer.offsets(self._embedder.space.document_prompt + text)
        return [(start - prompt, end - prompt) for start, end in offsets[:count]]


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
    rotation = load_rotation(settings.embedding_rotation) if settings.embedding_rotation else None
    return LateEmbedder(embedder, rotation)
