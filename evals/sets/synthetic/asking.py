"""A model asked for JSON of a schema, held to it where it can be."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from evals.core.states import Usage, usage_of
from rostra.core import ChatMessage, ChatModel, GenerationOptions, JsonSchema, RostraError
from rostra.models import UnsupportedConstraint, complete

_MOST_READ = 50_000  # characters of an answer that are looked at
_FENCE = re.compile(r"\s*```(?:json)?[ \t]*\n(.*?)\n\s*```\s*", re.DOTALL)


class ModelFailed(Exception):
    """A model gave no answer at all; `error` says why."""

    def __init__(self, error: RostraError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said: an object, or None for anything else."""

    value: dict[str, Any] | None
    usage: Usage


class Asker:
    """Asks one model, from many coroutines at once."""

    def __init__(self, model: ChatModel, *, temperature: float, max_tokens: int) -> None:
        self._model = model
        self._temperature = temperature
        self._max_tokens = max_tokens
        self._is_constrained = True

    @property
    def name(self) -> str:
        """The model's."""
        return self._model.name

    async def ask(self, messages: Sequence[ChatMessage], schema: dict[str, Any], seed: int) -> Said:
        """Asks for an object.

        Raises:
            ModelFailed: the model did.
        """
        while True:
            is_constrained = self._is_constrained
            constraint = JsonSchema(json.dumps(schema), strict=False) if is_constrained else None
            options = GenerationOptions(
                max_tokens=self._max_tokens,
                temperature=self._temperature,
                seed=seed,
                constraint=constraint,
            )
            try:
                said = await complete(self._model, messages, options)
            except UnsupportedConstraint:
                if not is_constrained:
                    raise  # it was not asked for
                # Nothing was sent. The prompt asks for the same form, and what comes is checked.
                self._is_constrained = False
                continue
            except RostraError as error:
                raise ModelFailed(error) from error
            return Said(_object(said.text[:_MOST_READ]), usage_of(said.usage))


def _object(text: str) -> dict[str, Any] | None:
    fenced = _FENCE.fullmatch(text)
    try:
        said = msgspec.json.decode(fenced[1] if fenced else text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return said if isinstance(said, dict) else None
