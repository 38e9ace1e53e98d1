"""Outputs on their way to a reader who may be slower than the engine.

What always holds: what waits grows with a request's tokens and nothing else, so `max_tokens`
bounds it; a reader gets everything that came before the end, then the end or the error, once.
"""

import asyncio

import msgspec

from rostra.core import RostraError
from rostra.serving.engine.frontend import join_outputs
from rostra.serving.request import Output, Usage


class Mailbox:
    """The outputs of one request, joined while nobody takes them. For one reader."""

    def __init__(self) -> None:
        # By sequence, in order of the first that waits.
        self._waiting: dict[int, list[Output]] = {}
        self._news = asyncio.Event()
        self._usage: Usage | None = None
        self._last_index = 0
        self._error: RostraError | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the end is in; nothing more is taken."""
        return self._closed

    def put(self, output: Output) -> None:
        """Takes an output."""
        if self._closed:
            return
        self._waiting.setdefault(output.index, []).append(output)
        self._last_index = output.index
        self._news.set()

    def end(self, usage: Usage) -> None:
        """The request has ended well; later calls do nothing."""
        if not self._closed:
            self._closed, self._usage = True, usage
            self._news.set()

    def fail(self, error: RostraError) -> None:
        """The request has ended with an error; later calls do nothing."""
        if not self._closed:
            self._closed, self._error = True, error
            self._news.set()

    async def take(self) -> Output | None:
        """The next output; None after the last.

        Raises:
            RostraError: what the request failed with, after all outputs before it.
        """
        while not self._waiting and not self._closed:
            self._news.clear()
            await self._news.wait()
        if self._waiting:
            index = next(iter(self._waiting))
            output = join_outputs(self._waiting.pop(index))
            if self._waiting or self._usage is None:
                return output
            usage, self._usage = self._usage, None
            return msgspec.structs.replace(output, usage=usage)
        if self._error is not None:
            raise self._error
        if self._usage is None:
            return None
        usage, self._usage = self._usage, None
        return Output(index=self._last_index, text="", token_ids=[], usage=usage)
