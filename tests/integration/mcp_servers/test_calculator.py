"""The calculator as a process of its own, against the library's client."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from mcp import Client
from mcp.types import TextContent

Connect = Callable[..., AbstractAsyncContextManager[Client]]


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    structured: dict[str, Any] = result.structured_content
    return structured


async def mistake(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert len(content.text) < 2_000
    return content.text


async def test_the_tools_compute_and_tell_mistakes(connect: Connect) -> None:
    async with connect("calculator") as client:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == {
            *("calculate", "convert", "date_add", "date_difference", "weekday")
        }
        for tool in tools:
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint is True
            assert tool.annotations.open_world_hint is False
            assert tool.description
            assert all("description" in field for field in tool.input_schema["properties"].values())

        third = await call(client, "calculate", expression="1 / 3")
        assert third == {"value": "0." + "3" * 30, "exact": False, "fraction": "1/3"}
        assert (await call(client, "calculate", expression="0.1 + 0.2"))["value"] == "0.3"
        assert (await call(client, "convert", value=0.1, unit="km", to="m"))["value"] == "100"
        assert (await call(client, "convert", value=2, unit="h", to="min"))["value"] == "120"
        assert await call(client, "convert", value="2 * 3", unit="ft", to="inch") == {
            "value": "72",
            "exact": True,
            "fraction": None,
            "unit": "inch",
        }
        assert await call(client, "weekday", date="2024-12-30") == {
            "date": "2024-12-30",
            "weekday": "Monday",
            "iso_week": "2025-W01",
            "day_of_year": 365,
        }
        later = await call(client, "date_add", date="2024-01-31", months=1, days=1)
        assert later["date"] == "2024-03-01"
        apart = await call(client, "date_difference", start="2024-03-01", end="2023-01-31")
        parts = ("days", "workdays", "years", "months", "rest_days")
        assert [apart[part] for part in parts] == [-395, -283, -1, -1, -1]

        assert "too large" in await mistake(client, "calculate", expression="9**9**9")
        assert "Functions:" in await mistake(client, "calculate", expression="open('/etc/passwd')")
        assert "different things" in await mistake(client, "convert", value=1, unit="m", to="s")
        assert "2026-03-31" in await mistake(client, "weekday", date="tomorrow")
        assert "at most" in await mistake(client, "date_add", date="2024-01-31", days=10**30)
        assert "1000 characters" in await mistake(client, "calculate", expression="1" * 10**6)
        assert (await call(client, "calculate", expression="6 * 7"))["value"] == "42"
