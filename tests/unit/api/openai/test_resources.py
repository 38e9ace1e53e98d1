"""Models, embeddings, reranking and metrics."""

import struct
from base64 import b64decode
from typing import Any

import httpx
import numpy as np
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError

from tests.fakes import FakeEmbedder
from tests.openai_schema import check_body
from tests.scripted_engine import ScriptedEngine
from tests.unit.api.openai.conftest import Serve


async def test_models(openai: AsyncOpenAI, http: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    listed = (await http.get("/v1/models")).json()
    check_body("ListModelsResponse", listed)
    names = [model["id"] for model in listed["data"]]
    assert names == ["default", engine.name, "all-MiniLM-L6-v2"]
    for name in names:
        assert (await openai.models.retrieve(name)).id == name
        check_body("Model", (await http.get(f"/v1/models/{name}")).json())
    with pytest.raises(NotFoundError) as caught:
        await openai.models.retrieve("gpt-4")
    assert caught.value.code == "model_not_found"


async def test_without_a_model_the_answer_says_how_to_set_one(serve: Serve) -> None:
    async with serve(None) as url, httpx.AsyncClient(base_url=url, timeout=60) as http:
        asked = await http.post(
            "/v1/chat/completions", json={"messages": [{"role": "user", "content": "hi"}]}
        )
        assert asked.status_code == 503
        assert "ROSTRA_MODEL" in asked.json()["error"]["message"]
        missing = await http.get("/v1/models/default")
        assert missing.status_code == 404
        assert "ROSTRA_MODEL" in missing.json()["error"]["message"]
        assert (await http.get("/metrics")).status_code == 200


async def test_an_unknown_model_is_not_found(openai: AsyncOpenAI) -> None:
    with pytest.raises(NotFoundError) as caught:
        await openai.chat.completions.create(
            model="gpt-4", messages=[{"role": "user", "content": "hi"}]
        )
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"


async def test_embeddings(
    openai: AsyncOpenAI, http: httpx.AsyncClient, embedder: FakeEmbedder
) -> None:
    texts = ["vacuum the index", "a lock"]
    body = {"model": "default", "input": texts}
    response = (await http.post("/v1/embeddings", json=body)).json()
    check_body("CreateEmbeddingResponse", response)
    assert response["usage"]["prompt_tokens"] == 5
    vectors = np.asarray([item["embedding"] for item in response["data"]], np.float32)
    assert np.array_equal(vectors, embedder.embed_documents(texts))
    # OpenAI's client asks for base64 by itself.
    same = await openai.embeddings.create(model="default", input=texts)
    assert np.allclose([item.embedding for item in same.data], vectors)


async def test_embeddings_as_bytes(http: httpx.AsyncClient, embedder: FakeEmbedder) -> None:
    body = {"model": "default", "input": "a lock", "encoding_format": "base64"}
    (item,) = (await http.post("/v1/embeddings", json=body)).json()["data"]
    data = b64decode(item["embedding"])
    assert struct.unpack(f"<{len(data) // 4}f", data) == tuple(
        embedder.embed_documents(["a lock"])[0].tolist()
    )


async def test_embeddings_are_cut_and_scaled_back(
    openai: AsyncOpenAI, embedder: FakeEmbedder
) -> None:
    cut = await openai.embeddings.create(model="default", input="a lock", dimensions=8)
    vector = np.asarray(cut.data[0].embedding)
    whole = embedder.embed_documents(["a lock"])[0][:8]
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    assert np.allclose(vector, whole / np.linalg.norm(whole), atol=1e-6)


NO_EMBEDDINGS: list[tuple[dict[str, Any], str]] = [
    ({"input": []}, "input"),
    ({"input": ""}, "input"),
    ({"input": ["a", ""]}, "input"),
    ({"input": ["a"] * 2049}, "input"),
    ({"input": [1, 2]}, "input"),
    ({"input": [[1, 2]]}, "input"),
    ({"input": "a", "dimensions": 0}, "dimensions"),
    ({"input": "a", "dimensions": 10**9}, "dimensions"),
    ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
    ({"input": "a", "task": "x"}, "task"),
]


async def test_embeddings_that_are_refused(openai: AsyncOpenAI) -> None:
    for body, param in NO_EMBEDDINGS:
        with pytest.raises(BadRequestError) as caught:
            await openai.post("/embeddings", body={"model": "default"} | body, cast_to=object)
        assert caught.value.param == param


async def test_embedding_models_by_name(openai: AsyncOpenAI) -> None:
    await openai.embeddings.create(model="all-MiniLM-L6-v2", input="a")
    with pytest.raises(NotFoundError):
        await openai.embeddings.create(model="text-embedding-3-small", input="a")


DOCUMENTS = ["a page of rows", "how to vacuum an index", "lock"]


async def test_documents_are_ranked_by_cosine(
    http: httpx.AsyncClient, embedder: FakeEmbedder
) -> None:
    body = {"query": "vacuum index", "documents": DOCUMENTS, "return_documents": True}
    response = await http.post("/v1/rerank", json=body)
    assert response.status_code == 200, response.text
    results = response.json()["results"]
    query = embedder.embed_query("vacuum index")
    cosines = embedder.embed_documents(DOCUMENTS) @ query
    assert [result["index"] for result in results] == list(np.argsort(-cosines))
    assert [result["relevance_score"] for result in results] == pytest.approx(
        sorted(cosines.tolist(), reverse=True), abs=1e-6
    )
    assert results[0]["document"] == {"text": DOCUMENTS[1]}


async def test_the_reranker_ranks_where_one_is_set(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ByLength:
        name = "test/length"

        def scores(self, query: str, passages: list[str]) -> Any:
            return np.asarray([float(len(passage)) for passage in passages])

    monkeypatch.setattr("rostra.runtime.runtime.load_reranker", lambda _: ByLength())
    body = {"query": "x", "documents": [{"text": text} for text in DOCUMENTS], "top_n": 2}
    results = (await http.post("/v1/rerank", json=body)).json()["results"]
    assert [(r["index"], r["relevance_score"]) for r in results] == [(1, 22.0), (0, 14.0)]
    assert "document" not in results[0]


NO_RANKINGS: list[tuple[dict[str, Any], str]] = [
    ({"documents": ["a"]}, "query"),
    ({"query": " ", "documents": ["a"]}, "query"),
    ({"query": "a", "documents": []}, "documents"),
    ({"query": "a", "documents": ["a"] * 1001}, "documents"),
    ({"query": "a", "documents": ["a"], "top_n": 0}, "top_n"),
    ({"query": "a", "documents": ["a"], "max_chunks_per_doc": 1}, "max_chunks_per_doc"),
]


async def test_rankings_that_are_refused(http: httpx.AsyncClient) -> None:
    for body, param in NO_RANKINGS:
        response = await http.post("/v1/rerank", json=body)
        assert response.status_code == 400, body
        assert response.json()["error"]["param"] == param


async def test_metrics_are_prometheus_text(http: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    response = await http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert f'rostra_num_requests_running{{model_name="{engine.name}"}} 0.0' in response.text
