"""Addresses of OpenAI-compatible endpoints, and what can be asked of one beside answers."""

import asyncio

import httpx
import msgspec

from rostra.core import ConfigError
from rostra.models.errors import RemoteUnavailable

_MOST_BYTES = 4 * 1024 * 1024


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


def endpoint(base_url: str) -> str:
    """The address without a slash at its end.

    Raises:
        ConfigError: it cannot be one.
    """
    try:
        url = httpx.URL(base_url.strip())
    except httpx.InvalidURL as error:
        raise ConfigError(f"the address of the chat endpoint is none: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(
            "the address of the chat endpoint must begin with http:// or https:// and a host",
            hint="It usually ends in /v1.",
        )
    return str(url).rstrip("/")


async def listed_models(
    client: httpx.AsyncClient, base_url: str, key: str, seconds: float
) -> tuple[str, ...]:
    """Names of the models that an endpoint lists (`GET {base_url}/models`).

    Args:
        base_url: of `endpoint`.
        key: bearer token; empty sends none.
        seconds: until it is given up.

    Raises:
        RemoteUnavailable: it cannot be reached, or lists none.
    """
    host = base_url.split("/", 3)[2].rpartition("@")[2]
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    body = b""
    try:
        async with (
            asyncio.timeout(seconds),
            client.stream("GET", f"{base_url}/models", headers=headers) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise RemoteUnavailable(
                    f"{host} answers {response.status_code} when asked for its models",
                    remote_status=response.status_code,
                )
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > _MOST_BYTES:
                    break
        return tuple(one.id for one in msgspec.json.decode(body, type=_Models).data)
    except TimeoutError:
        raise RemoteUnavailable(f"{host} does not answer within {seconds:g} s") from None
    except httpx.HTTPError as error:
        words = str(error) or type(error).__name__
        raise RemoteUnavailable(f"{host} cannot be asked: {words}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise RemoteUnavailable(f"{host} answers with what is no list of models") from None
