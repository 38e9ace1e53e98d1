"""An answer put together from the chunks of an endpoint's stream.

What always holds: calls are given whole and in order, after all text; a call that the token limit
cut off is not given; text, calls and their arguments are bounded, and what comes beyond the bound
is left out, as if the token limit had cut it off.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from rostra.core import ChatEvent, Finish, FinishReason, ToolCall
from rostra.models.prices import Prices, estimate_text
from rostra.models.wire import CallPart, ChoicePart, Chunk, UsagePart

MAX_ANSWER_CHARS = 16 * 1024 * 1024
# Of a token, by far; and what any answer may have, since a few tokens may all be long ones.
_TOKEN_CHARS = 8
_LEAST_CHARS = 1024
MAX_CALLS = 128

_REASONS = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
}


class Garbled(ValueError):
    """The stream is not what chat completions are; the message says how."""


class Withheld(Exception):
    """The endpoint's filter kept the answer back."""


class Gathering:
    """One answer under way.

    Args:
        prompt_tokens: an estimate, told where the endpoint counts nothing.
        prices: of its tokens.
        max_tokens: that were asked for; an endpoint that gives many more is cut off.
    """

    def __init__(
        self, prompt_tokens: int, prices: Prices | None = None, max_tokens: int | None = None
    ) -> None:
        self._prompt_tokens = prompt_tokens
        self._prices = prices
        self._most = MAX_ANSWER_CHARS
        if max_tokens is not None:
            self._most = min(self._most, max(_LEAST_CHARS, _TOKEN_CHARS * max_tokens))
        self._full = False
        self._chars = 0
        self._calls: list[_Call] = []
        self._reason: str | None = None
        self._usage: UsagePart | None = None
        self._logprob = 0.0
        self._tokens = 0

    @property
    def has_ended(self) -> bool:
        """Whether the endpoint said why it stopped."""
        return self._reason is not None

    @property
    def is_full(self) -> bool:
        """Whether more has come than was asked for, so that the rest need not be read."""
        return self._full

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said so far."""
        return not self._chars and not self._calls

    def take(self, chunk: Chunk) -> str:
        """Takes a chunk; gives the text that it adds.

        Raises:
            Garbled: it does not go with what came before.
        """
        self._usage = chunk.usage or self._usage
        added = ""
        for choice in chunk.choices or ():
            if choice.index == 0 and not self._full:
                added += self._choice(choice)
        return added

    def end(self) -> list[ChatEvent]:
        """The calls and the end.

        Raises:
            Garbled: it ended with an error.
            Withheld: a filter kept the answer back.
        """
        if self._reason == "error":
            raise Garbled("an answer that ends with an error")
        if self._reason == "content_filter":
            raise Withheld
        reason = _REASONS.get(self._reason or "stop", FinishReason.STOP)
        calls = [call.whole(number) for number, call in enumerate(self._calls)]
        if reason is FinishReason.LENGTH:
            calls = [call for call in calls if _is_json(call.arguments)]
        elif calls:
            reason = FinishReason.TOOL_CALLS
        elif reason is FinishReason.TOOL_CALLS:
            reason = FinishReason.STOP
        confidence = math.exp(self._logprob / self._tokens) if self._tokens else None
        return [*calls, Finish(reason, self._counted(), confidence)]

    def _choice(self, choice: ChoicePart) -> str:
        self._reason = choice.finish_reason or self._reason
        for token in (choice.logprobs.content if choice.logprobs else None) or ():
            if token.logprob is not None and token.logprob <= 0:
                self._logprob += token.logprob
                self._tokens += 1
        said = choice.delta or choice.message
        if said is None:
            return ""
        for part in said.tool_calls or ():
            self._call(part)
        return self._taken(said.text)

    def _call(self, part: CallPart) -> None:
        function = part.function
        named = bool(function and function.name)
        call = next((one for one in reversed(self._calls) if one.index == part.index), None)
        if call is not None and named and part.id and call.id and part.id != call.id:
            call = None  # some endpoints number all calls 0
        if part.index is None:
            # Without numbers a name begins a call, and everything else goes on with the last one.
            call = None if named or not self._calls else self._calls[-1]
        if call is None:
            if not named:
                raise Garbled("a call of a tool begins without a name")
            if len(self._calls) == MAX_CALLS:
                raise Garbled(f"more than {MAX_CALLS} calls of tools")
            call = _Call(part.index)
            self._calls.append(call)
        call.id = call.id or part.id or ""
        if function is None:
            return
        call.name = call.name or function.name or ""
        arguments = function.arguments
        text = json.dumps(arguments) if isinstance(arguments, dict) else arguments or ""
        call.arguments.append(self._taken(text))

    def _taken(self, text: str) -> str:
        """As much of a text as there is room for."""
        taken = text[: self._most - self._chars]
        self._chars += len(taken)
        if len(taken) < len(text):
            self._full = True
            self._reason = "length"
        return taken

    def _counted(self) -> dict[str, Any]:
        """Token counts; `estimated` is 1 where they are only that."""
        told = self._usage
        usage: dict[str, Any] = {
            "prompt_tokens": _count(told.prompt_tokens if told else None, self._prompt_tokens),
            "completion_tokens": _count(
                told.completion_tokens if told else None, estimate_text(self._chars)
            ),
            "cached_tokens": 0,
        }
        if told and told.prompt_tokens_details:
            cached = _count(told.prompt_tokens_details.cached_tokens, 0)
            usage["cached_tokens"] = min(cached, usage["prompt_tokens"])
        if told is None or told.prompt_tokens is None or told.completion_tokens is None:
            usage["estimated"] = 1
        return priced(usage, self._prices)


def priced(usage: Mapping[str, Any], prices: Prices | None) -> dict[str, Any]:
    """Token counts with what they cost, where that is known."""
    return dict(usage) if prices is None else {**usage, "cost": prices.cost(usage)}


class _Call:
    """A call under way."""

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []

    def whole(self, number: int) -> ToolCall:
        """As far as it came; without arguments it has none, which is an empty object."""
        return ToolCall(
            self.id or f"call_{number}", self.name, "".join(self.arguments).strip() or "{}"
        )


def _count(told: int | None, else_: int) -> int:
    return else_ if told is None else max(0, told)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
