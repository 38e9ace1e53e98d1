"""Reranking, in the shape that Cohere and Jina gave it: documents by how well they answer a query.

What always holds: every document is scored, whatever `top_n`; equal scores keep their order. The
scores are the reranker's where one is set, else cosines of the embedding model's vectors, so they
are comparable within one request only.
"""

import asyncio
from typing import Annotated, Any
from uuid import uuid4

import numpy as np
from litestar import Request, Response, Router, post
from litestar.di import NamedDependency
from msgspec import UNSET, Meta, Struct, UnsetType

from rostra.api.openai.body import MAX_BODY_BYTES, read_body
from rostra.api.openai.errors import ModelNotFound
from rostra.api.openai.fields import DEFAULT_MODEL, Body, ModelName
from rostra.api.openai.streaming import json_response, while_connected
from rostra.api.openai.surface import Surface
from rostra.core import Embedder
from rostra.serving import InvalidParameter

MAX_DOCUMENTS = 1000


class DocumentText(Body):
    """A document as an object."""

    text: str


class RerankBody(Body):
    """Documents to be ranked."""

    query: Annotated[str, Meta(min_length=1)]
    documents: Annotated[list[str | DocumentText], Meta(min_length=1, max_length=MAX_DOCUMENTS)]
    model: ModelName = DEFAULT_MODEL
    top_n: Annotated[int, Meta(ge=1)] | None = None
    return_documents: bool | None = None


class RankedText(Struct):
    """A document's text."""

    text: str


class Ranked(Struct):
    """A document by its place in the request."""

    index: int
    relevance_score: float
    document: RankedText | UnsetType = UNSET


class RerankUsage(Struct):
    """Tokens of query and documents, by the embedding model's tokenizer."""

    total_tokens: int


class Ranking(Struct):
    """The documents, best first."""

    id: str
    model: str
    results: list[Ranked]
    usage: RerankUsage


@post("/", status_code=200, request_max_body_size=MAX_BODY_BYTES)
async def create(
    request: Request[Any, Any, Any], surface: NamedDependency[Surface]
) -> Response[bytes]:
    """Ranks documents."""
    body = await read_body(request, RerankBody)
    return json_response(await while_connected(request, rank(surface, body)))


async def rank(surface: Surface, body: RerankBody) -> Ranking:
    """The ranking.

    Raises:
        ModelNotFound: no model that ranks has this name.
        ModelUnavailable: it cannot be loaded.
    """
    settings = surface.runtime.settings
    own = settings.reranker_model or settings.embedding_model
    if body.model not in (DEFAULT_MODEL, own):
        raise ModelNotFound(
            f"there is no reranking model {body.model[:200]!r}",
            hint=f"This server ranks with {own!r}.",
            field="model",
        )
    texts = [one if isinstance(one, str) else one.text for one in body.documents]
    if not body.query.strip():
        raise InvalidParameter("query is empty", field="query")
    # The embedding model is there anyway and its tokenizer counts.
    embedder = await surface.services.embedder()
    scores, tokens = await asyncio.to_thread(_score, surface, embedder, body.query, texts)
    order = sorted(range(len(texts)), key=lambda at: -scores[at])[: body.top_n]
    results = [Ranked(at, scores[at]) for at in order]
    if body.return_documents:
        for one in results:
            one.document = RankedText(texts[one.index])
    return Ranking(f"rerank-{uuid4().hex}", own, results, RerankUsage(tokens))


def _score(
    surface: Surface, embedder: Embedder, query: str, texts: list[str]
) -> tuple[list[float], int]:
    """A score for each text, and the tokens read."""
    reranker = surface.runtime.reranker()
    if reranker is not None:
        scores = reranker.scores(query, texts)
    else:
        vectors = embedder.embed_documents(texts)
        scores = np.asarray(vectors @ embedder.embed_query(query), np.float64)
    counted = sum(len(embedder.tokenizer.offsets(text)) for text in (query, *texts))
    return [float(score) for score in scores], counted


router = Router("/rerank", route_handlers=[create])
