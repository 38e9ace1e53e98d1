"""Late interaction: how well the tokens of a passage answer each token of a query.

A passage's score is the sum, over the query's tokens, of the cosine of the closest of its tokens
(MaxSim; Khattab and Zaharia 2020), here over the bi-encoder's own token vectors.

What always holds: vectors are held as signed bytes with one scale each, so that products of bytes
are summed in whole numbers that float32 holds exactly; a passage's codes depend on its text and the
codec alone. A score is therefore the same to the bit, whatever else is scored beside it and whether
the passage's vectors were computed now or kept.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rostra.core import FloatMatrix, FloatVector
from rostra.retrieval.lexical import Scores

Codes = npt.NDArray[np.int8]

_LEVELS = 127
# Sums of more products of bytes could exceed what float32 holds exactly.
_WIDEST = 1024


@dataclass(frozen=True, slots=True)
class TokenCodes:
    """The vectors of one text's tokens.

    Attributes:
        codes: int8 [tokens, dimensions].
        scales: float32 [tokens]; a vector is its code times its scale.
    """

    codes: Codes
    scales: FloatVector

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.codes.nbytes + self.scales.nbytes


@dataclass(frozen=True, slots=True)
class TokenCodec:
    """Turns token vectors into bytes.

    Attributes:
        directions: float32 [dimensions, width], orthonormal rows that vectors are projected on;
            None keeps them as they are.
    """

    directions: FloatMatrix | None = None

    @property
    def digest(self) -> bytes:
        """Equal for equal codecs, 16 bytes."""
        given = b"" if self.directions is None else self.directions.astype("<f4").tobytes()
        return hashlib.blake2b(given, digest_size=16).digest()

    def encode(self, vectors: FloatMatrix) -> TokenCodes:
        """Codes of one text's token vectors, float32 [tokens, width].

        One text at a time: sums of floats can depend on how many are summed at once.
        """
        kept = vectors[:, :_WIDEST]
        if self.directions is not None:
            kept = np.asarray(vectors @ self.directions.T, np.float32)
        norms = np.sqrt(np.einsum("td,td->t", kept, kept))
        unit = kept / np.where(norms > 0, norms, 1)[:, None]
        largest = np.abs(unit).max(axis=1, initial=0) if unit.size else np.zeros(len(unit))
        steps = np.where(largest > 0, largest, 1) / _LEVELS
        codes = np.rint(unit / steps[:, None]).astype(np.int8)
        return TokenCodes(codes, np.asarray(steps, np.float32))


def max_sim(query: TokenCodes, passages: Sequence[TokenCodes]) -> Scores:
    """Sums over the query's tokens of the closest cosine, float64 [passages].

    NaN for a passage without tokens.
    """
    scores = np.full(len(passages), np.nan)
    there = [row for row, passage in enumerate(passages) if len(passage)]
    if not there or not len(query):
        return scores
    codes = np.concatenate([passages[row].codes for row in there]).astype(np.float32)
    scales = np.concatenate([passages[row].scales for row in there])
    lengths = [len(passages[row]) for row in there]
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    # [query tokens, passage tokens], so that what is reduced lies side by side.
    products = query.codes.astype(np.float32) @ codes.T
    products *= scales
    closest = np.maximum.reduceat(products, starts, axis=1) * query.scales[:, None]
    scores[there] = np.ascontiguousarray(closest.T, np.float64).sum(axis=1)
    return scores


def fit_directions(vectors: FloatMatrix, dimensions: int) -> FloatMatrix:
    """The directions in which token vectors vary most, float32 [dimensions, width], orthonormal.

    Not centred, unlike `fit_rotation`: cosines are to be kept, and the mean is part of them.

    Args:
        vectors: float32 [tokens, width].
    """
    _, found = np.linalg.eigh(vectors.T.astype(np.float64) @ vectors.astype(np.float64))
    directions = found.T[::-1][:dimensions]
    # An eigenvector's sign is arbitrary; fix it so that equal texts give equal files.
    rows = np.arange(len(directions))
    signs = np.sign(directions[rows, np.abs(directions).argmax(axis=1)])
    return np.ascontiguousarray(directions * signs[:, None], np.float32)


def text_key(text: str) -> bytes:
    """What a text's token codes are kept by, 16 bytes."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


class TokenCache:
    """The token codes of passages read last, up to a number of bytes. Safe between threads."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held = 0
        self._codes: OrderedDict[Any, TokenCodes] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """Bytes held."""
        return self._held

    def get(self, key: Any) -> TokenCodes | None:
        """The codes kept under a key."""
        with self._lock:
            found = self._codes.get(key)
            if found is not None:
                self._codes.move_to_end(key)
            return found

    def put(self, key: Any, codes: TokenCodes) -> None:
        """Keeps codes; what was not asked for longest goes."""
        with self._lock:
            before = self._codes.pop(key, None)
            self._held -= before.nbytes if before else 0
            self._codes[key] = codes
            self._held += codes.nbytes
            while self._held > self._most:
                _, oldest = self._codes.popitem(last=False)
                self._held -= oldest.nbytes
