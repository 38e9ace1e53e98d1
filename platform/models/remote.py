"""Any OpenAI-compatible endpoint as a `ChatModel`.

What always holds: a request is sent again only while nothing of its answer was given out; leaving a
stream closes its connection; the key stands in no error and in no log; a constraint that the
endpoint has no way to keep is refused before anything is sent; of an endpoint that does not keep to
the token limit no more is read than so many tokens could be. Whether an endpoint that takes a
schema keeps to it is its word: who asked for JSON checks what came.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any

import httpx
import msgspec

from rostra.core import (
    ChatEvent,
    ChatMessage,
    ConfigError,
    Delta,
    GenerationOptions,
    RostraError,
    get_logger,
)
from rostra.models.address import endpoint, listed_models
from rostra.models.backoff import Backoff, retry_after
from rostra.models.breaker import Admitted, Breaker
from rostra.models.errors import RemoteOverloaded, RemoteRefused, RemoteUnavailable
from rostra.models.gather import MAX_ANSWER_CHARS, Garbled, Gathering, Withheld
from rostra.models.prices import Prices, estimate_tokens
from rostra.models.provider import provider_at
from rostra.models.sse import EventDecoder, EventTooLong
from rostra.models.wire import error_words, read_chunk, request_body, told_error

log = get_logger(__name__)

_CONNECT_SECONDS = 10.0
_MAX_CONNECTIONS = 200
_MAX_ERROR_BYTES = 64 * 1024
# Of an answer that comes at once: several times the most text, for its quotes and escapes.
_MAX_BODY_BYTES = 4 * MAX_ANSWER_CHARS
# Waited after an answer for its connection to become free for the next.
_DRAIN_SECONDS = 0.5
_DONE = b"[DONE]"
_AGAIN = frozenset({408, 409, 425, 429})  # and all of 500 and above but 501
_NO_QUOTA = "insufficient_quota"


class _Failure(Exception):
    """An attempt came to nothing.

    Args:
        error: as the caller hears of it.
        again: whether another attempt may fare better.
        outage: whether the endpoint is at fault, not the request.
        after: seconds that it asks to wait.
    """

    def __init__(
        self,
        error: RostraError,
        *,
        again: bool = True,
        outage: bool = True,
        after: float | None = None,
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.again = again
        self.outage = outage
        self.after = after


class OpenAIModel:
    """A model behind `POST {base_url}/chat/completions`.

    Args:
        base_url: usually ends in `/v1`.
        model: as the endpoint calls it.
        api_key: sent as bearer token.
        client: with its own headers, proxies and limits; it stays open. By default one is made at
            the first request, and `close` ends it.
        retries: attempts after the first.
        timeout: seconds without an event after which an attempt is given up; comments that keep a
            connection alive are no events.
        breaker: may be shared by models of one endpoint.
        prices: tell what answers cost, as `cost` in `Finish.usage`.
        backoff: how long to wait between attempts.
        limit_field: what the endpoint calls the most new tokens.
        structured_outputs: the endpoint takes vLLM's parameter of this name, as Rostra's own does,
            and so keeps patterns, lists and grammars.
        context: most tokens of prompt and answer together, as `max_context` tells them; None where
            nobody knows.
        logprobs: ask how likely the answer was; told as the `confidence` of its end.
        more: further fields of every request; None leaves a field out.

    Raises:
        ConfigError: the address or the key cannot be one.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        client: httpx.AsyncClient | None = None,
        retries: int = 3,
        timeout: float = 120.0,
        breaker: Breaker | None = None,
        prices: Prices | None = None,
        backoff: Backoff | None = None,
        limit_field: str = "max_tokens",
        structured_outputs: bool = False,
        logprobs: bool = False,
        context: int | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self._base = endpoint(base_url)
        self._url = f"{self._base}/chat/completions"
        self._host = self._url.split("/", 3)[2].rpartition("@")[2]
        if api_key and not (api_key.isascii() and api_key.isprintable()):
            raise ConfigError("the key of the chat endpoint has characters that no header can have")
        self._model = model
        self._key = api_key or ""
        self._given = client
        self._own: httpx.AsyncClient | None = None
        self._retries = retries
        self._timeout = timeout
        self._breaker = breaker or Breaker()
        self._backoff = backoff or Backoff()
        self.prices = prices
        self._limit_field = limit_field
        self._structured_outputs = structured_outputs
        self._logprobs = logprobs
        self._context = context
        self._more = dict(more or {})

    @property
    def name(self) -> str:
        """As the endpoint calls it."""
        return self._model

    @property
    def provider(self) -> str:
        """Who serves it, as traces name it; see `provider_at`."""
        return provider_at(self._host)

    async def max_context(self) -> int | None:
        """As it was given; endpoints have no common way to tell it."""
        return self._context

    async def is_listed(self) -> bool:
        """Whether the endpoint names this model among its own; nothing is generated.

        Raises:
            RemoteUnavailable: it cannot be reached, or lists no models.
        """
        seconds = min(self._timeout, _CONNECT_SECONDS)
        return self._model in await listed_models(self._client(), self._base, self._key, seconds)

    async def close(self) -> None:
        """Ends connections that this model made; the next request makes new ones."""
        own, self._own = self._own, None
        if own is not None:
            await own.aclose()

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncGenerator[ChatEvent, None]:
        """Generates an answer piece by piece; closing the iterator closes the connection.

        Raises:
            UnsupportedConstraint, InvalidRequest: nothing was sent.
            BreakerOpen: nothing was sent, the endpoint is left alone.
            RemoteOverloaded: before the first event.
            RemoteRefused: the endpoint finds the request wrong, or withholds its answer.
            RemoteUnavailable: it cannot be reached, failed, or broke off.
        """
        body = request_body(
            self._model,
            messages,
            options,
            limit_field=self._limit_field,
            structured_outputs=self._structured_outputs,
            logprobs=self._logprobs,
            more=self._more,
        )
        prompt_tokens = estimate_tokens(messages, options)
        failures = 0
        while True:
            admitted = self._breaker.admit(self._host)
            begun = False
            try:
                attempt = self._attempt(body, prompt_tokens, options.max_tokens)
                async with aclosing(attempt) as events:
                    async for event in events:
                        if not begun:
                            begun = True
                            admitted.answered()
                        yield event
                admitted.succeeded()
                return
            except _Failure as failure:
                failures += 1
                _report(failure, admitted)
                if begun:
                    raise _late(failure.error) from failure.__cause__
                wait = self._wait(failure, failures)
                if wait is None:
                    raise failure.error from failure.__cause__
            finally:
                admitted.left()
            await self._backoff.pause(wait)

    def _wait(self, failure: _Failure, failures: int) -> float | None:
        """Seconds until the next attempt; None: there is none."""
        if not failure.again or failures > self._retries or self._breaker.is_open:
            return None
        wait = self._backoff.wait(failures, failure.after)
        if wait is not None:
            log.info(
                "model endpoint is asked again",
                host=self._host,
                reason=failure.error.message,
                seconds=round(wait, 3),
            )
        return wait

    async def _attempt(
        self, body: bytes, prompt_tokens: int, max_tokens: int
    ) -> AsyncGenerator[ChatEvent, None]:
        """One request and its answer.

        Raises:
            _Failure: whatever goes wrong.
        """
        try:
            response = await self._send(body)
            try:
                if response.status_code != httpx.codes.OK:
                    raise await self._refused(response)
                kind = response.headers.get("content-type", "")
                pieces = response.aiter_bytes()
                if kind.startswith("text/event-stream"):
                    source = self._events(pieces)
                elif kind.startswith("application/json"):
                    source = self._at_once(pieces)
                else:
                    raise await self._no_stream(response, kind)
                gathering = Gathering(prompt_tokens, self.prices, max_tokens)
                async with aclosing(self._texts(source, gathering)) as texts:
                    async for text in texts:
                        yield Delta(text)
                for event in gathering.end():
                    yield event
                if not gathering.is_full:
                    await _drain(pieces)
            finally:
                # Where the answer has not ended, this closes its connection.
                await response.aclose()
        except TimeoutError as error:
            raise self._broken(f"sent nothing for {self._timeout:.0f} s") from error
        except httpx.TransportError as error:
            raise self._broken(f"cannot be asked: {_words(error)}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._broken(f"cannot be understood: {_words(error)}") from error
        except (Garbled, EventTooLong) as error:
            raise self._broken(f"sent what is no chat completion: {error}") from error
        except Withheld:
            refused = RemoteRefused(f"{self._host} withheld the answer by its content filter")
            raise _Failure(refused, again=False, outage=False) from None

    async def _send(self, body: bytes) -> httpx.Response:
        """Sends a request; gives its response as soon as the headers are there."""
        client = self._client()
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
            # Compressed streams are held back until a block is full.
            "Accept-Encoding": "identity",
        }
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = client.build_request("POST", self._url, content=body, headers=headers)
        async with asyncio.timeout(self._timeout):
            return await client.send(request, stream=True)

    def _client(self) -> httpx.AsyncClient:
        if self._given is not None:
            return self._given
        if self._own is None:
            self._own = httpx.AsyncClient(
                timeout=httpx.Timeout(self._timeout, connect=min(_CONNECT_SECONDS, self._timeout)),
                limits=httpx.Limits(max_connections=_MAX_CONNECTIONS),
            )
        return self._own

    async def _texts(
        self, source: AsyncGenerator[bytes, None], gathering: Gathering
    ) -> AsyncGenerator[str, None]:
        """The answer's text as it comes; the rest of it is gathered."""
        async with aclosing(source) as events:
            async for data in events:
                if data.strip() == _DONE:
                    if gathering.is_empty and not gathering.has_ended:
                        raise self._broken("ended its answer without a word")
                    return
                try:
                    chunk = read_chunk(data)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                    raise Garbled(str(error)) from None
                if chunk.error is not None:
                    raise self._failed_within(chunk.error)
                if text := gathering.take(chunk):
                    yield text
                if gathering.is_full:
                    log.info("model endpoint gives more than it was asked for", host=self._host)
                    return
        if not gathering.has_ended:
            raise self._broken("broke off within its answer")

    async def _events(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """The data of the events in a body."""
        decoder = EventDecoder()
        loop = asyncio.get_running_loop()
        while True:
            found: list[bytes] = []
            deadline = loop.time() + self._timeout
            while not found:
                async with asyncio.timeout_at(deadline):
                    piece = await anext(pieces, None)
                if piece is None:
                    return
                found = decoder.feed(piece)
            for data in found:
                yield data

    async def _at_once(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """The same of an endpoint that does not stream, which was asked to: one whole answer."""
        body = bytearray()
        async with asyncio.timeout(self._timeout):
            async for piece in pieces:
                body += piece
                if len(body) > _MAX_BODY_BYTES:
                    raise EventTooLong(f"an answer of more than {_MAX_BODY_BYTES} bytes")
        yield bytes(body)
        yield _DONE

    # --- What went wrong ---

    def _broken(self, what: str) -> _Failure:
        return _Failure(RemoteUnavailable(self._safe(f"{self._host} {what}")))

    async def _refused(self, response: httpx.Response) -> _Failure:
        """What a response of another status than 200 means."""
        status = response.status_code
        words, code = told_error(await self._some(response))
        again = (status in _AGAIN or status >= 500) and status != 501 and code != _NO_QUOTA
        return _Failure(
            self._error(status, words, code),
            again=again,
            outage=status >= 500,
            after=retry_after(response.headers),
        )

    async def _no_stream(self, response: httpx.Response, kind: str) -> _Failure:
        words, _ = told_error(await self._some(response))
        told = f"answered with {kind[:100] or 'no content type'} in place of a stream: {words}"
        failure = self._broken(told)
        return _Failure(failure.error, again=False)

    def _failed_within(self, error: object) -> _Failure:
        """What an error event within a stream means; some carry the status as their code."""
        words, code = error_words(error)
        status = int(code) if code.isdecimal() and 400 <= int(code) <= 599 else 500
        again = status in _AGAIN or status >= 500
        return _Failure(self._error(status, words, code), again=again, outage=status >= 500)

    def _error(self, status: int, words: str, code: str) -> RostraError:
        message = self._safe(f"{self._host} answers {status}: {words or 'without a word'}")
        facts: dict[str, Any] = {"remote_status": status}
        if code:
            facts["remote_code"] = self._safe(code)
        hint: str | None = None
        match status:
            case 429 | 503 | 529 if code != _NO_QUOTA:
                return RemoteOverloaded(message, hint="Try again later.", **facts)
            case 401 | 403:
                hint = "Check the endpoint's key and what it is allowed to."
            case 404 | 405:
                hint = "Check the endpoint's address, which usually ends in /v1, and the model."
            case _ if 300 <= status < 400:
                hint = "Redirects are not followed; give the address that it points to."
            case _ if 400 <= status < 500 and status not in _AGAIN:
                return RemoteRefused(message, **facts)
        return RemoteUnavailable(message, hint=hint, **facts)

    async def _some(self, response: httpx.Response) -> bytes:
        """The beginning of a body."""
        body = b""
        async with asyncio.timeout(self._timeout):
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) >= _MAX_ERROR_BYTES:
                    break
        return body[:_MAX_ERROR_BYTES]

    def _safe(self, text: str) -> str:
        """Without the key, which some endpoints repeat."""
        return text.replace(self._key, "***") if self._key else text


async def _drain(pieces: AsyncIterator[bytes]) -> None:
    """Reads what follows an answer, if it comes at once: then the connection can be used again."""
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while await anext(pieces, None) is not None:
                pass


def _late(error: RostraError) -> RostraError:
    """An error as it is raised once a part of the answer was given out."""
    if isinstance(error, RemoteOverloaded):
        return RemoteUnavailable(error.message, hint=error.hint, **error.details)
    return error


def _report(failure: _Failure, admitted: Admitted) -> None:
    if failure.outage:
        admitted.failed()
    else:
        admitted.succeeded()


def _words(error: Exception) -> str:
    """Some of httpx's errors have no message."""
    return str(error) or type(error).__name__
