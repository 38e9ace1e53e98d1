"""What one collection contributes to a search: the best of both sides, each scored by both.

What always holds: filters and phrases mask both sides before anything is ranked. Candidates stand
in the order of their ties, which no history changes, so that whatever ranks them stably gives equal
results for equal rows.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import numpy as np

from rostra.core import FloatVector
from rostra.retrieval.index import CollectionIndex
from rostra.retrieval.lexical import LexicalQuery, Mask, Positions, Scores, TermSearch
from rostra.store import Collection


@dataclass(frozen=True, slots=True)
class OpenCollection:
    """A collection that is searched.

    Attributes:
        index: at least as new as the rows were when the search began.
        mask: bool [positions], what the filters allow; None allows all.
    """

    collection: Collection
    index: CollectionIndex
    mask: Mask | None


@dataclass(frozen=True)
class Candidates:
    """What a collection contributes, by position in its index.

    Attributes:
        dense: float64 [candidates]; NaN where vectors were not asked for.
        lexical: float64 [candidates]; NaN where no term is shared, or terms were not asked for.
    """

    collection: Collection
    index: CollectionIndex
    positions: Positions
    dense: Scores
    lexical: Scores


def find_candidates(
    opened: OpenCollection,
    vector: FloatVector | None,
    query: LexicalQuery,
    *,
    terms: TermSearch | None,
    wanted: int,
    watch: Callable[[str], AbstractContextManager[None]],
) -> Candidates:
    """The best of both sides, or of one, with the exact scores of both.

    Args:
        opened: where.
        vector: the query's; None leaves the dense side out.
        query: its terms, and the phrases that must occur.
        terms: finds by terms; None leaves them out, phrases count in any case.
        wanted: candidates of each side.
        watch: times the stages `dense` and `lexical`.
    """
    index, mask = opened.index, opened.mask
    tie = index.table.tie
    if query.phrases:
        with watch("lexical"):
            mask = query.mask(index.lexical, mask)
    nowhere = np.zeros(0, np.int64), np.zeros(0, np.float64)
    near, sharing = nowhere, nowhere
    if vector is not None:
        with watch("dense"):
            near = index.dense.search(vector, wanted, mask, tie)
    if terms is not None:
        with watch("lexical"):
            sharing = terms.search(index.lexical, query.terms, wanted, mask, tie)
    positions = np.unique(np.concatenate([near[0], sharing[0]]))
    positions = positions[np.lexsort((positions, tie[positions]))]
    nothing = np.full(len(positions), np.nan)
    dense, lexical = nothing, nothing
    if vector is not None:
        with watch("dense"):
            dense = _filled(positions, near, partial(index.dense.scores, vector))
    if terms is not None:
        with watch("lexical"):
            lexical = _filled(positions, sharing, partial(index.lexical.scores, query.terms))
    return Candidates(opened.collection, index, positions, dense, lexical)


def _filled(
    positions: Positions,
    found: tuple[Positions, Scores],
    scored: Callable[[Positions], Scores],
) -> Scores:
    """Scores of all positions: those that were found have theirs, the others are scored."""
    order = np.argsort(found[0])
    rising = found[0][order]
    at = np.searchsorted(rising, positions)
    scores = np.full(len(positions), np.nan)
    known = at < len(rising)
    known[known] = rising[at[known]] == positions[known]
    scores[known] = found[1][order][at[known]]
    if not known.all():
        scores[~known] = scored(positions[~known])
    return scores
