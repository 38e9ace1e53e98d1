"""Collections, documents, jobs, search, chats: what the contract promises, and refusals."""

import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from rostra.core import Settings

Client = AsyncTestClient[Litestar]
Upload = Callable[..., Awaitable[dict[str, Any]]]

COLLECTION = {
    "id", "name", "description", "documents", "chunks", "generation", "embedding",
    "created_at", "updated_at",
}  # fmt: skip
DOCUMENT = {
    "id", "collection", "uri", "title", "media_type", "bytes", "chunks", "metadata",
    "created_at", "updated_at",
}  # fmt: skip
JOB = {
    "id", "kind", "status", "collection", "source", "stage", "progress", "attempts", "result",
    "error", "error_code", "not_before", "created_at", "updated_at",
}  # fmt: skip
HIT = {"chunk_id", "document_id", "uri", "title", "text", "start", "end", "page", "score", "scores"}
MARKDOWN = (
    "# Réseau 🚀\n\nThe harbour pilot boards every arriving ship.\n\n## Fees\n\nFees are low.\n"
)


async def test_a_collection_is_made_listed_shown_and_deleted(client: Client) -> None:
    made = await client.post("/api/collections", json={"name": "docs", "description": "d"})
    assert made.status_code == 201
    assert set(made.json()) == COLLECTION
    assert made.json()["embedding"] == {"model": "test/words", "dimensions": 32}
    assert (await client.get("/api/collections")).json() == {"items": [made.json()], "total": 1}
    assert (await client.get("/api/collections/docs")).json() == made.json()
    assert (await client.post("/api/collections", json={"name": "docs"})).status_code == 409
    assert (await client.delete("/api/collections/docs")).status_code == 204
    assert (await client.get("/api/collections/docs")).status_code == 404
    assert (await client.delete("/api/collections/docs")).status_code == 404


async def test_pages_are_bounded_and_in_order(client: Client) -> None:
    for name in "cab":
        await client.post("/api/collections", json={"name": name})
    page = (await client.get("/api/collections?limit=2&offset=1")).json()
    assert [item["name"] for item in page["items"]] == ["b", "c"]
    assert page["total"] == 3
    for query in ("limit=0", "limit=201", "limit=x", "offset=-1", "offset=99999999999999999999"):
        for path in ("/api/collections", "/api/collections/a/documents", "/api/chats"):
            response = await client.get(f"{path}?{query}")
            assert response.status_code == 400, (path, query)
            assert response.json()["errors"][0]["field"] == query.split("=")[0]


async def test_an_upload_is_read_found_cited_and_deleted(client: Client, upload: Upload) -> None:
    job = await upload(("réseau.md", MARKDOWN.encode()))
    assert set(job) == JOB
    assert job["kind"] == "ingest"
    assert job["progress"] == {"done": 1, "total": 1, "chunks": job["result"]["chunks"]}
    assert set(job["result"]) == {"documents", "chunks", "unchanged", "failed", "seconds"}

    page = (await client.get("/api/collections/docs/documents")).json()
    (document,) = page["items"]
    assert set(document) == DOCUMENT
    assert document["uri"] == "upload:///r%C3%A9seau.md"
    path = f"/api/documents/{document['id']}"
    detail = (await client.get(path)).json()
    assert set(detail) == DOCUMENT | {"length", "spans"}
    text = (await client.get(f"{path}/text")).json()
    assert text["length"] == detail["length"] == len(text["text"])
    assert (text["start"], text["end"]) == (0, detail["length"])
    for span in detail["spans"]:
        assert 0 <= span["start"] <= span["end"] <= detail["length"]

    found = await client.post("/api/search", json={"query": "harbour pilot", "collection": "docs"})
    body = found.json()
    assert set(body) == {"query", "hits", "timings_ms"}
    best = body["hits"][0]
    assert set(best) >= HIT
    assert set(best["scores"]) == {"dense", "lexical", "fused", "rerank"}
    assert best["text"] == text["text"][best["start"] : best["end"]]

    answer = await client.post(
        "/api/ask", json={"question": "Who boards every arriving ship?", "collection": "docs"}
    )
    assert answer.status_code == 200
    assert answer.json()["found"]
    for citation in answer.json()["citations"]:
        assert citation["quote"] == text["text"][citation["start"] : citation["end"]]

    assert (await client.delete(path)).status_code == 204
    for gone in (path, f"{path}/text"):
        assert (await client.get(gone)).json()["code"] == "document_not_found"
    again = await client.post("/api/search", json={"query": "harbour pilot", "collection": "docs"})
    assert again.json()["hits"] == []


