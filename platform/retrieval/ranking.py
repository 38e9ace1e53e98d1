"""One ranking of what several collections contribute.

What always holds: it is an order of the candidates, which stand in arrays; what a hit is made of is
made for those alone that are shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from rostra.core import FusionKind
from rostra.retrieval.candidates import Candidates
from rostra.retrieval.fuse import fuse
from rostra.retrieval.hits import HitScores
from rostra.retrieval.lexical import Positions, Scores
from rostra.retrieval.request import SearchMode


@dataclass(frozen=True)
class Ranking:
    """Candidates, best first.

    Attributes:
        places: int64 [candidates], whose of the collections each is.
        positions: int64 [candidates], in its collection's index.
        score: float64 [candidates], what they are ranked by, falling.
        dense: float64 [candidates]; None where vectors were not asked for.
        lexical: the same of terms; 0 where none is shared.
        fused: the same of both.
    """

    places: Positions
    positions: Positions
    score: Scores
    dense: Scores | None
    lexical: Scores | None
    fused: Scores | None

    @classmethod
    def of(
        cls,
        found: Sequence[Candidates],
        mode: SearchMode,
        fusion: FusionKind,
        *,
        dense_weight: float,
        rrf_k: int,
    ) -> Self:
        """Ranks what was found; see `fuse` for the arguments."""
        dense = np.concatenate([part.dense for part in found])
        lexical = np.concatenate([part.lexical for part in found])
        fused = None
        match mode:
            case SearchMode.DENSE:
                score = dense
            case SearchMode.LEXICAL:
                score = lexical
            case SearchMode.HYBRID:
                score = fused = fuse(fusion, dense, lexical, dense_weight=dense_weight, rrf_k=rrf_k)
        # Stable: candidates stand by collection and tie, which decide among equals.
        order = np.argsort(-score, kind="stable")
        sizes = [len(part.positions) for part in found]
        return cls(
            np.repeat(np.arange(len(found)), sizes)[order],
            np.concatenate([part.positions for part in found])[order],
            score[order],
            None if mode is SearchMode.LEXICAL else dense[order],
            None if mode is SearchMode.DENSE else np.nan_to_num(lexical[order]),
            None if fused is None else fused[order],
        )

    def __len__(self) -> int:
        return len(self.positions)

    def scores(self, row: int) -> HitScores:
        """The partial scores of one of them."""
        return HitScores(
            dense=None if self.dense is None else float(self.dense[row]),
            lexical=None if self.lexical is None else float(self.lexical[row]),
            fused=None if self.fused is None else float(self.fused[row]),
        )

    def limited(self, found: Sequence[Candidates], most: int) -> Self:
        """The best `most` of each document, in the same order.

        Args:
            found: what was ranked.
        """
        document = np.zeros(len(self), np.int64)
        for place, part in enumerate(found):
            mine = self.places == place
            document[mine] = part.index.table.document[self.positions[mine]]
        order = np.lexsort((document, self.places))  # stable: of one document the best first
        heads = np.ones(len(self), np.bool_)
        heads[1:] = (np.diff(document[order]) != 0) | (np.diff(self.places[order]) != 0)
        starts = np.flatnonzero(heads)
        rank = np.arange(len(self)) - np.repeat(starts, np.diff(starts, append=len(self)))
        return self._kept(np.sort(order[rank < most]))

    def _kept(self, rows: npt.NDArray[np.int64]) -> Self:
        return type(self)(
            self.places[rows],
            self.positions[rows],
            self.score[rows],
            None if self.dense is None else self.dense[rows],
            None if self.lexical is None else self.lexical[rows],
            None if self.fused is None else self.fused[rows],
        )
