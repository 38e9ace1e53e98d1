"""What the platform's results depend on, as the configuration of a system.

What always holds: no secret, no path and no limit that only guards is among it.
"""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rostra.core import Settings
from rostra.ingest import ReadySource
from rostra.runtime import Runtime

if TYPE_CHECKING:
    from rostra.answer import EvidenceScorer

_SEARCH = ("chunker", "chunk_tokens", "chunk_overlap", "chunk_headers", "chunk_neighbours",
           "dense_index", "fusion", "dense_weight", "rrf_k", "shortlist",
           "embedding_dtype")  # fmt: skip
_RERANK = ("reranker", "reranker_model", "rerank_candidates", "rerank_weight",
           "cross_encoder_weight")  # fmt: skip
_QUERY = ("query_strategies", "query_seconds", "query_tokens", "query_limit")
_ANSWER = ("answer_passages", "answer_sentences", "answer_threshold", "answer_style")
SIMILARITY = "similarity"  # picks evidence where no scorer does


def search_facts(runtime: Runtime, *, rerank: bool) -> dict[str, Any]:
    """Of search; loads the embedder if it is not there yet, which blocks."""
    names = (*_SEARCH, *_RERANK) if rerank else _SEARCH
    space = runtime.embedder().space
    return _chosen(runtime.settings, names) | {"space": space.fingerprint}


def answer_facts(runtime: Runtime) -> dict[str, Any]:
    """Of answers, and of the search before them; loads the scorer of evidence too."""
    rerank = bool(runtime.settings.reranker_model)
    generator = runtime.writer
    facts = search_facts(runtime, rerank=rerank) | _chosen(runtime.answer_settings, _ANSWER)
    if runtime.settings.query_strategies:
        facts |= _chosen(runtime.settings, _QUERY)
    return facts | {
        "generator": generator.name if generator is not None else "",
        "evidence": evidence_facts(runtime.scorer()),
    }


def evidence_facts(scorer: "EvidenceScorer | None") -> str:
    """Who picks evidence: `similarity`, or the digest of a scorer's file."""
    return SIMILARITY if scorer is None else scorer.revision


def corpus_digest(sources: Iterable[ReadySource]) -> str:
    """Of documents, whatever order they come in."""
    parts = sorted(
        hashlib.sha256(f"{source.uri}\0{source.document.text}".encode()).digest()
        for source in sources
    )
    return hashlib.sha256(b"".join(parts)).hexdigest()[:32]


def _chosen(settings: Settings, names: Iterable[str]) -> dict[str, Any]:
    return settings.model_dump(mode="json", include=set(names))