async def test_what_is_left_out_for_a_hit_is_named(client: Client, upload: Upload) -> None:
    words = " ".join(f"word{n}" for n in range(60))
    await upload(*((f"{n}.txt", f"{words} copy {n}".encode()) for n in range(3)))
    body = {"query": "word7 word8", "collection": "docs", "mode": "lexical"}
    (hit,) = (await client.post("/api/search", json=body)).json()["hits"]
    assert len(set(hit["near_duplicates"]) - {hit["chunk_id"]}) == 2
    asked = await client.post(
        "/api/ask",
        json={"question": "word7 word8?", "collection": "docs"},
        headers={"accept": "text/event-stream"},
    )
    frame = next(part for part in asked.text.split("\n\n") if "event: passages" in part)
    (passage,) = json.loads(frame.partition("data: ")[2])["passages"]
    assert len(passage["near_duplicates"]) == 2


async def test_one_side_alone_is_not_asked_how_likely_hits_are(client: Client) -> None:
    for mode in ("lexical", "dense"):
        body = {"query": "harbour", "mode": mode, "min_probability": 0.5}
        refused = await client.post("/api/search", json=body)
        assert refused.status_code == 400
        problem = refused.json()
        assert problem["code"] == "invalid_request"
        assert [error["field"] for error in problem["errors"]] == ["min_probability"]


async def test_several_collections_are_searched_as_one(client: Client, upload: Upload) -> None:
    await upload(("a.txt", b"harbour pilot alpha"), collection="one")
    await upload(("b.txt", b"harbour pilot beta"), collection="two")

    async def found(collection: str | list[str]) -> list[tuple[str, str]]:
        response = await client.post(
            "/api/search", json={"query": "harbour pilot", "collection": collection}
        )
        assert response.status_code == 200, response.text
        return sorted((hit["collection"], hit["title"]) for hit in response.json()["hits"])

    one, two = await found("one"), await found("two")
    assert {name for name, _ in one} == {"one"}
    assert await found(["one"]) == await found(["one", "one"]) == one
    assert await found(["one", "two"]) == sorted(one + two)


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_a_question_is_answered_from_the_documents_that_pass(
    client: Client, upload: Upload, accept: str
) -> None:
    await upload(("a.md", MARKDOWN.encode()), ("b.md", MARKDOWN.encode() + b"\nMore.\n"))

    async def cited(filters: dict[str, Any]) -> set[str]:
        asked = {"question": "Who boards every arriving ship?", "collection": "docs"}
        response = await client.post(
            "/api/ask", json=asked | {"filters": filters}, headers={"Accept": accept}
        )
        assert response.status_code == 200, response.text
        if accept == "application/json":
            answer = response.json()
        else:
            assert response.headers["content-type"].startswith(accept)
            answer = json.loads(response.text.split("event: done\ndata: ")[1])
        return {citation["uri"] for citation in answer["citations"]}

    assert await cited({"uri": "upload:///a.md"}) == {"upload:///a.md"}
    assert await cited({"uri": "upload:///b.md"}) == {"upload:///b.md"}
    assert await cited({"uri": "upload:///c.md"}) == set()


async def test_a_slice_of_text_is_cut_like_a_string(client: Client, upload: Upload) -> None:
    await upload(("a.md", MARKDOWN.encode()))
    (document,) = (await client.get("/api/collections/docs/documents")).json()["items"]
    path = f"/api/documents/{document['id']}/text"
    whole: str = (await client.get(path)).json()["text"]
    for start, end in [(0, 5), (2, 12), (5, 5), (3, 10**6), (10**6, 10**7)]:
        part = (await client.get(path, params={"start": start, "end": end})).json()
        assert part["text"] == whole[start:end]
        assert part["text"] == whole[part["start"] : part["end"]]
        assert part["length"] == len(whole)
    assert (await client.get(path, params={"start": 3})).json()["text"] == whole[3:]
    for wrong in ({"start": 5, "end": 4}, {"start": -1}, {"end": "x"}):
        assert (await client.get(path, params=wrong)).status_code == 400


async def test_a_long_text_comes_in_several_calls(client: Client, upload: Upload) -> None:
    text = "lorem ipsum dolor sit amet\n\n" * 7600
    assert len(text) > 200_000
    await upload(("long.txt", text.encode()))
    (document,) = (await client.get("/api/collections/docs/documents")).json()["items"]
    path = f"/api/documents/{document['id']}/text"
    first = (await client.get(path)).json()
    assert (first["end"], len(first["text"])) == (200_000, 200_000)
    second = (await client.get(path, params={"start": first["end"]})).json()
    assert second["end"] == second["length"]
    assert len(first["text"] + second["text"]) == second["length"]


