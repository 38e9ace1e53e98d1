"""An answer as a whole, gathered from a model's stream.

What always holds: a stream that was begun is closed, whatever happens to its reader.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from rostra.core import (
    ChatEvent,
    ChatMessage,
    ChatModel,
    Delta,
    Finish,
    FinishReason,
    GenerationOptions,
    ToolCall,
)
from rostra.models.prices import Prices, estimate_text, estimate_tokens


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer as a whole.

    Attributes:
        usage: token counts, and `cost` where the model has prices; see `Finish.usage`. What the
            model does not count is estimated here, and `estimated` is 1.
        confidence: see `Finish`.
    """

    text: str
    calls: tuple[ToolCall, ...] = ()
    finish: FinishReason = FinishReason.STOP
    usage: Mapping[str, float] = field(default_factory=dict)
    confidence: float | None = None


async def complete(
    model: ChatModel,
    messages: Sequence[ChatMessage],
    options: GenerationOptions,
    *,
    heard: list[str] | None = None,
) -> Completion:
    """Asks a model and waits for the whole answer.

    Args:
        heard: takes the pieces of the answer as they come, for who may be broken off while waiting;
            see `usage_so_far`.

    Raises:
        RostraError: whatever `ChatModel.stream` raises.
        RuntimeError: the model's stream ended without saying so: a defect of ours.
    """
    parts: list[str] = []
    heard = [] if heard is None else heard
    calls: list[ToolCall] = []
    end: Finish | None = None
    async with closing(model.stream(messages, options)) as events:
        async for event in events:
            match event:
                case Delta(text):
                    parts.append(text)
                    heard.append(text)
                case ToolCall():
                    calls.append(event)
                    heard += (event.name, event.arguments)
                case Finish():
                    end = event
    if end is None:
        raise RuntimeError(f"the stream of {model.name} ended without a Finish")
    usage = counted(end.usage, model, messages, options, heard)
    return Completion("".join(parts), tuple(calls), end.reason, usage, end.confidence)


def usage_so_far(
    model: ChatModel,
    messages: Sequence[ChatMessage],
    options: GenerationOptions,
    heard: Sequence[str],
) -> Mapping[str, float]:
    """What a question has used whose answer broke off behind these pieces: an estimate.

    It has the prompt, which was sent, and what came of the answer; more may have been made.
    """
    return counted({}, model, messages, options, heard)


def counted(
    told: Mapping[str, float],
    model: ChatModel,
    messages: Sequence[ChatMessage],
    options: GenerationOptions,
    heard: Sequence[str],
) -> Mapping[str, float]:
    """Token counts as they were told, and estimates of those that were not."""
    if "prompt_tokens" in told and "completion_tokens" in told:
        return told
    usage: dict[str, float] = {
        "prompt_tokens": estimate_tokens(messages, options),
        "completion_tokens": estimate_text(sum(map(len, heard))),
        **told,
        "estimated": 1,
    }
    prices = getattr(model, "prices", None)
    if isinstance(prices, Prices) and "cost" not in usage:
        usage["cost"] = prices.cost(usage)
    return usage


def confident(least: float) -> Callable[[Completion], bool]:
    """Says yes to answers that are complete and as likely as this, `least` from 0 to 1.

    An answer of a model that does not tell how likely it found it is never good enough.
    """

    def accept(answer: Completion) -> bool:
        whole = answer.finish is not FinishReason.LENGTH
        return whole and answer.confidence is not None and answer.confidence >= least

    return accept


@asynccontextmanager
async def closing(
    events: AsyncIterator[ChatEvent],
) -> AsyncGenerator[AsyncIterator[ChatEvent], None]:
    """Closes a stream at the end, if it can be closed, which aborts its generation."""
    try:
        yield events
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()
