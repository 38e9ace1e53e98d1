"""Embedding with sentence-transformers.

What always holds: vectors are float32 of unit length; a text's vector does not depend on what else
is in the call, bit for bit. To that end texts are padded to a length that depends on themselves
alone and batched only with texts of the same padded length, sorted so that little is padded.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from rostra.core import (
    EmbeddingSpace,
    FloatMatrix,
    FloatVector,
    ModelUnavailable,
    Settings,
    get_logger,
    import_transformers,
    pick_device,
    pick_dtype,
    quiet_loading,
)
from rostra.retrieval.models import find_model, first_line, weights_digest
from rostra.retrieval.rotation import Rotation, rotation_for, truncate

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = get_logger(__name__)

# Padded lengths are multiples of this many tokens.
_BUCKET = 16
# Tokens of one batch: about what fits the second-level caches; larger was slower on CPU.
_BATCH_TOKENS = {"cpu": 2048, "cuda": 65536, "mps": 8192}
# Lengths are counted this many texts at a time, so that a long call shows progress early.
_COUNT_TEXTS = 4096


class SentenceEmbedder:
    """An `Embedder` over one sentence-transformers model. Make with `load_embedder`.

    Attributes:
        rotation: of its vectors; None leaves them as the model gives them.

    Args:
        is_chosen: whether somebody asked for this rotation, or for none. A rotation that nobody
            asked for is left out for collections that were made without; see `within`.
    """

    def __init__(
        self,
        model: "SentenceTransformer",
        space: EmbeddingSpace,
        rotation: Rotation | None = None,
        *,
        is_chosen: bool = True,
    ) -> None:
        self.model = model
        self.rotation = rotation
        self._space = space
        self._is_chosen = is_chosen
        self._tokenizer = SubwordTokenizer(model.tokenizer)
        self._batch_tokens = _BATCH_TOKENS.get(model.device.type, 2048)
        # The model's tokenizer keeps how to pad between calls, so whoever uses the model takes
        # turns: a batch each.
        self.turn = threading.Lock()

    @property
    def space(self) -> EmbeddingSpace:
        return self._space

    @property
    def is_truncated(self) -> bool:
        """Whether vectors have fewer dimensions than the model gives."""
        return self._space.dimensions != self.model.get_embedding_dimension()

    def within(self, space: EmbeddingSpace) -> Self | None:
        """See `RelatedSpaces.within`: the model without a rotation that nobody asked for."""
        if space.fingerprint == self._space.fingerprint:
            return self
        plain = replace(self._space, rotation="")
        if self._is_chosen or space.fingerprint != plain.fingerprint:
            return None
        other = copy(self)  # same model, and taking turns at it
        other.rotation = None
        other._space = plain
        return other

    @property
    def max_tokens(self) -> int:
        longest = self.model.max_seq_length or 512
        special = int(self.model.tokenizer.num_special_tokens_to_add())
        prompt = len(self._tokenizer.offsets(self._space.document_prompt))
        return max(16, longest - special - prompt)

    @property
    def tokenizer(self) -> "SubwordTokenizer":
        return self._tokenizer

    def embed_documents(
        self, texts: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> FloatMatrix:
        full = self._encode(texts, self._space.document_prompt, on_batch)
        return reshape_vectors(full, self._space.dimensions, self.rotation)

    def embed_query(self, text: str) -> FloatVector:
        full = self._encode([text], self._space.query_prompt, None)
        vector: FloatVector = reshape_vectors(full, self._space.dimensions, self.rotation)[0]
        return vector

    def token_vectors(self, texts: Sequence[str], *, query: bool = False) -> list[FloatMatrix]:
        """Unit vectors of each text's tokens, float32 [tokens, width]; special tokens left out.

        They are of the model's own width, without any rotation.

        Args:
            query: whether these are queries, which may have another prompt than documents.

        Raises:
            ModelUnavailable: the model gives no vectors of tokens.
        """
        prompt = self._space.query_prompt if query else self._space.document_prompt
        found: list[FloatMatrix] = [np.zeros((0, 0), np.float32)] * len(texts)
        for rows, read in self.read_tokens(texts, prompt):
            for row, tokens in zip(rows, read, strict=True):
                found[row] = truncate(tokens, tokens.shape[1])
        return found

    def read_tokens(
        self, texts: Sequence[str], prompt: str
    ) -> Iterator[tuple[list[int], list[FloatMatrix]]]:
        """Yields, batch by batch, rows of `texts` and the vectors of their tokens.

        Those are as the model gives them, float32 [tokens, width], of the prompt's tokens too, and
        of none that was cut off; special tokens are left out.

        Raises:
            ModelUnavailable: the model gives no vectors of tokens.
        """
        special = int(self.model.tokenizer.num_special_tokens_to_add())
        if special not in (0, 2):
            raise ModelUnavailable(
                f"{self._space.model} does not say which of its vectors are of tokens",
                hint="Use another embedding model, or set `reranker` to off and `chunker` to "
                "another one than late.",
            )
        for padded, rows in self._batches(texts, prompt):
            with self.turn:
                encoded = self.model.encode(
                    [texts[row] for row in rows],
                    batch_size=len(rows),
                    prompt=prompt or None,
                    output_value="token_embeddings",
                    show_progress_bar=False,
                    convert_to_numpy=False,
                    processing_kwargs={"text": {"padding": "max_length", "max_length": padded}},
                )
            inner = [tokens[1:-1] if special else tokens for tokens in encoded]
            yield rows, [tokens.float().cpu().numpy() for tokens in inner]

    def _encode(
        self, texts: Sequence[str], prompt: str, on_batch: Callable[[int], None] | None
    ) -> FloatMatrix:
        """Vectors of the model's own width, float32 [len(texts), width], not yet normalised."""
        width = self.model.get_embedding_dimension()
        if width is None:
            raise ModelUnavailable(f"{self._space.model} does not tell its width")
        vectors = np.empty((len(texts), width), np.float32)
        for at in range(0, len(texts), _COUNT_TEXTS):
            part = texts[at : at + _COUNT_TEXTS]
            for padded, rows in self._batches(part, prompt):
                with self.turn:
                    encoded = self.model.encode(
                        [part[row] for row in rows],
                        batch_size=len(rows),
                        prompt=prompt or None,
                        show_progress_bar=False,
                        convert_to_numpy=False,
                        convert_to_tensor=True,
                        processing_kwargs={"text": {"padding": "max_length", "max_length": padded}},
                    )
                vectors[[at + row for row in rows]] = encoded.float().cpu().numpy()
                if on_batch:
                    on_batch(len(rows))
        return vectors

    def _batches(self, texts: Sequence[str], prompt: str) -> Iterator[tuple[int, list[int]]]:
        """Yields (padded length, rows), the longest first, so that memory peaks at once."""
        longest = self.model.max_seq_length or 512
        buckets: dict[int, list[int]] = {}
        for row, length in enumerate(self._tokenizer.lengths([prompt + text for text in texts])):
            padded = min(longest, -(-length // _BUCKET) * _BUCKET)
            buckets.setdefault(padded, []).append(row)
        for padded in sorted(buckets, reverse=True):
            rows = buckets[padded]
            size = max(1, self._batch_tokens // padded)
            for start in range(0, len(rows), size):
                yield padded, rows[start : start + size]


class SubwordTokenizer:
    """Token positions by a Hugging Face fast tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise ModelUnavailable(
                "this embedding model has no fast tokenizer, which chunking needs",
                hint="Choose a model with a tokenizer.json.",
            )
        # A copy: truncation and padding are switched off here and wanted there.
        self._backend = type(backend).from_str(backend.to_str())
        self._backend.no_truncation()
        self._backend.no_padding()

    def offsets(self, text: str) -> list[tuple[int, int]]:
        offsets: list[tuple[int, int]] = self._backend.encode(
            text, add_special_tokens=False
        ).offsets
        return offsets

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, special tokens included, before any truncation."""
        return [len(encoding.ids) for encoding in self._backend.encode_batch_fast(list(texts))]


def reshape_vectors(
    vectors: FloatMatrix, dimensions: int, rotation: Rotation | None
) -> FloatMatrix:
    """Full-width vectors as an embedding space wants them: unit length, rotated, truncated."""
    unit = truncate(vectors, vectors.shape[1])
    if rotation is not None:
        unit = rotation.apply(unit)
    return truncate(unit, dimensions)


def load_embedder(settings: Settings) -> SentenceEmbedder:
    """Loads the embedding model that the settings name.

    Raises:
        ModelUnavailable: it cannot be found or read, or its rotation does not fit it.
        ShippedModelBroken: the rotation that ships for it is not what was shipped.
    """
    source = find_model(settings.embedding_model)
    device = pick_device(settings.device)
    dtype = pick_dtype(settings.embedding_dtype, device)
    import_transformers()
    from sentence_transformers import SentenceTransformer

    with quiet_loading():
        try:
            model = SentenceTransformer(
                source.location,
                device=device,
                local_files_only=source.is_local,
                model_kwargs={"dtype": dtype},
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelUnavailable(
                f"embedding model {source.name} cannot be loaded: {first_line(error)}",
                hint="Set embedding_model to a folder with a sentence-transformers model, "
                "or to the packaged all-MiniLM-L6-v2.",
            ) from error
    model.eval()
    revision = weights_digest(Path(source.location)) if source.is_local else _hub_revision(model)
    width = model.get_embedding_dimension() or 0
    dimensions = settings.embedding_dimensions or width
    if dimensions > width:
        raise ModelUnavailable(
            f"embedding_dimensions: {dimensions} is more than the {width} of {source.name}"
        )
    rotation = rotation_for(settings.embedding_rotation, source.name, revision, width, dimensions)
    space = EmbeddingSpace(
        model=source.name,
        revision=revision,
        dimensions=dimensions,
        rotation=rotation.sha256 if rotation else "",
        query_prompt=_prompt(model, settings.embedding_query_prompt, "query"),
        document_prompt=_prompt(model, settings.embedding_document_prompt, "document"),
    )
    log.info("embedder loaded", model=source.name, device=device, dtype=str(dtype))
    is_chosen = settings.embedding_rotation != "auto"
    return SentenceEmbedder(model, space, rotation, is_chosen=is_chosen)


def _prompt(
    model: "SentenceTransformer", override: str | None, kind: Literal["query", "document"]
) -> str:
    if override is not None:
        return override
    names = ("query",) if kind == "query" else ("document", "passage", "corpus")
    prompts = model.prompts or {}
    for name in (*names, model.default_prompt_name or ""):
        if prompts.get(name):
            return str(prompts[name])
    return ""


def _hub_revision(model: "SentenceTransformer") -> str:
    """The commit that a hub model was loaded from, when it tells; its name otherwise."""
    commit = getattr(getattr(model[0], "model", None), "config", None)
    return str(getattr(commit, "_commit_hash", None) or "unknown")
