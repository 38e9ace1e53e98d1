"""Logging in: bearer tokens, OAuth with a person, with client credentials, and across restarts."""

import base64
import json
import secrets
import socket
import stat
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl

from rostra.agents.mcp import McpToolset, ServerConfig
from rostra.agents.tools.tool import CallContext, ToolFailure
from rostra.core import ConfigError
from tests.integration.agents.mcp.peer import Served, build, closing

CONTEXT = CallContext(run="r", call="r:1")


class Door:
    """An ASGI app behind one bearer token."""

    def __init__(self, app: Any, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        given = dict(scope.get("headers") or ()).get(b"authorization", b"").decode()
        if scope["type"] != "http" or given == f"Bearer {self._token}":
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def test_a_bearer_token_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Served(Door(build().streamable_http_app(), "t0ken")) as served:
        config = ServerConfig(
            approve_first=True, name="door", url=served.url, bearer_env="DOOR_TOKEN"
        )
        with pytest.raises(ConfigError, match="DOOR_TOKEN is not set"):
            await McpToolset(config).list()
        monkeypatch.setenv("DOOR_TOKEN", "wrong")
        async with closing(McpToolset(config)) as toolset:
            with pytest.raises(ToolFailure, match="asks for a login") as failure:
                await toolset.list()
            assert not failure.value.began
            assert "wrong" not in str(failure.value)
        monkeypatch.setenv("DOOR_TOKEN", "t0ken")
        async with closing(McpToolset(config)) as toolset:
            assert (await toolset.call("echo", {"text": "in"}, CONTEXT)).text == "in"
        spelled = ServerConfig(
            approve_first=True,
            name="door",
            url=served.url,
            headers_env={"Authorization": "DOOR_HEADER"},
        )
        monkeypatch.setenv("DOOR_HEADER", "Bearer t0ken")
        async with closing(McpToolset(spelled)) as toolset:
            assert len(await toolset.list()) == 15


class Issuer:
    """An authorization server that says yes to everyone, and remembers what it was asked."""

    def __init__(self, lifetime: int) -> None:
        self.lifetime = lifetime
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.tokens: dict[str, AccessToken] = {}
        self.refresh: dict[str, RefreshToken] = {}
        self.authorized = 0
        self.refreshed = 0

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self.clients[client_info.client_id] = client_info

    async def authorize(
        self, client: OAuthClientInformationFull, params: AuthorizationParams
    ) -> str:
        self.authorized += 1
        code = secrets.token_hex(20)
        self.codes[code] = AuthorizationCode(
            code=code,
            client_id=client.client_id,
            scopes=params.scopes or [],
            expires_at=time.time() + 60,
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
        )
        return construct_redirect_uri(str(params.redirect_uri), code=code, state=params.state)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        del self.codes[authorization_code.code]
        return self._issue(client.client_id, authorization_code.scopes)

    async def load_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: str
    ) -> RefreshToken | None:
        return self.refresh.get(refresh_token)

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        self.refreshed += 1
        del self.refresh[refresh_token.token]
        return self._issue(client.client_id, scopes)

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.tokens.get(token)

    async def revoke_token(self, token: Any) -> None:
        self.tokens.pop(token.token, None)

    def _issue(self, client_id: str, scopes: list[str]) -> OAuthToken:
        access, refresh = secrets.token_hex(20), secrets.token_hex(20)
        self.tokens[access] = AccessToken(token=access, client_id=client_id, scopes=scopes)
        self.refresh[refresh] = RefreshToken(token=refresh, client_id=client_id, scopes=scopes)
        return OAuthToken(
            access_token=access, expires_in=self.lifetime, refresh_token=refresh, scope="user"
        )


