"""`rostra mcp prompt`, `mcp resource` and `--prompt`, with servers that are silent or wordless."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from rostra.agents.mcp import McpToolset
from rostra.agents.tools.tool import ToolFailure
from rostra.cli.main import run
from rostra.core import Settings
from tests.integration.agents.mcp.peer import closing
from tests.integration.agents.mcp.test_stdio import raw, script

IMAGE = {"type": "image", "data": "aaaa", "mimeType": "image/png"}
PROMPTS: dict[str, list[dict[str, Any]]] = {
    "empty": [],
    "picture": [{"role": "user", "content": IMAGE}],
    "blank": [{"role": "user", "content": {"type": "text", "text": " \n"}}],
    "odd": [{"role": "user", "content": {"type": "hologram"}}],
    "both": [
        {"role": "user", "content": IMAGE},
        {"role": "user", "content": {"type": "text", "text": "What is it?"}},
    ],
}
# Asked for another prompt, or for a resource, it says nothing.
MUTE = f"""
        case "prompts/get" if asked["params"]["name"] in {list(PROMPTS)!r}:
            say(asked["id"], {{"messages": {PROMPTS!r}[asked["params"]["name"]]}})
        case "prompts/get" | "resources/read":
            pass
        case "tools/call":"""
CODE = raw("pass").replace('        case "tools/call":', MUTE.removeprefix("\n"))


@pytest.fixture
def norm(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "norm.py").write_text(CODE, encoding="utf-8")
    (tmp_path / "rostra.toml").write_text(
        f"""
[mcp.servers.norm]
command = {json.dumps(sys.executable)}
args = [{json.dumps(str(tmp_path / "norm.py"))}]
idle_seconds = 60
[mcp.servers.calculator]
enabled = false
command = "none"
""",
        encoding="utf-8",
    )
    monkeypatch.setenv("ROSTRA_CONFIG", str(tmp_path / "rostra.toml"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["mcp", "prompt", "norm", "mute"],
        ["mcp", "resource", "norm", "memo://a"],
        ["agent", "run", "--prompt", "norm/mute"],
    ],
)
def test_a_silent_server_is_given_up_as_in_a_call(
    norm: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    file = tmp_path / "rostra.toml"
    file.write_text(file.read_text("utf-8").replace("= 60", "= 2"), "utf-8")
    assert run([*arguments, "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "mcp_server_unavailable"
    assert "gave no sign of life for 2 s" in error["message"]


async def test_silence_leaves_the_connection_to_others(tmp_path: Path) -> None:
    config = script(tmp_path, CODE, idle_seconds=1.5)
    async with closing(McpToolset(config)) as toolset, asyncio.timeout(60):
        await toolset.list()
        for asked in (toolset.get_prompt("mute"), toolset.read_resource("memo://a")):
            with pytest.raises(ToolFailure, match=r"no sign of life for 1\.5 s"):
                await asked
        assert await toolset.get_prompt("empty") == ()
        assert toolset.protocol is not None


@pytest.mark.parametrize("name", ["empty", "picture", "blank"])
def test_a_prompt_without_text_is_no_task(
    norm: None, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert run(["agent", "run", "--prompt", f"norm/{name}", "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "invalid_request"
    assert "has no text" in error["message"]


def test_an_empty_prompt_says_so(norm: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mcp", "prompt", "norm", "empty"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err.splitlines()[-1]) == ("", "The prompt has no messages.")
    assert run(["mcp", "prompt", "norm", "both"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown == ["user: [image, image/png, 3 bytes, not shown]", "user: What is it?"]


def test_a_prompt_of_an_unknown_kind_is_no_task_either(
    norm: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["mcp", "prompt", "norm", "odd"]) == 0
    assert "unknown type 'hologram'" in capsys.readouterr().out
    assert run(["agent", "run", "--prompt", "norm/odd", "--json"]) == 2
