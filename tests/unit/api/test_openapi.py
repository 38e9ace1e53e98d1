"""The OpenAPI document: whole, stable, and free of other hosts."""

import json
from typing import Any

import yaml
from litestar import Litestar
from litestar.testing import AsyncTestClient

Client = AsyncTestClient[Litestar]

OPERATIONS = {
    ("get", "/health/live"): "live",
    ("get", "/health/ready"): "ready",
    ("get", "/api/status"): "status",
    ("get", "/api/collections"): "listCollections",
    ("post", "/api/collections"): "createCollection",
    ("get", "/api/collections/{name}"): "getCollection",
    ("delete", "/api/collections/{name}"): "deleteCollection",
    ("get", "/api/collections/{name}/documents"): "listDocuments",
    ("post", "/api/collections/{name}/documents"): "uploadDocuments",
    ("get", "/api/documents/{document_id}"): "getDocument",
    ("delete", "/api/documents/{document_id}"): "deleteDocument",
    ("get", "/api/documents/{document_id}/text"): "getDocumentText",
    ("post", "/api/collections/{name}/sources"): "addSource",
    ("get", "/api/jobs"): "listJobs",
    ("get", "/api/jobs/{job_id}"): "getJob",
    ("delete", "/api/jobs/{job_id}"): "dropJob",
    ("post", "/api/jobs/{job_id}/cancel"): "cancelJob",
    ("post", "/api/jobs/{job_id}/pause"): "pauseJob",
    ("post", "/api/jobs/{job_id}/resume"): "resumeJob",
    ("post", "/api/jobs/{job_id}/retry"): "retryJob",
    ("post", "/api/search"): "search",
    ("post", "/api/ask"): "ask",
    ("get", "/api/chats"): "listChats",
    ("post", "/api/chats"): "createChat",
    ("get", "/api/chats/{chat_id}"): "getChat",
    ("delete", "/api/chats/{chat_id}"): "deleteChat",
    ("put", "/api/chats/{chat_id}/messages/{message_id}/rating"): "rateAnswer",
    ("delete", "/api/chats/{chat_id}/messages/{message_id}/rating"): "unrateAnswer",
    ("post", "/api/runs"): "startRun",
    ("get", "/api/runs"): "listRuns",
    ("get", "/api/runs/{run_id}"): "getRun",
    ("delete", "/api/runs/{run_id}"): "deleteRun",
    ("get", "/api/runs/{run_id}/events"): "streamRun",
    ("get", "/api/runs/{run_id}/log"): "getRunLog",
    ("post", "/api/runs/{run_id}/approvals"): "decideRun",
    ("post", "/api/runs/{run_id}/cancel"): "cancelRun",
    ("post", "/api/runs/{run_id}/resume"): "resumeRun",
    ("post", "/api/runs/{run_id}/fork"): "forkRun",
    ("get", "/api/evals"): "listEvals",
    ("get", "/api/evals/{run}"): "getEval",
    ("get", "/api/evals/{run}/samples"): "listEvalSamples",
    ("get", "/api/memories"): "listMemories",
    ("delete", "/api/memories"): "deleteMemories",
    ("delete", "/api/memories/{memory_id}"): "deleteMemory",
}


async def schema(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/schema")).json()
    return found


async def test_operations_and_their_ids(client: Client) -> None:
    document = await schema(client)
    assert document["info"]["title"] == "Rostra"
    found = {
        (method, path): operation["operationId"]
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert found == OPERATIONS


async def test_json_and_yaml_are_one_document(client: Client) -> None:
    document = await schema(client)
    assert (await client.get("/schema/openapi.json")).json() == document
    text = (await client.get("/schema/openapi.yaml")).text
    assert yaml.safe_load(text) == document


async def test_every_reference_leads_somewhere(client: Client) -> None:
    document = await schema(client)

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [ref for value in node.values() for ref in references(value)]
        if isinstance(node, list):
            return [ref for value in node for ref in references(value)]
        return []

    found = references(document)
    assert found
    for reference in found:
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


async def test_every_failure_is_a_problem(client: Client) -> None:
    document = await schema(client)
    for item in document["paths"].values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    assert list(response["content"]) == ["application/problem+json"]


async def test_uploads_and_streams_are_described(client: Client) -> None:
    paths = (await schema(client))["paths"]
    upload = paths["/api/collections/{name}/documents"]["post"]["requestBody"]
    assert "files" in upload["content"]["multipart/form-data"]["schema"]["properties"]
    assert set(paths["/api/ask"]["post"]["responses"]["200"]["content"]) == {
        "application/json",
        "text/event-stream",
    }
    assert set(paths["/api/runs"]["post"]["responses"]["202"]["content"]) == {
        "application/json",
        "text/event-stream",
    }
    follow = paths["/api/runs/{run_id}/events"]["get"]["responses"]["200"]["content"]
    assert set(follow) == {"text/event-stream"}


async def test_nothing_is_loaded_from_elsewhere(client: Client) -> None:
    for path in ("/schema", "/schema/openapi.json", "/schema/openapi.yaml"):
        text = (await client.get(path)).text
        assert "<script" not in text
        assert "cdn" not in json.dumps(text).lower()
