"""An embedder that remembers, for systems that read the same sentences again and again.

What always holds: vectors are those of the embedder behind it, as equal text gives bit-equal ones;
at most `most` texts are kept, those used last.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from rostra.core import Embedder, EmbeddingSpace, FloatMatrix, FloatVector, Tokenizer

_MOST = 50_000


class RememberedEmbedder:
    """See this module; safe to share between threads.

    Args:
        inner: gives the embedder behind it, which may load a model.
    """

    def __init__(self, inner: Callable[[], Embedder], most: int = _MOST) -> None:
        self._inner = inner
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[bool, str], FloatVector] = OrderedDict()

    @property
    def space(self) -> EmbeddingSpace:
        """Of the embedder behind it."""
        return self._inner().space

    @property
    def max_tokens(self) -> int:
        """Likewise."""
        return self._inner().max_tokens

    @property
    def tokenizer(self) -> Tokenizer:
        """Likewise."""
        return self._inner().tokenizer

    def embed_documents(
        self, texts: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> FloatMatrix:
        """See `Embedder.embed_documents`."""
        found = {text: self._get((False, text)) for text in texts}
        missing = [text for text, vector in found.items() if vector is None]
        if missing:
            vectors = self._inner().embed_documents(missing, on_batch)
            for text, vector in zip(missing, vectors, strict=True):
                found[text] = vector
                self._put((False, text), vector)
        rows = [vector for text in texts if (vector := found[text]) is not None]
        return np.stack(rows) if rows else self._inner().embed_documents([])

    def embed_query(self, text: str) -> FloatVector:
        """See `Embedder.embed_query`."""
        vector = self._get((True, text))
        if vector is None:
            vector = self._inner().embed_query(text)
            self._put((True, text), vector)
        return vector

    def _get(self, key: tuple[bool, str]) -> FloatVector | None:
        with self._lock:
            vector = self._kept.get(key)
            if vector is not None:
                self._kept.move_to_end(key)
            return vector

    def _put(self, key: tuple[bool, str], vector: FloatVector) -> None:
        with self._lock:
            self._kept[key] = vector
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
