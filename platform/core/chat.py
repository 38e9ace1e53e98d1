"""What the platform asks of a generator: messages in, a stream of text and tool calls out.

What always holds: a tool call comes whole; a stream ends with exactly one `Finish`, or raises;
`Overloaded` is raised before the first event or not at all, so that the caller can still answer
another way.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from rostra.core.constraint import Constraint


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model is told of it.

    Attributes:
        name: letters, digits, `_` and `-`, at most 64.
        description: what it does and when to use it.
        parameters: JSON schema of its arguments, an object's.
    """

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model asks for in its own format.

    Attributes:
        id: names the call within its conversation.
        arguments: JSON text as the model wrote it; it may be no JSON at all.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a prompt.

    Attributes:
        calls: of an assistant's message, the calls that it made.
        call_id: of a tool's message, the call that it answers.
    """

    role: Role
    content: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """How to generate; what a model does not know it ignores.

    Attributes:
        max_tokens: most new tokens.
        temperature: 0 is greedy.
        seed: makes sampling repeatable.
        stop: strings that end the answer and are not part of it.
        constraint: what the answer is held to; a generator that cannot hold to it refuses.
        workspace: whose request it is; prompts are cached within one workspace only.
        tools: that the model may call in its own format; not together with a constraint.
    """

    max_tokens: int = 512
    temperature: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    constraint: Constraint | None = None
    workspace: str = ""
    tools: tuple[ToolSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of the answer."""

    text: str


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of the answer.

    Attributes:
        reason: why it ended.
        usage: token counts by name, as far as the model tells, and `cost` where it has a price.
        confidence: geometric mean of the probabilities of the answer's tokens, 0 to 1; None where
            the model tells none.
    """

    reason: FinishReason
    usage: Mapping[str, float] = field(default_factory=dict)
    confidence: float | None = None


ChatEvent = Delta | ToolCall | Finish


@runtime_checkable
class ChatModel(Protocol):
    """A generator: the in-house engine, a remote endpoint, or a script in tests."""

    @property
    def name(self) -> str: ...

    def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncIterator[ChatEvent]:
        """Generates an answer piece by piece; closing the iterator aborts the generation.

        Raises:
            Overloaded: before the first event, when the model sheds load.
            ModelUnavailable: when it cannot answer at all.
        """
        ...


@runtime_checkable
class KnowsContext(Protocol):
    """A model that knows how much it can read and write at once."""

    async def max_context(self) -> int | None:
        """Most tokens of prompt and answer together; None where that cannot be told.

        The same whenever it is asked, loaded or not: what is left out of prompts hangs on it.
        """
        ...
