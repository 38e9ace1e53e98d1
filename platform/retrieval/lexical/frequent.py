"""Counts by row of a segment's most frequent terms, for looking one up in one step.

A list of postings answers "how often is this term in that row?" by searching; for terms that most
candidates have, that search is most of a query's time. Their counts fill a row of a table the first
time that one is asked for.
"""

import threading

import numpy as np

from rostra.retrieval.lexical.storage import Array, let_go

# Terms of a segment that may have a table row, and the share of rows that they must be in.
_MOST = 64
_LEAST_SHARE = 1 / 16
# In smaller segments searching is quick enough.
_LEAST_ROWS = 1 << 14


class FrequentTerms:
    """See this module; memory is at most `_MOST` bytes for each row, of terms that were asked for.

    Attributes:
        table: uint8 [slots, rows], counts by row.
        places: int64 [slots], the term of each.
        filled: bool [slots], which of them were asked for.

    Args:
        starts: int64 [terms + 1], where each term's postings start.
        docs: int32 [postings], rows.
        tfs: uint8 or int32 [postings]; of the latter no table is made.
        rows: of the segment.
    """

    def __init__(self, starts: Array, docs: Array, tfs: Array, rows: int) -> None:
        self._starts, self._docs, self._tfs = starts, docs, tfs
        chosen = np.zeros(0, np.int64)
        if rows >= _LEAST_ROWS and tfs.dtype == np.uint8:
            frequencies = np.diff(starts)
            chosen = np.flatnonzero(frequencies > rows * _LEAST_SHARE)
            chosen = chosen[np.argsort(-frequencies[chosen], kind="stable")[:_MOST]]
        self.places = chosen
        self.filled = np.zeros(len(chosen), np.bool_)
        self._turn = threading.Lock()
        # Its pages come into being when they are written to.
        self.table = np.zeros((len(chosen), rows if len(chosen) else 0), np.uint8)

    def fill(self, slot: int) -> None:
        """Counts a term by row, if that was not done."""
        with self._turn:
            if not self.filled[slot]:
                place = int(self.places[slot])
                entries = slice(int(self._starts[place]), int(self._starts[place + 1]))
                docs, tfs = self._docs[entries], self._tfs[entries]
                inside = docs.view(np.uint32) < self.table.shape[1]
                if not inside.all():  # the file is damaged
                    docs, tfs = docs[inside], tfs[inside]
                self.table[slot, docs] = tfs
                self.filled[slot] = True
                # From now on they are hardly read, and there are many.
                for array in (docs, tfs):
                    let_go(array)
