"""Logging in at an MCP server (MCP 2026-07-28, Authorization: OAuth 2.1 with PKCE).

The library does the protocol; here is what it leaves to its user: a file that keeps the tokens, a
listener on the loopback interface for the browser's return (RFC 8252), and what both need to
survive a restart. What always holds: the file and its folder are the user's alone; tokens of one
URL are never sent to another; without a person at hand nothing begins that needs one.
"""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthFlowError
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthMetadata,
    OAuthToken,
    ProtectedResourceMetadata,
)
from pydantic import AnyUrl, ValidationError

from rostra.agents.mcp.config import OAuthConfig, ServerConfig
from rostra.core import get_logger

log = get_logger(__name__)

# Shows a person the address to open; the answer comes back by the listener.
Login = Callable[[str], Awaitable[None]]

# Seconds that a person has.
LOGIN_SECONDS = 300.0
_HEAD_SECONDS = 10.0
_MAX_HEAD = 16_384
_PATH = "/callback"
_DONE = "You are logged in. You can close this page and go back to the terminal."
_NOT_DONE = "The login failed; the terminal says why."


class TokenFile:
    """Tokens and registration of one server, in one file; the library's `TokenStorage`.

    Args:
        path: of the file; it and its folder are made when there is something to keep.
        url: of the server; a file of another URL counts as empty.
        preset: the client's registration, where it was made beforehand.
    """

    def __init__(
        self, path: Path, url: str, preset: OAuthClientInformationFull | None = None
    ) -> None:
        self._path = path
        self._url = url
        self._preset = preset
        self._data = self._read()
        self._provider: OAuthClientProvider | None = None

    @property
    def has_tokens(self) -> bool:
        """Whether there was a login."""
        return "tokens" in self._data

    @property
    def redirect_port(self) -> int | None:
        """The port that the client was registered with."""
        for uri in self._data.get("client", {}).get("redirect_uris") or ():
            return urlsplit(str(uri)).port
        return None

    def attach(self, provider: OAuthClientProvider) -> None:
        """Gives a provider what it does not ask for: when tokens expire and where to renew them."""
        self._provider = provider
        context = provider.context
        context.token_expiry_time = self._data.get("expires_at")
        try:
            if "issuer" in self._data:
                context.oauth_metadata = OAuthMetadata.model_validate(self._data["issuer"])
            if "resource" in self._data:
                context.protected_resource_metadata = ProtectedResourceMetadata.model_validate(
                    self._data["resource"]
                )
        except ValidationError:
            log.warning("token_file_ignored", path=str(self._path))

    async def get_tokens(self) -> OAuthToken | None:
        """The tokens kept."""
        kept = self._data.get("tokens")
        return OAuthToken.model_validate(kept) if kept else None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keeps tokens, and what is known of their issuer."""
        self._data["tokens"] = tokens.model_dump(mode="json", exclude_none=True)
        self._data.pop("expires_at", None)
        if tokens.expires_in is not None:
            self._data["expires_at"] = time.time() + tokens.expires_in
        context = self._provider.context if self._provider else None
        if context is not None and context.oauth_metadata is not None:
            self._data["issuer"] = context.oauth_metadata.model_dump(mode="json", exclude_none=True)
        if context is not None and context.protected_resource_metadata is not None:
            self._data["resource"] = context.protected_resource_metadata.model_dump(
                mode="json", exclude_none=True
            )
        self._write()

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """The client's registration."""
        kept = self._data.get("client")
        return self._preset or (OAuthClientInformationFull.model_validate(kept) if kept else None)

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keeps the client's registration."""
        self._data["client"] = client_info.model_dump(mode="json", exclude_none=True)
        self._write()

    def _read(self) -> dict[str, Any]:
        try:
            data = json.loads(self._path.read_text("utf-8"))
            if not isinstance(data, dict) or data.get("url") != self._url:
                return {}
            if data.get("tokens"):
                OAuthToken.model_validate(data["tokens"])
            if data.get("client"):
                OAuthClientInformationFull.model_validate(data["client"])
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):  # pydantic's errors are ValueErrors
            log.warning("token_file_ignored", path=str(self._path))
            return {}
        return data

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Made with mode 600, and renamed, so that the secrets are never readable by others.
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=".tokens-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({**self._data, "url": self._url}, file)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@asynccontextmanager
async def open_auth(
    config: ServerConfig, path: Path, login: Login | None
) -> AsyncGenerator[httpx2.Auth | None, None]:
    """How requests to the server are authenticated, while the block is open.

    None where the server has no OAuth, or where it would need a person and there is none: it then
    answers that it wants a login.

    Args:
        path: of the file with tokens.
        login: shows a person an address; None where nobody is there.

    Raises:
        ConfigError: the secret of the client is not to be had.
        OSError: the port for the browser's return is taken.
    """
    oauth, url = config.oauth, config.url
    if oauth is None or url is None:
        yield None
        return
    secret = config.client_secret()
    if oauth.grant == "client_credentials":
        tokens = TokenFile(path, url)
        granted = ClientCredentialsOAuthProvider(
            url, tokens, oauth.client_id or "", secret or "", scope=oauth.scope, issuer=oauth.issuer
        )
        tokens.attach(granted)
        yield granted
        return
    tokens = TokenFile(path, url)
    if login is None:
        if not tokens.has_tokens:
            yield None
            return
        port = tokens.redirect_port or oauth.redirect_port or 1
        yield _provider(config, oauth, path, secret, f"http://127.0.0.1:{port}{_PATH}", None, None)
        return
    async with _listener(oauth.redirect_port or tokens.redirect_port or 0) as listener:
        yield _provider(config, oauth, path, secret, listener.address, login, listener)


