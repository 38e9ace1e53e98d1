"""Analyses many texts at once: what stands between ASCII's separators is looked at once.

Text is cut at ASCII characters that are neither letters nor digits, by machine code that releases
the interpreter's lock. Each distinct piece (ASCII letters in lower case) goes through the analyzer
once; after that it is a number.

What always holds: the terms are those that the analyzer gives for each text. It says itself that it
may be asked piece by piece (`PieceAnalyzer`): case folding looks at single characters, and no word
goes across such a separator. What is remembered is bounded.
"""

import threading
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from rostra.retrieval.analysis.analyzer import Analyzer
from rostra.retrieval.analysis.rows import TermRows, Vocabulary

# Characters from which on machine code is loaded; below, small collections never wait for it.
_MANY = 1 << 21
# Pieces, and bytes of theirs, that are remembered from one batch to the next.
_MOST_PIECES = 1 << 19
_MOST_BYTES = 1 << 24


@runtime_checkable
class PieceAnalyzer(Analyzer, Protocol):
    """An analyzer for which a text's terms are those of its pieces, one after another.

    A piece is a longest run of ASCII letters and digits and of characters beyond ASCII; whether
    ASCII letters are small or capital makes no difference.
    """

    def terms_of_pieces(self, pieces: Sequence[str]) -> tuple[list[str], list[int]]:
        """The terms of all pieces, one after another, and how many each has."""
        ...


class BatchAnalysis:
    """Analyses batches of texts; threads take turns.

    Args:
        analyzer: says what the terms are.
    """

    def __init__(self, analyzer: Analyzer) -> None:
        self._analyzer = analyzer
        self._turn = threading.Lock()
        self._known: _Pieces | None = None

    def rows(self, texts: Sequence[str]) -> TermRows:
        """The terms of each text."""
        analyzer = self._analyzer
        if not isinstance(analyzer, PieceAnalyzer) or sum(map(len, texts)) < _MANY:
            self.forget()
            return TermRows.of([analyzer.terms(text) for text in texts])
        with self._turn:
            known = self._known
            if known is None or known.is_full:
                known = self._known = _Pieces(analyzer)
            try:
                return known.rows(texts)
            except BaseException:
                # Some pieces may have numbers, and no terms yet.
                self._known = None
                raise

    def forget(self) -> None:
        """Gives memory back."""
        with self._turn:
            self._known = None


class _Pieces:
    """Pieces by number, and their terms."""

    def __init__(self, analyzer: PieceAnalyzer) -> None:
        self._analyzer = analyzer
        self._count = 0
        self._slots: npt.NDArray[np.int32] = np.full(1 << 16, -1, np.int32)
        self._hashes = np.zeros(1 << 15, np.uint64)
        self._spelled = np.zeros(1 << 20, np.uint8)
        self._ends = np.zeros((1 << 15) + 1, np.int64)
        self._numbers = Vocabulary()
        # Where each piece's terms start in the list behind.
        self._first_term = np.zeros((1 << 15) + 1, np.int64)
        self._piece_terms = np.zeros(1 << 15, np.int32)

    @property
    def is_full(self) -> bool:
        """Whether to begin anew."""
        return self._count > _MOST_PIECES or int(self._ends[self._count]) > _MOST_BYTES

    def rows(self, texts: Sequence[str]) -> TermRows:
        """See `BatchAnalysis.rows`."""
        from rostra.retrieval.analysis import kernels

        octets = [text.encode("utf-8", "surrogatepass") for text in texts]
        starts = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, octets), np.int64, len(octets)), out=starts[1:])
        text = np.frombuffer(b"".join(octets), np.uint8)
        pieces = np.empty((int(starts[-1]) + len(texts) + 1) // 2, np.int32)
        piece_starts = np.zeros(len(texts) + 1, np.int64)
        row, before = 0, self._count
        kinds = _kinds()
        while row < len(texts):
            cut, self._count = kernels.number_pieces(
                text,
                starts,
                kinds,
                row,
                self._count,
                self._slots,
                self._hashes,
                self._spelled,
                self._ends,
                pieces,
                piece_starts,
            )
            if cut == row:
                self._make_room(int(starts[row + 1] - starts[row]))
            row = cut
        self._analyse(before)
        token_starts = np.zeros(len(texts) + 1, np.int64)
        kernels.count_tokens(pieces, piece_starts, self._first_term, token_starts)
        tokens = np.empty(int(token_starts[-1]), np.int32)
        places: npt.NDArray[np.int32] = np.full(len(self._numbers.spelled), -1, np.int32)
        seen = np.empty(len(self._numbers.spelled), np.int32)
        distinct = kernels.write_tokens(
            pieces,
            int(piece_starts[-1]),
            self._first_term,
            self._piece_terms,
            places,
            seen,
            tokens,
        )
        spelled = self._numbers.spelled
        return TermRows([spelled[at] for at in seen[:distinct].tolist()], tokens, token_starts)

    def _analyse(self, before: int) -> None:
        """Has the pieces from `before` on analysed."""
        if self._count == before:
            return
        first, last = int(self._ends[before]), int(self._ends[self._count])
        raw = self._spelled[first:last].tobytes()
        ends = (self._ends[before : self._count + 1] - first).tolist()
        pieces = [raw[at:end].decode("utf-8", "surrogatepass") for at, end in pairwise(ends)]
        terms, sizes = self._analyzer.terms_of_pieces(pieces)
        numbers = list(map(self._numbers.__getitem__, terms))
        begin = int(self._first_term[before])
        ends_now = begin + np.cumsum(sizes, dtype=np.int64)
        self._first_term = _room(self._first_term, self._count + 1)
        self._first_term[before + 1 : self._count + 1] = ends_now
        self._piece_terms = _room(self._piece_terms, begin + len(numbers))
        self._piece_terms[begin : begin + len(numbers)] = numbers

    def _make_room(self, size: int) -> None:
        """For a text of so many bytes."""
        from rostra.retrieval.analysis import kernels

        count = self._count + (size + 1) // 2
        self._hashes = _room(self._hashes, count)
        self._ends = _room(self._ends, count + 1)
        self._spelled = _room(self._spelled, int(self._ends[self._count]) + size)
        if 2 * count > len(self._slots):
            self._slots = np.full(1 << (2 * count).bit_length(), -1, np.int32)
            kernels.fill_slots(self._hashes, self._count, self._slots)


def _kinds() -> npt.NDArray[np.uint8]:
    """uint8 [256], what each byte of UTF-8 becomes: ASCII small letters, 0 for separators."""
    kinds = np.arange(256, dtype=np.uint8)
    for at in range(128):
        kinds[at] = ord(chr(at).lower()) if chr(at).isalnum() else 0
    return kinds


def _room(array: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """The array, or a copy twice as large or more with zeros behind, so that `size` fits."""
    if size <= len(array):
        return array
    larger = np.zeros(max(size, 2 * len(array)), array.dtype)
    larger[: len(array)] = array
    return larger
