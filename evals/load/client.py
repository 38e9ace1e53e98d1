"""Asks an OpenAI-compatible endpoint, once, and keeps when what came.

What always holds: a request is never sent again, since a retry would hide a failure; the key stands
in no record; a request ends, as an answer or a failure, at most `timeout` after it was due.
"""

import asyncio
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from evals.load.clock import Clock
from evals.load.plan import PlannedRequest
from evals.load.records import (
    BROKEN,
    GARBLED,
    NO_STREAM,
    TIMEOUT,
    UNREACHABLE,
    RequestRecord,
)
from evals.load.stream import AnswerTally, BadStream, EventReader, error_words
from rostra.core import ConfigError

_MAX_ERROR_BYTES = 64 * 1024
_SHEDS = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE})


class LoadClient:
    """A client of one model behind `POST {url}/chat/completions`; use it as a context.

    Args:
        url: usually ends in `/v1`.
        model: as the endpoint calls it.
        key: sent as bearer token; empty sends none.
        timeout: seconds from when a request is due to the end of its answer.
        ignore_eos: ask for exactly as many tokens as planned; not every endpoint takes this.
        direct: go past the proxies that the environment names, as to this machine itself.

    Raises:
        ConfigError: the address or the key cannot be one.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key: str = "",
        timeout: float,
        ignore_eos: bool = False,
        direct: bool = True,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"{url!r} is no http address", hint="For example http://host:8000/v1")
        if not (key.isascii() and key.isprintable()):
            raise ConfigError("the key of the endpoint has characters that no header can have")
        self.url = url.rstrip("/").removesuffix("/chat/completions") + "/chat/completions"
        self._model = model
        self._key = key
        self._timeout = timeout
        self._ignore_eos = ignore_eos
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
            # Compressed streams are held back until a block is full.
            "Accept-Encoding": "identity",
        }
        if key:
            headers["Authorization"] = f"Bearer {key}"
        try:
            # One deadline over all that a request does; a limit on connections would close the
            # loop. Kept for less than the 5 s after which common servers close a connection, lest
            # a request be sent while they do and count as their failure.
            self._http = httpx.AsyncClient(
                headers=headers,
                timeout=None,
                limits=httpx.Limits(
                    max_connections=None, max_keepalive_connections=None, keepalive_expiry=2.0
                ),
                trust_env=not direct,
            )
            self._address = httpx.URL(self.url)
        except (httpx.InvalidURL, ValueError) as error:
            raise ConfigError(f"{url!r} is no http address: {error}") from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def ask(self, request: PlannedRequest, clock: Clock) -> RequestRecord:
        """Sends a request and reads its answer; see `generator.Ask`."""
        sent = clock.now()
        tally = AnswerTally(request.max_tokens)
        failure: str | None = None
        words = ""
        try:
            async with asyncio.timeout(max(0.0, request.at + self._timeout - sent)):
                await self._exchange(request, tally, clock)
        except TimeoutError:
            failure, words = TIMEOUT, f"no whole answer within {self._timeout:g} s"
        except BadStream as error:
            failure, words = error.reason, error.words
        except (httpx.ConnectError, httpx.UnsupportedProtocol) as error:
            failure, words = UNREACHABLE, str(error) or type(error).__name__
        except httpx.TransportError as error:
            failure, words = BROKEN, str(error) or type(error).__name__
        except (httpx.HTTPError, httpx.StreamError) as error:
            failure, words = GARBLED, str(error) or type(error).__name__
        return RequestRecord(
            scheduled=request.at,
            sent=sent,
            ended=clock.now(),
            pieces=tally.pieces,
            prompt=tally.prompt(request.chars),
            output=tally.output(),
            cached_tokens=tally.cached_tokens,
            failure=failure,
            words=self._safe(words),
        )

    async def _exchange(self, request: PlannedRequest, tally: AnswerTally, clock: Clock) -> None:
        """One request and its answer.

        Raises:
            BadStream, httpx.HTTPError, httpx.StreamError: what came is no answer.
        """
        sending = self._http.build_request("POST", self._address, content=self._body(request))
        response = await self._http.send(sending, stream=True)
        try:
            if response.status_code != httpx.codes.OK:
                raise BadStream(_reason(response.status_code), await _told(response))
            kind = response.headers.get("content-type", "")
            if not kind.startswith("text/event-stream"):
                raise BadStream(NO_STREAM, f"the answer is {kind[:100] or 'of no type'}")
            reader = EventReader()
            async for piece in response.aiter_raw():
                at = clock.now()
                for data in reader.feed(piece):
                    if not tally.is_over:
                        tally.take(data, at)
            tally.end()
        finally:
            await response.aclose()

    def _body(self, request: PlannedRequest) -> bytes:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": list(request.messages),
            "max_tokens": request.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self._ignore_eos:
            body["ignore_eos"] = True
        return msgspec.json.encode(body)

    def _safe(self, words: str) -> str:
        """Without the key, which some endpoints repeat when they refuse it."""
        return words.replace(self._key, "***") if self._key else words


def _reason(status: int) -> str:
    return f"shed_{status}" if status in _SHEDS else f"http_{status}"


async def _told(response: httpx.Response) -> str:
    """The words of a refusal."""
    body = b""
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > _MAX_ERROR_BYTES:
            break
    return error_words(body[:_MAX_ERROR_BYTES])