def _provider(
    config: ServerConfig,
    oauth: OAuthConfig,
    path: Path,
    secret: str | None,
    address: str,
    login: Login | None,
    listener: "_Listener | None",
) -> OAuthClientProvider:
    url = config.url or ""
    metadata = OAuthClientMetadata(
        redirect_uris=[AnyUrl(address)],
        client_name="Rostra",
        grant_types=["authorization_code", "refresh_token"],
        scope=oauth.scope,
    )
    preset = None
    if oauth.client_id:
        preset = OAuthClientInformationFull(
            client_id=oauth.client_id,
            client_secret=secret,
            redirect_uris=[AnyUrl(address)],
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
            issuer=oauth.issuer,
        )
    tokens = TokenFile(path, url, preset)

    async def nobody(_: str) -> None:
        raise OAuthFlowError("the login has expired and nobody is there to log in again")

    provider = OAuthClientProvider(
        url,
        metadata,
        tokens,
        redirect_handler=login or nobody,
        callback_handler=listener.result if listener else None,
        client_metadata_url=oauth.client_metadata_url,
    )
    tokens.attach(provider)
    return provider


class _Listener:
    """Waits on the loopback interface for the browser to come back."""

    def __init__(self) -> None:
        self._returned: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        self.address = ""

    async def result(self) -> AuthorizationCodeResult:
        """What the browser came back with.

        Raises:
            OAuthFlowError: the person or the server said no, or nobody came.
        """
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                given = await asyncio.shield(self._returned)
        except TimeoutError:
            raise OAuthFlowError(f"nobody logged in within {LOGIN_SECONDS:.0f} s") from None
        if "code" not in given:
            raise OAuthFlowError(given.get("error_description") or given.get("error") or "no code")
        return AuthorizationCodeResult(
            code=given["code"], state=given.get("state"), iss=given.get("iss")
        )

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one request of the browser."""
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                line = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
                parts = urlsplit(line[1] if len(line) == 3 else "")
                found = line[0] == "GET" and parts.path == _PATH
                given = {k: v[0] for k, v in parse_qs(parts.query).items()}
                text = (_DONE if "code" in given else _NOT_DONE) if found else "Not found."
                status = "200 OK" if found else "404 Not Found"
                writer.write(
                    f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n"
                    f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode()
                )
                await writer.drain()
                if found and not self._returned.done():
                    self._returned.set_result(given)
        except (TimeoutError, OSError, ValueError, asyncio.IncompleteReadError) as error:
            log.debug("no_browser", reason=str(error))
        except asyncio.LimitOverrunError:
            log.debug("no_browser", reason="its request is too long")
        finally:
            writer.close()


@asynccontextmanager
async def _listener(port: int) -> AsyncGenerator[_Listener, None]:
    listener = _Listener()
    server = await asyncio.start_server(listener.answer, "127.0.0.1", port, limit=_MAX_HEAD)
    listener.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{_PATH}"
    try:
        yield listener
    finally:
        server.close()
