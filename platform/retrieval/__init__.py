"""Retrieval: embedding, dense and lexical indexes, fusion, reranking; one `Searcher` in front.

Names that need torch or FAISS load on first use, so that importing this room costs nothing.
"""

from typing import TYPE_CHECKING

from rostra.core import lazy_names

if TYPE_CHECKING:
    from rostra.retrieval.embed import SentenceEmbedder, load_embedder
    from rostra.retrieval.graph.names import Name, NameKind, NameReader, heading_parts
    from rostra.retrieval.graph.searching import GraphSearcher, GraphWeights
    from rostra.retrieval.hits import Hit, HitScores
    from rostra.retrieval.index import searchable_text
    from rostra.retrieval.indexes import Indexes
    from rostra.retrieval.late import LateEmbedder, late_embedder
    from rostra.retrieval.models import PACKAGED_MODEL
    from rostra.retrieval.once import Once, once_each
    from rostra.retrieval.parents import expand
    from rostra.retrieval.queries.expanded import ExpandedResult, ExpandedSearcher
    from rostra.retrieval.queries.expansion import ExpansionReport
    from rostra.retrieval.queries.passages import PassageEmbedder
    from rostra.retrieval.rerank import Reranker, load_reranker
    from rostra.retrieval.rotation import Rotation, fit_rotation, load_rotation, truncate
    from rostra.retrieval.searcher import (
        Searcher,
        SearchMode,
        SearchRequest,
        SearchResult,
    )
    from rostra.retrieval.texts import TextIndex
    from rostra.retrieval.wording import Shingles, band_keys, resemblance, shingles

_HOMES = {
    "Name": "graph.names",
    "NameKind": "graph.names",
    "NameReader": "graph.names",
    "heading_parts": "graph.names",
    "GraphSearcher": "graph.searching",
    "GraphWeights": "graph.searching",
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
    "ExpandedResult": "queries.expanded",
    "ExpandedSearcher": "queries.expanded",
    "ExpansionReport": "queries.expansion",
    "PassageEmbedder": "queries.passages",
    "Reranker": "rerank",
    "load_reranker": "rerank",
    "Rotation": "rotation",
    "fit_rotation": "rotation",
    "load_rotation": "rotation",
    "truncate": "rotation",
    "Hit": "hits",
    "HitScores": "hits",
    "SearchMode": "searcher",
    "SearchRequest": "searcher",
    "SearchResult": "searcher",
    "Searcher": "searcher",
    "TextIndex": "texts",
}

__all__ = [
    "PACKAGED_MODEL",
    "ExpandedResult",
    "ExpandedSearcher",
    "ExpansionReport",
    "GraphSearcher",
    "GraphWeights",
    "Hit",
    "HitScores",
    "Indexes",
    "LateEmbedder",
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
    "SentenceEmbedder",
    "Shingles",
    "TextIndex",
    "band_keys",
    "expand",
    "fit_rotation",
    "heading_parts",
    "late_embedder",
    "load_embedder",
    "load_reranker",
    "load_rotation",
    "once_each",
    "resemblance",
    "searchable_text",
    "shingles",
    "truncate",
]

__getattr__ = lazy_names(__name__, _HOMES)
