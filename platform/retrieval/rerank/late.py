"""Late interaction as a reranker: the bi-encoder's own token vectors, stored or computed now.

What always holds: a passage's score depends on query, passage and codec alone, and never on what
else is scored or where its vectors came from. One codec serves one search: the stored one where
the collection has stored tokens, else the vectors as they are.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from rostra.core import (
    Embedder,
    EmbeddingSpace,
    FloatMatrix,
    InvalidRequest,
    ModelUnavailable,
    Settings,
    get_logger,
)
from rostra.retrieval.embed import SentenceEmbedder
from rostra.retrieval.lexical import DamagedIndex, Scores
from rostra.retrieval.rerank.stored import StoredTokens, TokenFolder, TokenManifest
from rostra.retrieval.rerank.tokens import (
    TokenCache,
    TokenCodec,
    TokenCodes,
    fit_directions,
    max_sim,
    text_key,
)

log = get_logger(__name__)

# Width that stored vectors are cut to; see docs/performance.md for what it costs.
STORED_DIMENSIONS = 128
_CACHE_BYTES = 64 * 1024 * 1024
# What directions are fitted on, at most; these passages are read twice.
_FIT_TOKENS = 60_000
_FIT_PASSAGES = 500
_BATCH = 256


def token_space(space: EmbeddingSpace) -> str:
    """What names the token vectors of a space: they are not rotated, whatever its own are."""
    return replace(space, rotation="").fingerprint


class LateInteraction:
    """Makes rerankers for collections; see `LateReranker`.

    Args:
        embedder: called on first need, in a thread; it may load a model.
        folder: where stored tokens are.
    """

    def __init__(self, embedder: Callable[[], Embedder], folder: Path) -> None:
        self._embedder = embedder
        self.folder = TokenFolder(folder)
        self._cache = TokenCache(_CACHE_BYTES)
        self._opened: dict[UUID, tuple[int, str, StoredTokens | None]] = {}
        self._lock = threading.Lock()
        # One search at a time: the model takes all cores for each.
        self._worker = ThreadPoolExecutor(1, "late")

    def reranker(self, collections: Sequence[UUID]) -> "LateReranker":
        """A reranker of what is found in these collections. Blocks while the model loads.

        Raises:
            ModelUnavailable: the embedding model gives no vectors of tokens.
        """
        embedder = self._embedder()
        if not isinstance(embedder, SentenceEmbedder):
            raise ModelUnavailable(
                "this embedding model gives no vectors of tokens, which late interaction needs",
                hint="Set `reranker` to off.",
            )
        stored = [self._stored(one, token_space(embedder.space)) for one in collections]
        there = [one for one in stored if one is not None]
        # Several collections have different directions, and scores of one search must compare.
        alone = there[0] if len(there) == len(stored) == 1 else None
        return LateReranker(embedder, alone, self._cache, self._worker)

    def is_stored(self, collection: UUID, space: EmbeddingSpace) -> bool:
        """Whether a collection has stored tokens of this space that can be read."""
        return self._stored(collection, token_space(space)) is not None

    def drop(self, collection: UUID) -> bool:
        """Removes what is stored of a collection; whether there was anything."""
        with self._lock:
            self._opened.pop(collection, None)
        return self.folder.drop(collection)

    def is_fast(self) -> bool:
        """Whether passages are read quickly enough to do it for every search: on a GPU."""
        embedder = self._embedder()
        return isinstance(embedder, SentenceEmbedder) and embedder.model.device.type == "cuda"

    def _stored(self, collection: UUID, space: str) -> StoredTokens | None:
        stamp = self.folder.stamp(collection)
        with self._lock:
            known = self._opened.get(collection)
            if known is None or known[:2] != (stamp, space):
                known = stamp, space, self.folder.open(collection, space) if stamp else None
                self._opened[collection] = known
            return known[2]


class LateReranker:
    """A `Reranker` by MaxSim. Make with `LateInteraction.reranker`."""

    def __init__(
        self,
        embedder: SentenceEmbedder,
        stored: StoredTokens | None,
        cache: TokenCache,
        worker: ThreadPoolExecutor,
    ) -> None:
        self._embedder = embedder
        self._stored = stored
        self._cache = cache
        self._worker = worker
        self._codec = stored.codec if stored is not None else TokenCodec()

    @property
    def name(self) -> str:
        return "late"

    @property
    def is_fast(self) -> bool:
        """Whether passages are read quickly: on a GPU."""
        return self._embedder.model.device.type == "cuda"

    def submit(self, query: str, passages: Sequence[str]) -> Future[Scores]:
        """See `Submits`."""
        return self._worker.submit(self.scores, query, passages)

    def scores(self, query: str, passages: Sequence[str]) -> Scores:
        asked = self._codec.encode(self._embedder.token_vectors([query], query=True)[0])
        scores = max_sim(asked, self.codes(passages))
        # Without tokens: as bad as the worst.
        lowest = float(np.nanmin(scores)) if not np.isnan(scores).all() else 0.0
        return np.nan_to_num(scores, nan=lowest)

    def missing(self, passages: Sequence[str]) -> int:
        """How many of these would have to be read by the model."""
        stored = self._stored
        return sum(
            (stored is None or passage not in stored)
            and self._cache.get(self._key(passage)) is None
            for passage in set(passages)
        )

    def codes(self, passages: Sequence[str]) -> list[TokenCodes]:
        """The token codes of passages: stored, remembered, or computed now."""
        found: dict[int, TokenCodes] = {}
        missing: dict[str, list[int]] = {}
        for row, passage in enumerate(passages):
            codes = self._read(passage)
            if codes is None:
                codes = self._cache.get(self._key(passage))
            if codes is not None:
                found[row] = codes
            else:
                missing.setdefault(passage, []).append(row)
        texts = list(missing)
        for text, vectors in zip(texts, self._embedder.token_vectors(texts), strict=True):
            codes = self._codec.encode(vectors)
            self._cache.put(self._key(text), codes)
            found |= dict.fromkeys(missing[text], codes)
        return [found[row] for row in range(len(passages))]

    def _read(self, passage: str) -> TokenCodes | None:
        if self._stored is None:
            return None
        try:
            return self._stored.get(passage)
        except DamagedIndex as error:
            log.warning("stored token vectors are damaged: computed instead", reason=str(error))
            return None

    def _key(self, passage: str) -> tuple[Any, ...]:
        return self._embedder.space.fingerprint, self._codec.digest, text_key(passage)


def store_tokens(
    folder: TokenFolder,
    collection: UUID,
    embedder: SentenceEmbedder,
    passages: Sequence[str],
    on_batch: Callable[[int], None] | None = None,
    dimensions: int = STORED_DIMENSIONS,
) -> TokenManifest:
    """Computes and stores the token codes of a collection's passages. Blocks.

    What is stored already is kept if its directions still serve; only new texts are read.

    Args:
        passages: what is indexed of each chunk.
        on_batch: called with the number of passages done after each batch.

    Raises:
        InvalidRequest: there is no passage.
        OSError: the disk is full or not writable; what was stored before is untouched.
    """
    if not passages:
        raise InvalidRequest(
            "there is no passage to store token vectors of", hint="Ingest documents first."
        )
    space = token_space(embedder.space)
    texts = list(dict.fromkeys(passages))
    before = folder.open(collection, space)
    if before is not None and sum(text in before for text in texts) * 2 < len(texts):
        before = None  # most is new: directions are fitted anew
    if before is not None and before.codec.directions is not None:
        directions = before.codec.directions
    else:
        directions = fit_directions(_sample(embedder, texts), dimensions)
    made = _made(embedder, TokenCodec(directions), before, texts, on_batch)
    return folder.write(collection, space, directions, made)


def _sample(embedder: SentenceEmbedder, texts: Sequence[str]) -> FloatMatrix:
    """Token vectors of some of the texts, the same whatever order they come in."""
    chosen = sorted(texts, key=text_key)[:_FIT_PASSAGES]
    found: list[FloatMatrix] = []
    count = 0
    for at in range(0, len(chosen), _BATCH):
        found += embedder.token_vectors(chosen[at : at + _BATCH])
        count += sum(len(one) for one in found[at:])
        if count >= _FIT_TOKENS:
            break
    return np.concatenate(found)


def _made(
    embedder: SentenceEmbedder,
    codec: TokenCodec,
    before: StoredTokens | None,
    texts: Sequence[str],
    on_batch: Callable[[int], None] | None,
) -> Iterator[tuple[bytes, TokenCodes]]:
    for at in range(0, len(texts), _BATCH):
        batch = texts[at : at + _BATCH]
        codes = dict(_kept(before, batch))
        new = [text for text in batch if text not in codes]
        for text, vectors in zip(new, embedder.token_vectors(new), strict=True):
            codes[text] = codec.encode(vectors)
        for text in batch:
            yield text_key(text), codes[text]
        if on_batch:
            on_batch(len(batch))


def _kept(before: StoredTokens | None, texts: Iterable[str]) -> Iterator[tuple[str, TokenCodes]]:
    if before is None:
        return
    for text in texts:
        try:
            codes = before.get(text)
        except DamagedIndex:
            continue  # it is computed anew
        if codes is not None:
            yield text, codes


def late_interaction(settings: Settings, embedder: Callable[[], Embedder]) -> LateInteraction:
    """Late interaction over a data directory."""
    return LateInteraction(embedder, Path(settings.home) / "tokens")
