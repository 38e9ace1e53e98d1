"""JSON of more levels than can be read is the request's fault, not ours."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        '{"query": "x", "filters": {"a": ' + DEEP + "}}",
        '{"query": "x", "filters": {"a": ' + "[" * 500 + "]" * 500 + "}}",
        '{"query": "x", "more": ' + DEEP + "}",
    ],
    ids=["body", "filters", "filters of fewer", "unknown"],
)
async def test_a_body_of_too_many_levels_is_refused(
    client: AsyncTestClient[Litestar], upload: Callable[..., Awaitable[dict[str, Any]]], body: str
) -> None:
    await upload(("a.txt", b"alpha"), collection="default")
    response = await client.post(
        "/api/search", content=body, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 400, response.text
    assert response.json()["code"] in ("invalid_request", "invalid_filter")
