"""Rows of terms become postings: for each term, the rows that have it and how often they do."""

import numpy as np
import numpy.typing as npt

from rostra.retrieval.lexical.runs import counted, counted_sorted, spread
from rostra.retrieval.lexical.storage import Array

Tokens = npt.NDArray[np.int32]

# Tokens from which on kernels are loaded; below, small collections never wait for them.
_MANY = 1 << 19


def row_counts(tokens: Tokens, starts: Array, terms: int) -> Array:
    """int64 [terms], in how many rows each term occurs.

    Args:
        tokens: numbers of terms, one row after another.
        starts: int64 [rows + 1], where each row's tokens start.
        terms: how many numbers there are.
    """
    if len(tokens) >= _MANY:
        from rostra.retrieval.lexical import merge_kernels as kernels

        counts = np.zeros(terms, np.int64)
        kernels.count_rows(tokens, starts, np.full(terms, -1, np.int32), counts)
        return counts
    pairs, _ = counted(_pairs(tokens, starts))
    return np.bincount(pairs >> 32, minlength=terms)


def inverted(tokens: Tokens, starts: Array, terms: int) -> tuple[Array, Array, Array]:
    """Postings of rows.

    Args:
        tokens: see `row_counts`.
        starts: likewise.
        terms: likewise.

    Returns:
        int64 [terms + 1], where each term's postings start; int32, their rows, rising; int32, how
        often the term occurs in each.
    """
    if len(tokens) >= _MANY:
        from rostra.retrieval.lexical import merge_kernels as kernels

        begins = spread(row_counts(tokens, starts, terms))
        docs, tfs = np.empty(begins[-1], np.int32), np.empty(begins[-1], np.int32)
        kernels.invert(tokens, starts, begins[:-1].copy(), begins[:-1], docs, tfs)
        return begins, docs, tfs
    # One number a token, by term and then by row; equal ones stand together once sorted.
    keys, repeats = counted_sorted(np.sort(_pairs(tokens, starts)))
    begins = spread(np.bincount(keys >> 32, minlength=terms))
    return begins, (keys & 0xFFFFFFFF).astype(np.int32), repeats.astype(np.int32)


def _pairs(tokens: Tokens, starts: Array) -> Array:
    owner = np.repeat(np.arange(len(starts) - 1, dtype=np.int64), np.diff(starts))
    return tokens.astype(np.int64) << 32 | owner
