"""What is searched for, and what a search gives."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from rostra.retrieval.hits import Hit
from rostra.store import DEFAULT_COLLECTION, Filters


class SearchMode(StrEnum):
    """Which sides find candidates."""

    HYBRID = "hybrid"
    DENSE = "dense"
    LEXICAL = "lexical"


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What to look for.

    Attributes:
        query: in words.
        collections: names; several are ranked as one, their vectors must be of one space.
        k: most hits.
        mode: which sides find candidates.
        filters: see `rostra.store.Filters`.
        rerank: read the best hits with the reranker; None does so as the settings say.
        per_document: most hits of one document; None sets no limit.
        diversity: how much hits that resemble better ones are put back, 0 to 1; None takes the
            setting.
        min_probability: leave out hits that are less likely relevant; needs both sides, and a tuned
            collection or the packaged embedding model.
        candidates: return every candidate, whatever `k`, fused and nothing more.
        operators: read "words in quotes" as a phrase that must occur, and word* as the terms that
            start so; else they are words like others.
    """

    query: str
    collections: tuple[str, ...] = (DEFAULT_COLLECTION,)
    k: int = 10
    mode: SearchMode = SearchMode.HYBRID
    filters: Filters = field(default_factory=dict)
    rerank: bool | None = None
    per_document: int | None = None
    diversity: float | None = None
    min_probability: float | None = None
    candidates: bool = False
    operators: bool = False


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What was found.

    Attributes:
        query: as asked.
        hits: best first.
        timings_ms: how long each stage took.
        term_weights: how much each of the query's terms matters, above 0; see `term_weight`.
        reranked: whether a reranker had its say; not when it took too long.
        probability: how likely the likeliest hit is relevant; None where nothing says so.
    """

    query: str
    hits: list[Hit]
    timings_ms: dict[str, float]
    term_weights: dict[str, float] = field(default_factory=dict)
    reranked: bool = False
    probability: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As the CLI's `--json` and the API print it."""
        body = asdict(self)
        del body["term_weights"]
        return body
