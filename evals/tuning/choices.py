"""Ways of ranking one query's candidates, and how good each is.

What always holds: a ranking made here from candidates is the one that search gives with the same
weights: candidates are fused, each document stands by its best chunk, and the best ones are
reranked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from rostra.core import FusionKind, Settings
from rostra.retrieval import fused_scores, mixed_scores

Floats = npt.NDArray[np.float64]

_DENSE_WEIGHTS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
_RERANK_WEIGHTS = (0.0, 0.2, 0.35, 0.5, 0.65)
_RECIPROCAL_WEIGHTS = (0.4, 0.5, 0.6)


@dataclass(frozen=True, slots=True)
class Choice:
    """Weights of a ranking.

    Attributes:
        fusion: how two rankings become one.
        dense_weight: of the dense side.
        rerank_weight: of late interaction beside the fused score; 0 leaves it out.
    """

    fusion: FusionKind
    dense_weight: float
    rerank_weight: float = 0.0


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A query with its candidates.

    Attributes:
        documents: each candidate's.
        dense: cosines, float64 [candidates].
        lexical: BM25, NaN where no term is shared.
        shares: see `lexical_share`.
        late: late interaction; None where it was not computed.
        relevant: relevance by document.
    """

    id: str
    documents: tuple[str, ...]
    dense: Floats
    lexical: Floats
    shares: Floats
    late: Floats | None
    relevant: Mapping[str, int]


def untuned(settings: Settings) -> Choice:
    """What the settings say, without reranking."""
    return Choice(settings.fusion, settings.dense_weight)


def choices(settings: Settings, *, late: bool) -> list[Choice]:
    """All that are tried; that of the settings first, which so stands where nothing is better.

    Args:
        late: late interaction is tried too.
    """
    reranks = _RERANK_WEIGHTS if late else (0.0,)
    kinds: tuple[FusionKind, ...] = ("convex", "zscore")
    tried = [Choice(*one) for one in product(kinds, _DENSE_WEIGHTS, reranks)]
    tried += [Choice("rrf", *one) for one in product(_RECIPROCAL_WEIGHTS, reranks)]
    return list(dict.fromkeys([untuned(settings), *tried]))


def ranking(query: JudgedQuery, choice: Choice, *, reranked: int, rrf_k: int) -> list[str]:
    """Documents, best first.

    Args:
        reranked: how many of the best are.
        rrf_k: rank constant.
    """
    fused = fused_scores(
        choice.fusion, query.dense, query.lexical, dense_weight=choice.dense_weight, rrf_k=rrf_k
    )
    best: dict[str, int] = {}
    for row in np.argsort(-fused, kind="stable").tolist():
        best.setdefault(query.documents[row], row)
    rows = list(best.values())
    if choice.rerank_weight and query.late is not None and rows:
        head = np.array(rows[:reranked])
        mixed = mixed_scores(fused[head], query.late[head], choice.rerank_weight)
        rows = [*head[np.argsort(-mixed, kind="stable")].tolist(), *rows[reranked:]]
    return [query.documents[row] for row in rows]


def ndcg(relevant: Mapping[str, int], ranked: Sequence[str], k: int) -> float:
    """nDCG at k as trec_eval has it: gains are the grades (Järvelin and Kekäläinen 2002)."""
    discounts = 1 / np.log2(np.arange(2, k + 2))
    gains = np.array([relevant.get(document, 0) for document in ranked[:k]], np.float64)
    ideal = np.array(sorted(relevant.values(), reverse=True)[:k], np.float64)
    whole = float(ideal @ discounts[: len(ideal)])
    return float(gains @ discounts[: len(gains)]) / whole if whole else 0.0


def recall(relevant: Mapping[str, int], ranked: Sequence[str], k: int) -> float:
    """The share of relevant documents among the first k."""
    wanted = {document for document, grade in relevant.items() if grade > 0}
    return len(wanted.intersection(ranked[:k])) / len(wanted) if wanted else 0.0
