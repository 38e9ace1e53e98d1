"""What finds candidates, and how it is told where it may look.

A finder is asked for a shortlist; whoever asks rescores it at full width. So a finder may be rough,
but never careless: what it returns was there when the search began, is live, and passes the
filters.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rostra.core import DenseIndexKind, FloatMatrix, FloatVector
from rostra.retrieval.dense.rows import Octets
from rostra.retrieval.lexical import Mask, Positions


@dataclass(frozen=True, slots=True)
class DenseOptions:
    """How a collection's vectors are searched.

    Attributes:
        kind: `flat` is exact; `pruned` too, but codes rule out most vectors; `two_stage` shortlists
            by inverted lists over int8 codes of few dimensions; `ivf_sq` the same at full width;
            `int8` and `binary` look at all codes; `hnsw` is a graph; the others need a GPU or a
            Milvus server. `auto` is `pruned`, and `two_stage` from `lists_at` on.
        code_dimensions: of truncated codes; no more than the vectors have.
        shortlist: candidates that are rescored at full width, at least. Of the best ten of
            1,000,000 MiniLM passage vectors with noise `two_stage` finds 0.933 with 300, 0.957 with
            400, 0.972 with 500 and 0.987 with 800, at 0.15 ms a hundred.
        train_at: live vectors from which on there is a finder; fewer are all looked at.
        lists_at: live vectors from which on `auto` is `two_stage`.
        half: keep vectors as float16.
        device: torch's name of the one for `gpu_flat`.
        milvus_uri: of a server, or the path of a file for milvus-lite.
        milvus_collection: what this collection's names there start with; letters, digits and `_`.
    """

    kind: DenseIndexKind = "two_stage"
    code_dimensions: int = 128
    shortlist: int = 500
    train_at: int = 16_384
    lists_at: int = 100_001
    half: bool = False
    device: str = "cuda"
    milvus_uri: str = ""
    milvus_collection: str = ""

    @property
    def recipe(self) -> str:
        """What codes depend on."""
        # What `auto` trained says by itself which of the two it is.
        kind = "two_stage" if self.kind == "auto" else self.kind
        truncated = kind in ("two_stage", "gpu_flat", "gpu_ivf")
        return f"1 {kind} {self.code_dimensions if truncated else 0}"


@dataclass(frozen=True, slots=True)
class Allowed:
    """Where a search may look.

    Attributes:
        total: positions below this one.
        mask: bool [total], of these the ones that are true; None allows all.
        count: how many that is.
    """

    total: int
    mask: Mask | None
    count: int

    @classmethod
    def of(cls, total: int, live: Mask | None, mask: Mask | None) -> "Allowed":
        """The live ones that a filter lets through."""
        if live is not None and mask is not None:
            live = live & mask
        elif live is None:
            live = mask
        return cls(total, live, total if live is None else int(np.count_nonzero(live)))

    def positions(self) -> Positions:
        """int64, rising."""
        return np.arange(self.total) if self.mask is None else np.flatnonzero(self.mask)

    def among(self, found: Positions) -> Positions:
        """Those found that are allowed."""
        inside = found[(found >= 0) & (found < self.total)]
        return inside if self.mask is None else inside[self.mask[inside]]


class FinderFailed(RuntimeError):
    """A GPU or a server does not do its part. Whoever searches looks at every vector instead."""


class Finder(Protocol):
    """Finds candidates. One thread adds, any search; rows are named by position, from 0 up.

    Attributes:
        exact: what it finds has every row that is as good as the last of the best so many.
    """

    @property
    def exact(self) -> bool: ...

    @property
    def count(self) -> int:
        """Rows it knows."""
        ...

    @property
    def code_width(self) -> int:
        """Bytes it wants kept of every row; 0 for none."""
        ...

    def encode(self, rows: FloatMatrix) -> Octets:
        """Codes to be kept, uint8 [rows, code_width]."""
        ...

    def add(self, rows: FloatMatrix | None, codes: Octets) -> None:
        """Takes the rows behind those it has.

        Args:
            rows: float32 [rows, dimensions]; may be None where it wants codes.
            codes: what `encode` made of them.
        """
        ...

    def forget(self, positions: Positions) -> None:
        """Told of removed rows. They are never allowed again, so nothing needs to be done."""
        ...

    def find(self, query: FloatVector, width: int, allowed: Allowed) -> Positions:
        """About `width` allowed positions near the query, in any order, none twice."""
        ...

    def save(self) -> bytes:
        """What `load_finder` needs beside codes, or beside rows where it wants no codes."""
        ...

    def worth_saving(self, saved: int) -> bool:
        """Whether what `save` gives has grown enough since it knew `saved` rows."""
        ...

    def outgrown(self, count: int) -> bool:
        """Whether training anew would pay with this many rows."""
        ...
