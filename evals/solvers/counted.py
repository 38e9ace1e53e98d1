"""A model that counts what it is asked, for who does not see the questions."""

import time
from collections.abc import AsyncGenerator, Sequence

from evals.core.states import Usage, usage_of
from rostra.core import ChatEvent, ChatMessage, ChatModel, Delta, Finish, GenerationOptions
from rostra.models import usage_so_far


class CountedModel:
    """Passes everything on to a model.

    Attributes:
        steps: questions asked.
        usage: of those that were answered to the end.
        seconds: from question to end, of all.
    """

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self.steps = 0
        self.usage = Usage()
        self.seconds = 0.0

    @property
    def name(self) -> str:
        """The model's."""
        return self._model.name

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncGenerator[ChatEvent, None]:
        """As the model's."""
        self.steps += 1
        heard: list[str] = []
        began = time.perf_counter()
        events = self._model.stream(messages, options)
        try:
            async for event in events:
                self._count(event, heard, messages, options)
                yield event
        finally:
            self.seconds += time.perf_counter() - began
            if isinstance(events, AsyncGenerator):
                await events.aclose()

    def _count(
        self,
        event: ChatEvent,
        heard: list[str],
        messages: Sequence[ChatMessage],
        options: GenerationOptions,
    ) -> None:
        match event:
            case Delta(text):
                heard.append(text)
            case Finish(_, told) if "prompt_tokens" in told and "completion_tokens" in told:
                self.usage += usage_of(told)
            case Finish():
                self.usage += usage_of(usage_so_far(self._model, messages, options, heard))
            case _:
                pass
