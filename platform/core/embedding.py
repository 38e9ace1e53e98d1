"""What the platform asks of an embedding model, and what names the space its vectors live in.

What always holds: vectors are comparable only within one `EmbeddingSpace`; two spaces with equal
fingerprints give the same vector for equal text, up to the rounding of the number format computed
in.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Protocol, runtime_checkable

import msgspec
import numpy as np
import numpy.typing as npt

FloatMatrix = npt.NDArray[np.float32]
FloatVector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EmbeddingSpace:
    """Everything that decides which vector a text gets.

    Attributes:
        model: name, hub id or path of the encoder.
        revision: sha256 over the encoder's weights, hexadecimal.
        dimensions: width of the vectors after truncation.
        rotation: sha256 of the fitted rotation's weights; empty without one.
        query_prompt: put before queries.
        document_prompt: put before passages.
    """

    model: str
    revision: str
    dimensions: int
    rotation: str = ""
    query_prompt: str = ""
    document_prompt: str = ""

    def __str__(self) -> str:
        """For people: model, width, and the rotation where there is one."""
        rotated = f", rotation {self.rotation[:12]}" if self.rotation else ""
        return f"{self.model} ({self.dimensions} dimensions{rotated}, weights {self.revision[:12]})"

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digest, equal exactly for equal spaces; the model's name is no part."""
        return _fingerprint(self)


# Every search asks several times.
@lru_cache(maxsize=64)
def _fingerprint(space: EmbeddingSpace) -> str:
    facts = asdict(space)
    del facts["model"]
    return hashlib.sha256(msgspec.json.encode(facts, order="sorted")).hexdigest()[:32]


@runtime_checkable
class Tokenizer(Protocol):
    """Counts a model's tokens and says where they lie."""

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """The `[start, end)` code points of each token of `text`, special tokens left out."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """Turns text into unit vectors of one embedding space. Calls block; use a thread."""

    @property
    def space(self) -> EmbeddingSpace: ...

    @property
    def max_tokens(self) -> int:
        """Longest input the model reads, special tokens left out; the rest would be cut off."""
        ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    def embed_documents(
        self, texts: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> FloatMatrix:
        """Unit vectors, float32 [len(texts), dimensions]; equal text gives bit-equal vectors.

        Args:
            texts: passages, in any order and of any length.
            on_batch: called with the number of texts done after each batch.
        """
        ...

    def embed_query(self, text: str) -> FloatVector:
        """A unit vector, float32 [dimensions]."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """The code points `[start, end)` of a longer text, which is read whole."""

    text: str
    start: int
    end: int


@runtime_checkable
class PartEmbedder(Protocol):
    """Turns parts of texts into vectors that know the rest of the text. Calls block."""

    def embed_parts(
        self, parts: Sequence[Part], on_batch: Callable[[int], None] | None = None
    ) -> FloatMatrix:
        """Unit vectors of the embedder's space, float32 [len(parts), dimensions].

        Args:
            parts: in any order; each text is read once, however many of its parts are asked for.
            on_batch: called with the number of parts done after each batch.
        """
        ...
