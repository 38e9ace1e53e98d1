"""Which MCP servers there are, how each is reached, and how far it is trusted.

They stand in the settings under `[mcp.servers.NAME]`; files in the common form
`{"mcpServers": {...}}` can be named beside them. What always holds: a configuration is complete and
valid or refused with the name of the server and the field; secrets are named by the environment
variables that hold them; a credential goes over TLS or stays on this machine. What a server's tools
say is not the user's own word, so nothing of it is approved unasked, unless the settings say so of
that server, or it comes with Rostra; of a server from such a file never.
"""

import ipaddress
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from rostra.agents.mcp.effects import Trust
from rostra.core import ConfigError, Settings

MIB = 1024 * 1024
# It becomes the first part of `server__tool`.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]|_(?!_)){0,31}")
_MAX_FILE = 4 * MIB
# Modules of the servers that come with Rostra: their words are those of the program itself.
_OWN = frozenset(
    f"mcp_servers.{name}" for name in ("calculator", "fetch", "files", "knowledge", "python", "sql")
)
_MAX_SERVERS = 200

Seconds = Annotated[FiniteFloat, Field(gt=0, le=86_400)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OAuthConfig(_Strict):
    """How to log in at a server (MCP, Authorization); all of it can be left out.

    Attributes:
        grant: `authorization_code` asks a person in a browser once; `client_credentials` nobody.
        client_id: of a client registered beforehand; else this one registers itself.
        client_secret_env: environment variable with that client's secret.
        client_metadata_url: of a document that describes the client, for servers that take such a
            URL as the client's id.
        issuer: of the authorization server; client credentials are sent to no other.
        scope: scopes to ask for, separated by spaces.
        redirect_port: on the loopback interface; 0 takes a free one.
    """

    grant: Literal["authorization_code", "client_credentials"] = "authorization_code"
    client_id: str | None = None
    client_secret_env: str | None = None
    client_metadata_url: str | None = Field(None, pattern=r"^https://[^/]+/.")
    issuer: str | None = None
    scope: str | None = None
    redirect_port: int = Field(0, ge=0, le=65535)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.grant == "client_credentials":
            for name in ("client_id", "client_secret_env", "issuer"):
                if not getattr(self, name):
                    raise ValueError(f"client_credentials needs {name}")
        return self


class ServerConfig(_Strict):
    """One server: a command to start, or a URL.

    Attributes:
        name: letters, digits, `-` and single `_`, at most 32.
        command: to start a server that speaks over stdin and stdout.
        args: of the command.
        env: variables for the command, beside a minimal environment (HOME, PATH and the like).
        pass_env: names of this process's variables to hand on.
        cwd: where the command runs.
        url: of a server that speaks streamable HTTP.
        headers: sent with every request.
        headers_env: headers whose values stand in environment variables.
        bearer_env: environment variable with a bearer token.
        oauth: how to log in.
        protocol: revision to speak; `auto` takes the newest that both sides know.
        trust: whether its annotations of effects are believed.
        cites: whether it may name parts of stored documents; only for servers of our own.
        offer_resources: whether agents get tools to list and read its resources.
        approve_first: whether the tools that it has when it is first seen are approved unasked;
            otherwise a person approves them first. True for the servers that come with Rostra.
        enabled: whether it is used at all.
        allow: patterns of tool names to offer, such as `read_*`.
        deny: patterns of tool names never to offer.
        connect_seconds: to start and agree on a revision.
        idle_seconds: longest silence during a call; progress counts as a sign of life.
        absolute_seconds: longest call, whatever progress it reports.
        recheck_seconds: how old the list of tools may be when one is called.
        max_tools: most tools, resources or prompts that are read from its lists.
        max_result_bytes: largest message that is read.
    """

    name: str
    command: str | None = Field(None, min_length=1)
    args: tuple[str, ...] = ()
    env: dict[str, str] = Field({}, repr=False)
    pass_env: tuple[str, ...] = ()
    cwd: Path | None = None
    url: str | None = None
    headers: dict[str, str] = Field({}, repr=False)
    headers_env: dict[str, str] = {}
    bearer_env: str | None = None
    oauth: OAuthConfig | None = None
    protocol: Literal["auto", "2026-07-28", "2025-11-25"] = "auto"
    trust: Trust = "none"
    cites: bool = False
    offer_resources: bool = False
    approve_first: bool = False
    enabled: bool = True
    allow: tuple[str, ...] = ("*",)
    deny: tuple[str, ...] = ()
    connect_seconds: Seconds = 30
    idle_seconds: Seconds = 60
    absolute_seconds: Seconds = 600
    recheck_seconds: Seconds = 300
    max_tools: int = Field(10_000, ge=1, le=100_000)
    max_result_bytes: int = Field(64 * MIB, ge=1024, le=1024 * MIB)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not _NAME.fullmatch(self.name):
            raise ValueError("the name takes letters, digits, '-' and single '_', at most 32")
        if (self.command is None) == (self.url is None):
            raise ValueError("give either a command or a url")
        if self.url is None:
            unused = [
                n for n in ("headers", "headers_env", "bearer_env", "oauth") if _given(self, n)
            ]
            if unused:
                raise ValueError(f"{unused[0]}: only for a server with a url")
        else:
            unused = [n for n in ("args", "env", "pass_env", "cwd") if _given(self, n)]
            if unused:
                raise ValueError(f"{unused[0]}: only for a server with a command")
            self._check_url(self.url)
        if self.bearer_env and self.oauth:
            raise ValueError("bearer_env and oauth exclude each other")
        return self

    def _check_url(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url: must be an http or https URL")
        if parts.username or parts.password:
            raise ValueError("url: holds a password; use headers_env or bearer_env")
        secret = self.bearer_env or self.oauth or self.headers or self.headers_env
        if secret and parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError("url: credentials go over https only, but for this machine's servers")

    def environment(self) -> dict[str, str]:
        """Variables of the command beside the minimal ones.

        Raises:
            ConfigError: a variable that it is to be handed is not set.
        """
        return {name: _variable(name, self.name) for name in self.pass_env} | self.env

    def http_headers(self) -> dict[str, str]:
        """Headers of every request, credentials included.

        Raises:
            ConfigError: a variable that holds one is not set.
        """
        headers = dict(self.headers)
        headers |= {key: _variable(name, self.name) for key, name in self.headers_env.items()}
        if self.bearer_env:
            headers["Authorization"] = f"Bearer {_variable(self.bearer_env, self.name)}"
        return headers

    def client_secret(self) -> str | None:
        """Of an OAuth client registered beforehand.

        Raises:
            ConfigError: the variable that holds it is not set.
        """
        if self.oauth is None or self.oauth.client_secret_env is None:
            return None
        return _variable(self.oauth.client_secret_env, self.name)


class _McpSettings(_Strict):
    """`[mcp]` of the settings."""

    servers: dict[str, dict[str, Any]] = {}
    files: tuple[Path, ...] = ()
    approve_first: bool | None = None


def load_servers(settings: Settings) -> dict[str, ServerConfig]:
    """The servers of the settings' `mcp` table, those that are switched off left out.

    Raises:
        ConfigError: one of them cannot work; the message names it.
    """
    return servers_of(getattr(settings, "mcp", None) or {})


def servers_of(table: Mapping[str, Any]) -> dict[str, ServerConfig]:
    """The servers of an `[mcp]` table: `servers`, `files` and `approve_first`.

    Raises:
        ConfigError: one of them cannot work; the message names it.
    """
    try:
        given = _McpSettings.model_validate(table)
    except ValidationError as error:
        raise ConfigError(f"mcp: {_explain(error)}") from None
    found: dict[str, ServerConfig] = {}
    for path in given.files:
        for name, entry in _read_file(path).items():
            _add(found, name, entry, str(path))
    for name, entry in given.servers.items():
        first = _is_own(entry) if given.approve_first is None else given.approve_first
        _add(found, name, {"approve_first": first} | entry, "mcp.servers")
    if len(found) > _MAX_SERVERS:
        raise ConfigError(f"mcp: {len(found)} servers; at most {_MAX_SERVERS}")
    return {name: server for name, server in found.items() if server.enabled}


def _is_own(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of the settings starts a server that comes with Rostra."""
    command, args = entry.get("command"), entry.get("args")
    if not isinstance(command, str) or not isinstance(args, list | tuple) or len(args) < 2:
        return False
    python = Path(command).name.startswith("python") and not entry.get("cwd")
    return python and args[0] == "-m" and args[1] in _OWN


def _add(found: dict[str, ServerConfig], name: str, entry: dict[str, Any], where: str) -> None:
    if name in found:
        raise ConfigError(f"mcp: there are two servers named {name!r}")
    try:
        found[name] = ServerConfig.model_validate(entry | {"name": name})
    except ValidationError as error:
        raise ConfigError(f"{where}: server {name!r}: {_explain(error)}") from None


def _read_file(path: Path) -> dict[str, dict[str, Any]]:
    """The entries of a `{"mcpServers": {...}}` file, in our terms and without our rights."""
    try:
        with path.open("rb") as file:
            data = json.loads(file.read(_MAX_FILE))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"mcp.files: {path}: {error}") from None
    entries = data.get("mcpServers") if isinstance(data, dict) else None
    if not isinstance(entries, dict):
        raise ConfigError(f"mcp.files: {path}: has no object 'mcpServers'")
    servers = {}
    for name, entry in entries.items():
        if not isinstance(entry, dict):
            raise ConfigError(f"{path}: server {name!r}: is no object")
        known = {
            key: entry[key]
            for key in ("command", "args", "env", "cwd", "url", "headers")
            if entry.get(key)
        }
        if entry.get("type") == "sse":
            raise ConfigError(f"{path}: server {name!r}: SSE alone is no longer part of MCP")
        servers[str(name)] = known | {"approve_first": False}
    return servers


def _given(config: ServerConfig, name: str) -> bool:
    return bool(getattr(config, name))


def _variable(name: str, server: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigError(
            f"MCP server {server!r}: the environment variable {name} is not set",
            hint="Set it, or take it out of the server's configuration.",
        )
    return value


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        reason = item["msg"].removeprefix("Value error, ")
        lines.append(f"{where}: {reason}" if where else reason)
    return "; ".join(lines)
