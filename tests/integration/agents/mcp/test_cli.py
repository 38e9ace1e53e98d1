"""`rostra mcp` against a server in a process of its own."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from rostra.cli.main import run
from rostra.core import Settings
from tests.integration.agents.mcp.peer import PEER


@pytest.fixture
def configured(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rostra.toml"
    path.write_text(
        f"""
[mcp.servers.peer]
command = {json.dumps(sys.executable)}
args = [{json.dumps(str(PEER))}, "stdio"]
approve_first = false
trust = "annotations"
[mcp.servers.gone]
url = "http://127.0.0.1:9/mcp"
oauth = {{}}
[mcp.servers.calculator]
enabled = false
command = "none"
""",
        encoding="utf-8",
    )
    monkeypatch.setenv("ROSTRA_CONFIG", str(path))


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_list_approve_and_call(configured: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mcp", "list", "--json"]) == 0
    gone, peer = printed(capsys)["servers"]
    assert "cannot reach it" in gone["error"]
    states = {tool["name"]: (tool["state"], tool["effect"]) for tool in peer["tools"]}
    assert states["echo"] == ("new", "read")
    assert len(states) == 15
    assert {item["uri"] for item in peer["resources"]} == {"memo://note", "memo://{name}/page"}

    assert run(["mcp", "call", "peer", "echo", "--json"]) == 2
    error = printed(capsys)["error"]
    assert error["code"] == "tool_not_offered"
    assert error["hint"] == "rostra mcp approve peer echo"

    assert run(["mcp", "approve", "peer", "echo", "refuse", "--json"]) == 0
    assert printed(capsys) == {"server": "peer", "approved": ["echo", "refuse"]}
    assert run(["mcp", "call", "peer", "echo", "--args", '{"text": "hi\\u001b[31m"}']) == 0
    assert capsys.readouterr().out == "hi [31m\n"
    assert run(["mcp", "call", "peer", "refuse", "--json"]) == 1
    assert printed(capsys)["is_error"] is True


def test_people_see_what_is_approved(configured: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mcp", "approve", "peer"]) == 0
    capsys.readouterr()
    assert run(["mcp", "list", "peer"]) == 0
    shown = capsys.readouterr().out
    assert "echo  approved read  Say it again." in shown
    assert "resource memo://note" in shown


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["list", "nobody"], 2, "mcp_server_not_found"),
        (["call", "nobody", "x"], 2, "mcp_server_not_found"),
        (["list", "gone"], 1, "mcp_server_unavailable"),
        (["call", "gone", "x"], 1, "mcp_server_unavailable"),
        (["call", "gone", "x", "--args", "{"], 2, "invalid_request"),
        (["call", "gone", "x", "--args", "[]"], 2, "invalid_request"),
        (["call", "gone", "x", "--args", '{"a": NaN}'], 2, "invalid_request"),
        (["call", "peer", "x", "--timeout", "0"], 2, "usage"),
        (["approve", "gone", "x"], 1, "mcp_server_unavailable"),
    ],
)
def test_what_cannot_be_done_is_said(
    configured: None,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    code: str,
) -> None:
    assert run(["mcp", *arguments, "--json"]) == status
    error = printed(capsys)["error"]
    assert error["code"] == code
    if code == "mcp_server_unavailable":
        assert error["hint"] == "rostra mcp list gone --login"