async def test_documents_are_filtered_by_name(client: Client, upload: Upload) -> None:
    await upload(("one.txt", b"alpha"), ("two.txt", b"beta"), ("100%.txt", b"gamma"))
    path = "/api/collections/docs/documents"
    for part, names in [("ONE", {"one.txt"}), ("%", {"100%.txt"}), ("zzz", set()), ("", None)]:
        page = (await client.get(path, params={"q": part})).json()
        titles = {item["title"] for item in page["items"]}
        if names is None:
            assert page["total"] == 3
        else:
            assert len(titles) == page["total"]
            assert titles <= {"one.txt", "two.txt", "100%.txt"}
            assert names <= titles


async def test_chats_are_begun_continued_reopened_and_deleted(
    client: Client, upload: Upload
) -> None:
    await upload(("a.md", MARKDOWN.encode()))
    made = await client.post("/api/chats", json={"collection": "docs", "title": "Pilots"})
    assert made.status_code == 201
    chat = made.json()
    assert set(chat) == {"id", "title", "collection", "messages", "created_at", "updated_at"}
    asked = {"question": "Who boards every arriving ship?", "chat_id": chat["id"]}
    answer = (await client.post("/api/ask", json=asked)).json()
    assert answer["chat_id"] == chat["id"]
    shown = (await client.get(f"/api/chats/{chat['id']}")).json()
    assert shown["messages"] == 2
    user, assistant = shown["turns"]
    assert (user["role"], user["text"], user["mode"]) == ("user", asked["question"], None)
    assert (assistant["role"], assistant["id"]) == ("assistant", answer["message_id"])
    assert assistant["text"] == answer["answer"]
    assert assistant["citations"] == answer["citations"]
    listed = (await client.get("/api/chats")).json()
    assert [item["id"] for item in listed["items"]] == [chat["id"]]
    assert (await client.delete(f"/api/chats/{chat['id']}")).status_code == 204
    assert (await client.get(f"/api/chats/{chat['id']}")).json()["code"] == "chat_not_found"
    assert (await client.post("/api/ask", json=asked)).json()["code"] == "chat_not_found"


async def test_a_question_without_an_answer_says_so(client: Client) -> None:
    await client.post("/api/collections", json={"name": "empty"})
    answer = await client.post("/api/ask", json={"question": "Why?", "collection": "empty"})
    assert answer.json()["found"] is False
    assert answer.json()["answer"] == "Not found in these documents."
    assert answer.json()["citations"] == []


# The id has a name of its own: workers that share tests must agree on what these are called.
UNUSED = pytest.param(str(uuid4()), id="unused")


@pytest.mark.parametrize("kind", ["document", "job", "chat"])
@pytest.mark.parametrize("given", ["nonsense", UNUSED, "1", "%00", "a" * 500])
async def test_what_is_not_there_has_a_typed_error(client: Client, kind: str, given: str) -> None:
    response = await client.get(f"/api/{kind}s/{given}")
    assert response.status_code == 404
    assert response.json()["code"] == f"{kind}_not_found"


