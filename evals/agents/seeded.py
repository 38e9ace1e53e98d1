"""A model that samples, each question with a seed that follows from the run's."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from rostra.core import ChatEvent, ChatMessage, ChatModel, GenerationOptions


class Seeded:
    """Passes everything on to a model, with a temperature and a seed.

    A question's seed depends on the run's seed and on the question alone, so that a run that asks
    several at once samples the same whenever it is done.

    Args:
        temperature: above 0.
        seed: of the run.
    """

    def __init__(self, model: ChatModel, temperature: float, seed: int) -> None:
        self._model = model
        self._temperature = temperature
        self._seed = seed

    @property
    def name(self) -> str:
        """The model's."""
        return self._model.name

    def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncIterator[ChatEvent]:
        """See `ChatModel.stream`."""
        said = "\0".join(f"{message.role}\0{message.content}" for message in messages)
        digest = hashlib.sha256(f"{self._seed}\0{said}".encode("utf-8", "surrogatepass")).digest()
        seed = int.from_bytes(digest[:4], "big") >> 1
        asked = replace(options, temperature=self._temperature, seed=seed)
        return self._model.stream(messages, asked)
