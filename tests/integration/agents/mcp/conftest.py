"""The peer over either transport."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from rostra.agents.mcp import ServerConfig
from tests.integration.agents.mcp.peer import (
    Served,
    build,
    over_stdio,
)


@pytest.fixture(params=["stdio", "http"])
async def config(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., ServerConfig]]:
    """Makes configurations of the peer over one transport."""
    if request.param == "stdio":
        yield over_stdio
        return
    async with Served(build().streamable_http_app()) as served:
        first: dict[str, Any] = {"approve_first": True}
        yield lambda **settings: ServerConfig(name="peer", url=served.url, **(first | settings))