BAD: list[tuple[str, Any, int, str, str | None]] = [
    ("/api/search", {"query": ""}, 400, "empty_query", None),
    ("/api/search", {"query": " \n"}, 400, "empty_query", None),
    ("/api/search", {"query": "x" * 100_000}, 413, "query_too_long", None),
    ("/api/search", {"query": "x", "k": 0}, 400, "invalid_request", "k"),
    ("/api/search", {"query": "x", "k": -1}, 400, "invalid_request", "k"),
    ("/api/search", {"query": "x", "k": 9999}, 400, "invalid_request", "k"),
    ("/api/search", {"query": "x", "k": "many"}, 400, "invalid_request", "k"),
    ("/api/search", {"query": 7}, 400, "invalid_request", "query"),
    ("/api/search", {}, 400, "invalid_request", "query"),
    ("/api/search", [], 400, "invalid_request", "body"),
    ("/api/search", None, 400, "invalid_request", "body"),
    ("/api/search", {"query": "x", "colection": "docs"}, 400, "invalid_request", "colection"),
    ("/api/search", {"query": "x", "mode": "magic"}, 400, "invalid_request", "mode"),
    ("/api/search", {"query": "x", "filters": [1]}, 400, "invalid_request", "filters"),
    ("/api/search", {"query": "x", "filters": {"a": {"near": 1}}}, 400, "invalid_filter", None),
    ("/api/search", {"query": "x", "rerank": "maybe"}, 400, "invalid_request", "rerank"),
    ("/api/search", {"query": "x", "collection": "nope"}, 404, "collection_not_found", None),
    ("/api/search", {"query": "x", "collection": "../x"}, 404, "collection_not_found", None),
    ("/api/search", {"query": "x", "collection": ""}, 400, "invalid_request", "collection"),
    ("/api/search", {"query": "x", "collection": []}, 400, "invalid_request", "collection"),
    ("/api/search", {"query": "x", "collection": ["a"] * 21}, 400, "invalid_request", "collection"),
    ("/api/search", {"query": "x", "collection": [""]}, 400, "invalid_request", None),
    ("/api/search", {"query": "x", "collection": 7}, 400, "invalid_request", "collection"),
    ("/api/search", {"query": "x", "collection": ["default", "nope"]}, 404,
     "collection_not_found", None),
    ("/api/ask", {"question": ""}, 400, "empty_query", None),
    ("/api/ask", {"question": "x", "filters": [1]}, 400, "invalid_request", "filters"),
    ("/api/ask", {"question": "x", "filters": {"a": {"near": 1}}}, 400, "invalid_filter", None),
    ("/api/ask", {"question": "x" * 100_000}, 413, "query_too_long", None),
    ("/api/ask", {"question": "x", "k": 0}, 400, "invalid_request", "k"),
    ("/api/ask", {"question": "x", "chat_id": "nonsense"}, 400, "invalid_request", "chat_id"),
    ("/api/ask", {"question": "x", "chat_id": str(uuid4())}, 404, "chat_not_found", None),
    ("/api/ask", {"question": "x", "collection": "nope"}, 404, "collection_not_found", None),
    ("/api/collections", {"name": ""}, 400, "invalid_request", "name"),
    ("/api/collections", {"name": "no spaces"}, 400, "invalid_request", None),
    ("/api/collections", {"name": "x" * 129}, 400, "invalid_request", "name"),
    ("/api/collections", {"name": "x", "description": "x" * 3000}, 400, "invalid_request",
     "description"),
    ("/api/chats", {"collection": "nope"}, 404, "collection_not_found", None),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "status", "code", "field"), BAD)
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_bad_requests_are_typed(
    client: Client, path: str, body: Any, status: int, code: str, field: str | None, accept: str
) -> None:
    await client.post("/api/collections", json={"name": "default"})
    response = await client.post(path, json=body, headers={"Accept": accept})
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["code"] == code
    if field is not None:
        assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"{'a': 1}", b'{"query": "\xff"}', b'{"query":"\\ud800"}']
)
async def test_malformed_json_is_refused(client: Client, body: bytes) -> None:
    response = await client.post(
        "/api/search", content=body, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 400
    assert response.json()["code"] == "invalid_request"


async def test_a_huge_json_body_is_refused(client: Client) -> None:
    response = await client.post("/api/search", json={"query": "x" * 5_000_000})
    assert response.status_code == 413
    assert response.json()["code"] == "payload_too_large"


async def test_nul_and_odd_line_ends_are_stored_as_text(client: Client) -> None:
    await client.post("/api/collections", json={"name": "default"})
    answer = await client.post("/api/ask", json={"question": "a\x00b\r\nc?"})
    chat = (await client.get(f"/api/chats/{answer.json()['chat_id']}")).json()
    assert chat["turns"][0]["text"] == "a\ufffdb\nc?"


async def test_unknown_paths_and_methods(client: Client) -> None:
    for method, path, status in [
        ("GET", "/api/nothing", 404),
        ("GET", "/api", 404),
        ("GET", "/health/nothing", 404),
        ("GET", "/schema/nothing", 404),
        ("POST", "/nothing", 404),
        ("PUT", "/api/search", 405),
        ("GET", "/api/search", 405),
        ("DELETE", "/health/live", 405),
    ]:
        response = await client.request(method, path)
        assert response.status_code == status, (method, path)
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == status
    assert "POST" in (await client.get("/api/search")).headers["allow"]


async def test_status_and_health(client: Client, settings: Settings) -> None:
    status = (await client.get("/api/status")).json()
    assert set(status) == {
        "version", "mode", "embedding_model", "dimensions", "device", "generator", "agents",
        "reader", "scorer", "decoder", "reranker", "collections",
    }  # fmt: skip
    assert status["scorer"] is None
    assert (status["mode"], status["dimensions"], status["collections"]) == ("quote", 32, 0)
    live = await client.get("/health/live")
    ready = await client.get("/health/ready")
    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
