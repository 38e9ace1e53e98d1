"""Search with the graph over REST."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Litestar
from litestar.testing import AsyncTestClient

from rostra.core import Settings
from rostra.ingest import GraphBuilder
from rostra.runtime import open_runtime

Client = AsyncTestClient[Litestar]
Upload = Callable[..., Awaitable[dict[str, Any]]]
FILES = (
    ("reindexer.md", b"# reindexer\n\nIt is a wrapper around REBUILD TABLE.\n"),
    ("rebuild.md", b"# REBUILD TABLE\n\nIt takes an Exclusive Lock.\n"),
)


async def test_a_search_uses_the_graph_when_told_to(
    client: Client, upload: Upload, settings: Settings
) -> None:
    await upload(*FILES)
    body = {"query": "reindexer", "collection": "docs"}
    plain = (await client.post("/api/search", json=body)).json()
    assert "graph" not in plain["timings_ms"]
    refused = await client.post("/api/search", json=body | {"graph": True})
    assert refused.status_code == 409
    assert refused.json()["code"] == "graph_not_built"
    async with open_runtime(settings) as runtime:
        await GraphBuilder(runtime.database).build("docs")
    found = (await client.post("/api/search", json=body | {"graph": True, "k": 1})).json()
    assert "graph" in found["timings_ms"]
    assert len(found["hits"]) == 1
