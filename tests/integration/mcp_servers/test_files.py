"""The file server as a process of its own, against the library's client."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from mcp import Client
from mcp.types import TextContent

from mcp_servers.files.__main__ import main

Connect = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "docs").mkdir(parents=True)
    (root / "docs" / "guide.md").write_text("# Guide\n\nBread and salt.\n")
    (tmp_path / "secret.txt").write_text("secret")
    (root / "out").symlink_to("../secret.txt")
    return root


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


async def test_reading_is_all_there_is(connect: Connect, folder: Path) -> None:
    async with connect("files", str(folder)) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"list_files", "read_file", "search_files"}
        for tool in tools.values():
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint is True
        listed = await call(client, "list_files", recursive=True, pattern="*.md")
        assert [entry["path"] for entry in listed["entries"]] == ["docs/guide.md"]
        read = await call(client, "read_file", path="docs/guide.md", start_line=3)
        assert (read["text"], read["end_line"], read["total_lines"]) == ("Bread and salt.", 3, 3)
        found = await call(client, "search_files", text="BREAD")
        assert [(match["path"], match["line"]) for match in found["matches"]] == [
            ("docs/guide.md", 3)
        ]
        for path in ("../secret.txt", "out", "/etc/passwd", "docs/../../secret.txt"):
            told = await mistake(client, "read_file", path=path)
            assert "Hint:" in told
            assert str(folder.parent) not in told
        assert "before start_line" in await mistake(
            client, "read_file", path="docs/guide.md", start_line=3, end_line=2
        )
        assert "list_files" in await mistake(client, "read_file", path="nowhere")
        assert "at least 1 character" in await mistake(client, "search_files", text="")
        await mistake(client, "write_file", path="x", text="y")
        assert not (folder / "x").exists()


async def test_writing_is_offered_when_allowed(connect: Connect, folder: Path) -> None:
    async with connect("files", "--writable", str(folder)) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        annotations = tools["write_file"].annotations
        assert annotations is not None
        assert (annotations.read_only_hint, annotations.destructive_hint) == (False, True)
        written = await call(client, "write_file", path="new/a.txt", text="été\n")
        assert written == {"path": "new/a.txt", "size": 6, "created": True}
        assert "exists" in await mistake(client, "write_file", path="new/a.txt", text="other")
        again = await call(client, "write_file", path="new/a.txt", text="two", overwrite=True)
        assert again["created"] is False
        assert (folder / "new" / "a.txt").read_text() == "two"
        for path in ("../evil", "out", "/tmp/evil", "docs"):
            await mistake(client, "write_file", path=path, text="evil", overwrite=True)
        assert (folder.parent / "secret.txt").read_text() == "secret"
        assert not (folder.parent / "evil").exists()


def test_a_folder_that_is_none_is_named_on_stderr(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [str(tmp_path / "nowhere")])
    assert result.exit_code == 1
    assert "nowhere" in result.stderr
    assert result.stdout == ""
