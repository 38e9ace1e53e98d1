"""Configurations of MCP servers: what is taken, what is refused, and where secrets may go."""

import json
from pathlib import Path
from typing import Any

import pytest

from rostra.agents.mcp import ServerConfig, servers_of
from rostra.agents.mcp.config import load_servers
from rostra.core import ConfigError, Settings

STDIO = {"command": "server", "args": ["--quiet"]}
HTTP = {"url": "https://mcp.example/mcp"}


def test_both_kinds_of_servers() -> None:
    servers = servers_of({"servers": {"one": STDIO, "two": HTTP | {"trust": "annotations"}}})
    assert servers["one"].command == "server"
    assert servers["one"].args == ("--quiet",)
    assert servers["one"].trust == "none"
    assert not servers["one"].approve_first
    assert servers["two"].url == "https://mcp.example/mcp"


def test_settings_name_servers(settings: Settings) -> None:
    assert load_servers(settings) == {}
    changed = settings.model_copy(update={"mcp": {"servers": {"one": STDIO}}})
    assert list(load_servers(changed)) == ["one"]


@pytest.mark.parametrize(
    ("name", "entry", "why"),
    [
        ("a__b", STDIO, "single '_'"),
        ("", STDIO, "the name takes"),
        ("x" * 33, STDIO, "at most 32"),
        ("a b", STDIO, "the name takes"),
        ("one", {}, "either a command or a url"),
        ("one", STDIO | HTTP, "either a command or a url"),
        ("one", STDIO | {"bearer_env": "T"}, "only for a server with a url"),
        ("one", HTTP | {"env": {"A": "b"}}, "only for a server with a command"),
        ("one", {"url": "ftp://mcp.example"}, "http or https"),
        ("one", {"url": "https://u:p@mcp.example/"}, "holds a password"),
        ("one", {"url": "http://mcp.example/", "bearer_env": "T"}, "https only"),
        ("one", {"url": "http://mcp.example/", "headers": {"X-Key": "k"}}, "https only"),
        ("one", {"url": "http://mcp.example/", "oauth": {}}, "https only"),
        ("one", {"url": "http://127.0.0.1.example/", "oauth": {}}, "https only"),
        ("one", HTTP | {"bearer_env": "T", "oauth": {}}, "exclude each other"),
        ("one", HTTP | {"oauth": {"grant": "client_credentials"}}, "needs client_id"),
        ("one", STDIO | {"timeout": 3}, "timeout: Extra inputs"),
        ("one", STDIO | {"idle_seconds": 0}, "idle_seconds"),
        ("one", STDIO | {"idle_seconds": float("nan")}, "idle_seconds"),
        ("one", STDIO | {"protocol": "2024-11-05"}, "protocol"),
    ],
)
def test_what_cannot_work_is_refused_by_name(name: str, entry: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match="server") as error:
        servers_of({"servers": {name: entry}})
    assert why in error.value.message
    assert repr(name) in error.value.message


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8/mcp", "http://[::1]:8/mcp", "http://localhost/mcp", "https://x.example/"],
)
def test_credentials_go_over_tls_or_stay_here(url: str) -> None:
    assert ServerConfig(name="one", url=url, bearer_env="T").url == url


def test_secrets_come_from_the_environment_and_are_not_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = ServerConfig(
        name="one",
        url="https://x.example/",
        headers={"X-Static": "static-value"},
        headers_env={"X-Key": "THE_KEY"},
        bearer_env="THE_TOKEN",
    )
    with pytest.raises(ConfigError, match="THE_KEY is not set"):
        config.http_headers()
    monkeypatch.setenv("THE_KEY", "k")
    monkeypatch.setenv("THE_TOKEN", "t")
    assert config.http_headers() == {
        "X-Static": "static-value",
        "X-Key": "k",
        "Authorization": "Bearer t",
    }
    assert "static-value" not in repr(config)
    child = ServerConfig(name="one", command="x", env={"A": "hidden-value"}, pass_env=("THE_KEY",))
    assert child.environment() == {"THE_KEY": "k", "A": "hidden-value"}
    assert "hidden-value" not in repr(child)


def test_servers_of_a_common_file_are_not_the_users_own_word(tmp_path: Path) -> None:
    path = tmp_path / ".mcp.json"
    entries = {
        "child": {"type": "stdio", "command": "npx", "args": ["-y", "thing"], "env": {"A": "b"}},
        "remote": {"type": "http", "url": "https://x.example/mcp"},
    }
    path.write_text(json.dumps({"mcpServers": entries}), encoding="utf-8")
    servers = servers_of({"files": [str(path)], "servers": {"mine": STDIO}})
    assert sorted(servers) == ["child", "mine", "remote"]
    assert not servers["child"].approve_first
    assert not servers["remote"].approve_first
    assert not servers["mine"].approve_first
    with pytest.raises(ConfigError, match="two servers named 'child'"):
        servers_of({"files": [str(path)], "servers": {"child": STDIO}})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting property name"),
        ("[]", "has no object 'mcpServers'"),
        ('{"mcpServers": {"a": 1}}', "is no object"),
        ('{"mcpServers": {"a": {"type": "sse", "url": "https://x.example"}}}', "SSE alone"),
        ('{"mcpServers": {"a": {}}}', "either a command or a url"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        servers_of({"files": [str(path)]})
    assert why in error.value.message
    assert str(path) in error.value.message


def test_a_missing_file_and_a_wrong_table(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        servers_of({"files": [str(tmp_path / "none.json")]})
    with pytest.raises(ConfigError, match="mcp: server: Extra inputs"):
        servers_of({"server": {}})


def test_first_sight_and_switches() -> None:
    servers = servers_of(
        {
            "approve_first": False,
            "servers": {
                "one": STDIO,
                "two": STDIO | {"approve_first": True},
                "off": STDIO | {"enabled": False},
            },
        }
    )
    assert {name: config.approve_first for name, config in servers.items()} == {
        "one": False,
        "two": True,
    }


@pytest.mark.parametrize(
    ("entry", "own"),
    [
        ({"command": "/venv/bin/python3.11", "args": ["-m", "mcp_servers.files", "/x"]}, True),
        ({"command": "python", "args": ["-m", "mcp_servers.fetch"]}, True),
        ({"command": "python", "args": ["-m", "mcp_servers.fetch"], "cwd": "/tmp"}, False),
        ({"command": "python", "args": ["-m", "mcp_servers.other"]}, False),
        ({"command": "npx", "args": ["-m", "mcp_servers.files"]}, False),
        ({"command": "python", "args": ["-m"]}, False),
        ({"url": "https://x.example/mcp"}, False),
    ],
)
def test_only_servers_that_come_with_the_platform_are_taken_as_first_seen(
    entry: dict[str, Any], own: bool
) -> None:
    assert servers_of({"servers": {"one": entry}})["one"].approve_first is own
    asked = servers_of({"approve_first": False, "servers": {"one": entry}})
    assert not asked["one"].approve_first
    told = servers_of({"servers": {"one": entry | {"approve_first": True}}})
    assert told["one"].approve_first
