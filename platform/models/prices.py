"""What tokens cost, and how many there roughly are where nobody counts them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rostra.core import ChatMessage, ConfigError, GenerationOptions

# Of English text and JSON, by the tokenizers of common models; less for most other languages.
_CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Prices:
    """Of a million tokens, in any one currency.

    Attributes:
        cached: of prompt tokens that the endpoint had cached; None is as any other.

    Raises:
        ConfigError: one is negative.
    """

    prompt: float
    completion: float
    cached: float | None = None

    def __post_init__(self) -> None:
        if min(self.prompt, self.completion, self.cached or 0.0) < 0:
            raise ConfigError("prices of tokens must not be negative")

    def cost(self, usage: Mapping[str, float]) -> float:
        """Of a request with these token counts, by the names that `Finish.usage` has."""
        cached = usage.get("cached_tokens", 0)
        fresh = max(0, usage.get("prompt_tokens", 0) - cached)
        price = self.prompt if self.cached is None else self.cached
        completion = usage.get("completion_tokens", 0)
        return (fresh * self.prompt + cached * price + completion * self.completion) / 1e6


def estimate_tokens(messages: Sequence[ChatMessage], options: GenerationOptions) -> int:
    """Roughly how many tokens a prompt has: a quarter of its characters."""
    chars = sum(
        len(message.content) + sum(len(call.name) + len(call.arguments) for call in message.calls)
        for message in messages
    )
    chars += sum(
        len(tool.name) + len(tool.description) + len(json.dumps(tool.parameters))
        for tool in options.tools
    )
    return estimate_text(chars)


def estimate_text(chars: int) -> int:
    """Roughly how many tokens so many characters are."""
    return -(-chars // _CHARS_PER_TOKEN)