@asynccontextmanager
async def protected(issuer: Issuer) -> AsyncIterator[str]:
    """A server that wants a token of its own authorization server; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    server = MCPServer(
        "vault",
        auth=AuthSettings(
            issuer_url=AnyHttpUrl(base),
            resource_server_url=AnyHttpUrl(f"{base}/mcp"),
            validate_token_resource=False,
            required_scopes=["user"],
            client_registration_options=ClientRegistrationOptions(
                enabled=True, valid_scopes=["user"], default_scopes=["user"]
            ),
        ),
        auth_server_provider=issuer,
    )

    @server.tool()
    def secret() -> str:
        """Tell the secret."""
        return "gold"

    async with Served(server.streamable_http_app(), port) as served:
        yield served.url


async def browser(address: str) -> None:
    """A person who follows the address and comes back."""
    async with httpx.AsyncClient(follow_redirects=True, timeout=60) as client:
        page = await client.get(address)
        assert "logged in" in page.text


async def test_a_login_lasts_beyond_the_process(tmp_path: Path) -> None:
    issuer = Issuer(lifetime=3600)
    file = tmp_path / "tokens" / "vault.json"
    async with protected(issuer) as url:
        config = ServerConfig.model_validate(
            {"approve_first": True, "name": "vault", "url": url, "oauth": {}}
        )
        async with closing(McpToolset(config, token_file=file)) as nobody:
            with pytest.raises(ToolFailure, match="asks for a login"):
                await nobody.list()
        assert not file.exists()
        assert issuer.clients == {}

        async with closing(McpToolset(config, token_file=file, login=browser)) as person:
            assert (await person.call("secret", {}, CONTEXT)).text == "gold"
        assert issuer.authorized == 1
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert [entry.name for entry in file.parent.iterdir()] == ["vault.json"]

        async with closing(McpToolset(config, token_file=file)) as later:
            assert (await later.call("secret", {}, CONTEXT)).text == "gold"
        assert (issuer.authorized, issuer.refreshed) == (1, 0)


async def test_an_expired_token_is_renewed_without_a_person(tmp_path: Path) -> None:
    issuer = Issuer(lifetime=3600)
    file = tmp_path / "vault.json"
    async with protected(issuer) as url:
        config = ServerConfig.model_validate(
            {"approve_first": True, "name": "vault", "url": url, "oauth": {}}
        )
        async with closing(McpToolset(config, token_file=file, login=browser)) as person:
            await person.list()
        kept = json.loads(file.read_text("utf-8"))
        kept["expires_at"] = time.time() - 1
        issuer.tokens.clear()
        file.write_text(json.dumps(kept), encoding="utf-8")
        async with closing(McpToolset(config, token_file=file)) as later:
            assert (await later.call("secret", {}, CONTEXT)).text == "gold"
        assert (issuer.authorized, issuer.refreshed) == (1, 1)
        renewed = json.loads(file.read_text("utf-8"))
        assert renewed["tokens"]["access_token"] != kept["tokens"]["access_token"]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_revoked_login_asks_for_a_person_and_works_with_one(tmp_path: Path) -> None:
    issuer = Issuer(lifetime=3600)
    file = tmp_path / "vault.json"
    async with protected(issuer) as url:
        config = ServerConfig.model_validate(
            {"approve_first": True, "name": "vault", "url": url, "oauth": {}}
        )
        async with closing(McpToolset(config, token_file=file, login=browser)) as person:
            await person.list()
        issuer.tokens.clear()
        issuer.refresh.clear()
        async with closing(McpToolset(config, token_file=file)) as nobody:
            with pytest.raises(ToolFailure, match="login") as failure:
                await nobody.call("secret", {}, CONTEXT)
            assert not failure.value.began
        async with closing(McpToolset(config, token_file=file, login=browser)) as person:
            assert (await person.call("secret", {}, CONTEXT)).text == "gold"
        # Registered once, so it comes back to the port that it was registered with.
        assert (issuer.authorized, len(issuer.clients)) == (2, 1)


async def test_a_refused_login_says_so(tmp_path: Path) -> None:
    async def refuse(address: str) -> None:
        query = httpx.URL(address).params
        async with httpx.AsyncClient(timeout=60) as client:
            page = await client.get(
                query["redirect_uri"], params={"error": "access_denied", "state": query["state"]}
            )
            assert "failed" in page.text
            assert (
                await client.get(str(httpx.URL(query["redirect_uri"]).copy_with(path="/x")))
            ).status_code == 404

    async with protected(Issuer(lifetime=3600)) as url:
        config = ServerConfig.model_validate(
            {"approve_first": True, "name": "vault", "url": url, "oauth": {}}
        )
        file = tmp_path / "vault.json"
        async with closing(McpToolset(config, token_file=file, login=refuse)) as toolset:
            with pytest.raises(ToolFailure, match="access_denied"):
                await toolset.list()
        assert "tokens" not in json.loads(file.read_text("utf-8"))


async def test_tokens_of_another_url_are_not_sent(tmp_path: Path) -> None:
    seen: list[str] = []

    class Eavesdropper:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            seen.append(dict(scope.get("headers") or ()).get(b"authorization", b"").decode())
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    issuer = Issuer(lifetime=3600)
    file = tmp_path / "vault.json"
    async with protected(issuer) as url:
        config = ServerConfig.model_validate(
            {"approve_first": True, "name": "vault", "url": url, "oauth": {}}
        )
        async with closing(McpToolset(config, token_file=file, login=browser)) as person:
            await person.list()
    async with Served(Eavesdropper(), lifespan=False) as other:
        moved = ServerConfig.model_validate(
            {"approve_first": True, "name": "vault", "url": other.url, "oauth": {}}
        )
        async with closing(McpToolset(moved, token_file=file)) as toolset:
            with pytest.raises(ToolFailure):
                await toolset.list()
    assert set(seen) == {""}


class Machine:
    """A server that takes tokens of client credentials, and the authorization server beside it."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.base = ""
        self.asked: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        match scope["path"]:
            case "/.well-known/oauth-protected-resource/mcp":
                given = {"resource": f"{self.base}/mcp", "authorization_servers": [self.base]}
            case "/.well-known/oauth-authorization-server":
                given = {
                    "issuer": self.base,
                    "authorization_endpoint": f"{self.base}/authorize",
                    "token_endpoint": f"{self.base}/token",
                }
            case "/token":
                self.asked.append(headers[b"authorization"].decode())
                given = {"access_token": "machine", "token_type": "Bearer", "expires_in": 60}
            case _ if headers.get(b"authorization") == b"Bearer machine":
                await self._app(scope, receive, send)
                return
            case _:
                await send({"type": "http.response.start", "status": 401, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
        kind = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        await send({"type": "http.response.body", "body": json.dumps(given).encode()})


async def test_client_credentials_need_nobody_and_go_to_their_issuer_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROBOT_SECRET", "hush")
    app = Machine(build().streamable_http_app())
    async with Served(app) as served:
        app.base = served.url.removesuffix("/mcp")
        oauth = {
            "grant": "client_credentials",
            "client_id": "robot",
            "client_secret_env": "ROBOT_SECRET",
            "issuer": app.base,
        }
        config = ServerConfig.model_validate(
            {"approve_first": True, "name": "m", "url": served.url, "oauth": oauth}
        )
        async with closing(McpToolset(config, token_file=tmp_path / "m.json")) as toolset:
            assert (await toolset.call("echo", {"text": "in"}, CONTEXT)).text == "in"
        basic = base64.b64encode(b"robot:hush").decode()
        assert app.asked == [f"Basic {basic}"]

        strange = oauth | {"issuer": "https://another.example"}
        config = ServerConfig.model_validate(
            {"approve_first": True, "name": "m", "url": served.url, "oauth": strange}
        )
        async with closing(McpToolset(config, token_file=tmp_path / "n.json")) as toolset:
            with pytest.raises(ToolFailure, match="issuer"):
                await toolset.list()
        assert len(app.asked) == 1
