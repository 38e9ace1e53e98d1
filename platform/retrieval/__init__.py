"""Retrieval: embedding, dense and lexical indexes, fusion, reranking; one `Searcher` in front.

Names that need torch or FAISS load on first use, so that importing this room costs nothing.
"""

from typing import TYPE_CHECKING

from rostra.core import lazy_names

if TYPE_CHECKING:
    from rostra.retrieval.calibration import Calibration, fit_calibration, lexical_share
    from rostra.retrieval.embed import SentenceEmbedder, load_embedder
    from rostra.retrieval.fuse import fused_scores
    from rostra.retrieval.graph.names import Name, NameKind, NameReader, heading_parts
    from rostra.retrieval.graph.searching import (
        GraphNotBuilt,
        GraphSearcher,
        GraphWeights,
        Searches,
    )
    from rostra.retrieval.hits import Hit, HitScores
    from rostra.retrieval.index import searchable_text
    from rostra.retrieval.indexes import Indexes
    from rostra.retrieval.late import LateEmbedder, late_embedder
    from rostra.retrieval.models import (
        PACKAGED_MODEL,
        PACKAGED_REVISION,
        find_model,
        weights_digest,
    )
    from rostra.retrieval.once import Once, once_each
    from rostra.retrieval.ordering import outside_in
    from rostra.retrieval.parents import expand
    from rostra.retrieval.queries.expanded import ExpandedResult, ExpandedSearcher, narrowed
    from rostra.retrieval.queries.expansion import ExpansionReport
    from rostra.retrieval.queries.passages import PassageEmbedder
    from rostra.retrieval.request import SearchMode, SearchRequest, SearchResult
    from rostra.retrieval.rerank import (
        LateInteraction,
        Reranker,
        TokenManifest,
        late_interaction,
        load_reranker,
        mixed_scores,
        store_tokens,
    )
    from rostra.retrieval.rotation import (
        SHIPPED_ROTATION,
        Rotation,
        fit_rotation,
        load_rotation,
        shipped_rotation,
        truncate,
    )
    from rostra.retrieval.searcher import Searcher
    from rostra.retrieval.spaces import collection_for, embedder_within
    from rostra.retrieval.texts import TextIndex
    from rostra.retrieval.tuning import Tuning, tuning_of
    from rostra.retrieval.wording import Shingles, band_keys, resemblance, shingles

_HOMES = {
    "GraphNotBuilt": "graph.searching",
    "Name": "graph.names",
    "NameKind": "graph.names",
    "NameReader": "graph.names",
    "heading_parts": "graph.names",
    "GraphSearcher": "graph.searching",
    "GraphWeights": "graph.searching",
    "Searches": "graph.searching",
    "expand": "parents",
    "Once": "once",
    "once_each": "once",
    "Shingles": "wording",
    "band_keys": "wording",
    "resemblance": "wording",
    "shingles": "wording",
    "SentenceEmbedder": "embed",
    "load_embedder": "embed",
    "searchable_text": "index",
    "Indexes": "indexes",
    "LateEmbedder": "late",
    "late_embedder": "late",
    "PACKAGED_MODEL": "models",
    "find_model": "models",
    "weights_digest": "models",
    "ExpandedResult": "queries.expanded",
    "ExpandedSearcher": "queries.expanded",
    "ExpansionReport": "queries.expansion",
    "narrowed": "queries.expanded",
    "PassageEmbedder": "queries.passages",
    "Calibration": "calibration",
    "fit_calibration": "calibration",
    "lexical_share": "calibration",
    "fused_scores": "fuse",
    "outside_in": "ordering",
    "LateInteraction": "rerank",
    "TokenManifest": "rerank",
    "late_interaction": "rerank",
    "mixed_scores": "rerank",
    "store_tokens": "rerank",
    "Tuning": "tuning",
    "tuning_of": "tuning",
    "Reranker": "rerank",
    "load_reranker": "rerank",
    "Rotation": "rotation",
    "collection_for": "spaces",
    "embedder_within": "spaces",
    "fit_rotation": "rotation",
    "shipped_rotation": "rotation",
    "SHIPPED_ROTATION": "rotation",
    "PACKAGED_REVISION": "models",
    "load_rotation": "rotation",
    "truncate": "rotation",
    "Hit": "hits",
    "HitScores": "hits",
    "SearchMode": "request",
    "SearchRequest": "request",
    "SearchResult": "request",
    "Searcher": "searcher",
    "TextIndex": "texts",
}

__all__ = [
    "PACKAGED_MODEL",
    "PACKAGED_REVISION",
    "SHIPPED_ROTATION",
    "Calibration",
    "ExpandedResult",
    "ExpandedSearcher",
    "ExpansionReport",
    "GraphNotBuilt",
    "GraphSearcher",
    "GraphWeights",
    "Hit",
    "HitScores",
    "Indexes",
    "LateEmbedder",
    "LateInteraction",
    "Name",
    "NameKind",
    "NameReader",
    "Once",
    "PassageEmbedder",
    "Reranker",
    "Rotation",
    "SearchMode",
    "SearchRequest",
    "SearchResult",
    "Searcher",
    "Searches",
    "SentenceEmbedder",
    "Shingles",
    "TextIndex",
    "TokenManifest",
    "Tuning",
    "band_keys",
    "collection_for",
    "embedder_within",
    "expand",
    "find_model",
    "fit_calibration",
    "fit_rotation",
    "fused_scores",
    "heading_parts",
    "late_embedder",
    "late_interaction",
    "lexical_share",
    "load_embedder",
    "load_reranker",
    "load_rotation",
    "mixed_scores",
    "narrowed",
    "once_each",
    "outside_in",
    "resemblance",
    "searchable_text",
    "shingles",
    "shipped_rotation",
    "store_tokens",
    "truncate",
    "tuning_of",
    "weights_digest",
]

__getattr__ = lazy_names(__name__, _HOMES)
