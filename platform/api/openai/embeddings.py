"""Embeddings: texts as vectors of the platform's embedding model.

What always holds: vectors have unit length, also when they are cut to fewer dimensions, which
Matryoshka-trained and rotated models allow at little loss (arXiv:2205.13147); texts are embedded as
passages, the way stored documents are.
"""

import asyncio
from base64 import b64encode
from typing import Any, Literal

import numpy as np
from litestar import Request, Response, Router, post
from litestar.di import NamedDependency
from msgspec import Struct

from rostra.api.openai.body import MAX_BODY_BYTES, read_body
from rostra.api.openai.errors import ModelNotFound, UnsupportedParameter
from rostra.api.openai.fields import DEFAULT_MODEL, Body, ModelName
from rostra.api.openai.streaming import json_response, while_connected
from rostra.api.openai.surface import Surface
from rostra.core import Embedder, FloatMatrix, FloatVector
from rostra.retrieval import truncate
from rostra.serving import InvalidParameter

MAX_TEXTS = 2048


class EmbeddingBody(Body):
    """Texts to be embedded."""

    input: str | list[str | int | list[int]]
    model: ModelName = DEFAULT_MODEL
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    user: str | None = None


class EmbeddingView(Struct):
    """A vector: numbers, or their float32 bytes, little endian, in base64."""

    index: int
    embedding: list[float] | str
    object: Literal["embedding"] = "embedding"


class EmbeddingUsage(Struct):
    """Token counts."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(Struct):
    """The vectors, in the order of the texts."""

    data: list[EmbeddingView]
    model: str
    usage: EmbeddingUsage
    object: Literal["list"] = "list"


@post("/", status_code=200, request_max_body_size=MAX_BODY_BYTES)
async def create(
    request: Request[Any, Any, Any], surface: NamedDependency[Surface]
) -> Response[bytes]:
    """Embeds texts."""
    body = await read_body(request, EmbeddingBody)
    return json_response(await while_connected(request, embed(surface, body)))


async def embed(surface: Surface, body: EmbeddingBody) -> EmbeddingList:
    """The texts' vectors.

    Raises:
        InvalidParameter: there are none or too many, or one is empty.
        UnsupportedParameter: token ids, which are of another model's vocabulary.
        ModelNotFound: the embedding model has another name.
        ModelUnavailable: it cannot be loaded.
    """
    if body.model not in (DEFAULT_MODEL, surface.runtime.settings.embedding_model):
        raise ModelNotFound(
            f"there is no embedding model {body.model[:200]!r}",
            hint=f"This server has {surface.runtime.settings.embedding_model!r}.",
            field="model",
        )
    texts = _texts(body.input)
    embedder = await surface.services.embedder()
    width = embedder.space.dimensions
    dimensions = width if body.dimensions is None else body.dimensions
    if not 1 <= dimensions <= width:
        raise InvalidParameter(f"dimensions must be from 1 to {width}", field="dimensions")
    vectors, tokens = await asyncio.to_thread(_embed, embedder, texts, dimensions)
    return EmbeddingList(
        data=[
            EmbeddingView(at, _encoded(vector, body.encoding_format))
            for at, vector in enumerate(vectors)
        ],
        model=embedder.space.model,
        usage=EmbeddingUsage(tokens, tokens),
    )


def _embed(embedder: Embedder, texts: list[str], dimensions: int) -> tuple[FloatMatrix, int]:
    """Unit vectors, float32 [texts, dimensions], and the number of tokens read."""
    vectors = embedder.embed_documents(texts)
    if dimensions < vectors.shape[1]:
        vectors = truncate(vectors, dimensions)
    most = embedder.max_tokens
    tokens = sum(min(most, len(embedder.tokenizer.offsets(text))) for text in texts)
    return vectors, tokens


def _texts(given: str | list[str | int | list[int]]) -> list[str]:
    items = [given] if isinstance(given, str) else given
    texts = [item for item in items if isinstance(item, str)]
    if len(texts) != len(items):
        raise UnsupportedParameter(
            "input: token ids are not taken, they would be of another model's vocabulary",
            hint="Send text.",
            field="input",
        )
    if not texts or len(texts) > MAX_TEXTS:
        raise InvalidParameter(f"input must be 1 to {MAX_TEXTS} texts", field="input")
    if not all(texts):
        raise InvalidParameter("input has an empty text", field="input")
    return texts


def _encoded(vector: FloatVector, form: str | None) -> list[float] | str:
    if form == "base64":
        return b64encode(np.asarray(vector, "<f4").tobytes()).decode()
    return [float(number) for number in vector]


router = Router("/embeddings", route_handlers=[create])
