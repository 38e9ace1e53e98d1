"""The decoder as this surface sees it: what its prompts are made with and how its texts are read.

What always holds: a model that is not served is not found, and without any model the answer says
how to set one; nothing is asked of an engine that is still loading but to wait for it.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from rostra.api.openai.errors import ModelNotFound, NoModel
from rostra.api.openai.fields import DEFAULT_MODEL
from rostra.core import JsonSchema
from rostra.serving import Output, SamplingParams, ToolFormat, reasons, tool_format_of

if TYPE_CHECKING:
    from rostra.serving import AsyncEngine


class ChatTokenizer(Protocol):
    """What is needed of the model's tokenizer."""

    @property
    def chat_template(self) -> str: ...

    def encode(self, text: str) -> list[int]: ...

    def decode(self, token_ids: Sequence[int]) -> str: ...

    def apply_chat(
        self,
        messages: Sequence[dict[str, Any]],
        tools: Sequence[dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> list[int]: ...

    def token_bytes(self, token: int) -> bytes: ...

    def token_text(self, token: int) -> str: ...

    def token_id(self, token: str) -> int | None: ...


class Generator(Protocol):
    """What is needed of the engine."""

    def generate(
        self,
        prompt: list[int],
        sampling: SamplingParams,
        *,
        n: int = 1,
        namespace: str = "",
        tenant: str = "",
        priority: int = 0,
        request_id: str | None = None,
    ) -> AsyncGenerator[Output, None]: ...

    async def violations(self, schema: JsonSchema, text: str) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A loaded decoder.

    Attributes:
        name: its own, which answers are told to be from.
        max_context: most tokens of prompt and output together.
        tool_format: how it writes calls of tools.
        reasons: whether it may think before it answers.
    """

    name: str
    engine: Generator
    tokenizer: ChatTokenizer
    max_context: int
    tool_format: ToolFormat
    reasons: bool


async def served_model(
    engine: "AsyncEngine | None", wanted: str, tool_format: ToolFormat | None
) -> ServedModel:
    """The decoder by its name, waited for while it loads.

    Args:
        engine: the platform's AsyncEngine; None when no model is set.
        wanted: `default`, or the model's own name.
        tool_format: overrides what the chat template suggests.

    Raises:
        NoModel: none is set.
        ModelNotFound: it has another name.
        ModelUnavailable: it cannot be loaded.
    """
    engine = check_model(engine, wanted)
    await engine.ready()
    if engine.info is None:
        raise NoModel(f"{engine.name} is not loaded")
    tokenizer = engine.front.tokenizer
    template = tokenizer.chat_template

    def knows(token: str) -> bool:
        return tokenizer.token_id(token) is not None

    return ServedModel(
        name=engine.name,
        engine=engine,
        tokenizer=tokenizer,
        max_context=engine.info.max_context,
        tool_format=tool_format or tool_format_of(template, knows),
        reasons=reasons(template, knows),
    )


def check_model(engine: "AsyncEngine | None", wanted: str) -> "AsyncEngine":
    """The engine, by the model's name only.

    Raises:
        NoModel: none is set.
        ModelNotFound: it has another name.
    """
    if engine is None:
        raise NoModel(
            "no model is configured",
            hint="Set ROSTRA_MODEL to a checkpoint's folder or a hub id and start again.",
        )
    if wanted not in (DEFAULT_MODEL, engine.name):
        raise ModelNotFound(
            f"there is no model {wanted[:200]!r}",
            hint=f"This server has {engine.name!r}, also called {DEFAULT_MODEL!r}.",
            field="model",
        )
    return engine
