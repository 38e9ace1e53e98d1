"""Postings of rows against counting them one by one, with and without kernels."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.retrieval.lexical import inverting, merge_kernels


@given(st.lists(st.lists(st.integers(0, 6), max_size=9), max_size=9), st.booleans())
def test_postings_are_counts(rows: list[list[int]], many: bool) -> None:
    tokens = np.array([token for row in rows for token in row], np.int32)
    starts = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    expected = [
        [(at, Counter(row)[term]) for at, row in enumerate(rows) if term in row]
        for term in range(7)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inverting, "_MANY", 0 if many else 1000)
        counts = inverting.row_counts(tokens, starts, 7)
        begins, docs, tfs = inverting.inverted(tokens, starts, 7)
    assert counts.tolist() == [len(one) for one in expected]
    assert begins.tolist() == np.cumsum([0, *map(len, expected)]).tolist()
    pairs = list(zip(docs.tolist(), tfs.tolist(), strict=True))
    assert [pairs[begins[term] : begins[term + 1]] for term in range(7)] == expected


def test_rows_that_end_behind_a_damaged_files_terms_are_cut_there() -> None:
    behind = np.zeros(8, np.int32)
    out = np.full(8, -1, np.int32)
    for starts in ([0, 6], [-3, 6], [0, 1 << 40]):
        rows = np.array(starts, np.int64)
        places = np.arange(3, dtype=np.int32)
        moved = np.zeros(1, np.int64)
        assert merge_kernels.copy_rows(rows, behind[:2], moved, places, 0, out) == 2
        assert (out[2:] == -1).all()
