"""The SQL server as a process of its own, against the library's client."""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from mcp import Client
from mcp.types import TextContent

from mcp_servers.sql.__main__ import main

Connect = Callable[..., AbstractAsyncContextManager[Client]]
ENDLESS = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r)"


@pytest.fixture
def url(tmp_path: Path) -> str:
    file = tmp_path / "shop.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE goods (id INTEGER PRIMARY KEY, name TEXT)")
        connection.executemany("INSERT INTO goods (name) VALUES (?)", [("bread",), ("salt",)])
    connection.close()
    return f"sqlite:///{file}"


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
    return content.text


async def test_the_tools_read_and_nothing_else(connect: Connect, url: str) -> None:
    async with connect("sql", "--seconds", "2", MCP_SQL_URL=url) as client:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == {"list_tables", "describe", "query"}
        for tool in tools:
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint is True
        assert await call(client, "list_tables") == {
            "tables": [{"name": "goods", "kind": "table"}],
            "truncated": False,
        }
        described = await call(client, "describe", table="goods")
        assert [column["name"] for column in described["columns"]] == ["id", "name"]
        found = await call(client, "query", sql="SELECT * FROM goods ORDER BY id", limit=1)
        assert (found["rows"], found["truncated"]) == ([[1, "bread"]], True)

        assert "only reading" in await mistake(client, "query", sql="DELETE FROM goods")
        assert "one statement" in await mistake(client, "query", sql="SELECT 1; SELECT 2")
        assert "no such table" in await mistake(client, "query", sql="SELECT * FROM goodies")
        assert "list_tables" in await mistake(client, "describe", table="goodies")
        assert "NUL" in await mistake(client, "query", sql="SELECT '\0'")
        assert "at most 1000" in await mistake(client, "query", sql="SELECT 1", limit=10_000)
        assert "20000 characters" in await mistake(client, "query", sql="SELECT " + "1" * 10**6)
        assert "longer than 2 seconds" in await mistake(
            client, "query", sql=f"{ENDLESS} SELECT count(*) FROM r"
        )
        # More memory than the process may use for it.
        blobs = ", ".join(["zeroblob(8000000)"] * 100)
        assert "more memory" in await mistake(client, "query", sql=f"SELECT {blobs}")
        assert (await call(client, "query", sql="SELECT count(*) FROM goods"))["rows"] == [[2]]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "--url"),
        (["--url", "sqlite:////nowhere/x.db"], "no database file"),
        (["--url", "postgresql://user:secret@127.0.0.1:1/x"], "cannot be reached"),
        (["--url", "oracle://x"], "not read"),
    ],
)
def test_a_database_that_is_none_is_named_on_stderr(
    arguments: list[str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MCP_SQL_URL", raising=False)
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code in (1, 2)
    assert reason in result.stderr
    assert "secret" not in result.stderr
    assert result.stdout == ""
