"""A model that keeps a budget and counts what is used of it, however its answers end.

What always holds: no more tokens are asked for than the budget has left; what was used is told
after a failure and after being broken off too, then as an estimate.
"""

import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from rostra.core import ChatEvent, ChatMessage, ChatModel, Delta, Finish, GenerationOptions
from rostra.retrieval.queries.expansion import Nonsense, Spent

_CHARS_A_TOKEN = 4


class MeteredModel:
    """A `ChatModel` around another one.

    Args:
        model: asked.
        tokens: most that it may write, all answers together.

    Attributes:
        spent: so far.
    """

    def __init__(self, model: ChatModel, tokens: int) -> None:
        self._model = model
        self._tokens = tokens
        self.spent = Spent()

    @property
    def name(self) -> str:
        """The other one's."""
        return self._model.name

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncGenerator[ChatEvent, None]:
        """See `ChatModel.stream`.

        Raises:
            Nonsense: the budget is used up.
        """
        left = self._tokens - self.spent.completion_tokens
        if left < 1:
            raise Nonsense("no tokens are left")
        asked = sum(len(message.content) for message in messages)
        heard = 0
        told: Finish | None = None
        began = time.perf_counter()
        held = replace(options, max_tokens=min(options.max_tokens, left))
        stream = self._model.stream(messages, held)
        try:
            async for event in stream:
                if isinstance(event, Delta):
                    heard += len(event.text)
                elif isinstance(event, Finish):
                    told = event
                yield event
        finally:
            # Broken off, the generation ends now, not when the garbage is collected.
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()
            self._count(told, asked, heard, time.perf_counter() - began)

    def _count(self, told: Finish | None, asked: int, heard: int, seconds: float) -> None:
        usage = told.usage if told is not None else {}
        counted = "prompt_tokens" in usage and "completion_tokens" in usage
        before = self.spent
        self.spent = Spent(
            calls=before.calls + 1,
            prompt_tokens=before.prompt_tokens
            + int(usage.get("prompt_tokens", -(-asked // _CHARS_A_TOKEN))),
            completion_tokens=before.completion_tokens
            + int(usage.get("completion_tokens", -(-heard // _CHARS_A_TOKEN))),
            seconds=round(before.seconds + seconds, 4),
            cost=before.cost + float(usage.get("cost", 0.0)),
            estimated=before.estimated or not counted or bool(usage.get("estimated")),
        )
