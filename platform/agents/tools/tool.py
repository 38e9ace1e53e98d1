"""What a tool is to an agent, whoever serves it: a name, a schema, an effect, and a call.

What always holds: a call returns a result or raises a `ToolFailure`, whose text a model may read;
anything else that escapes is our mistake. A name is one tool of one toolset, namespaced as
`server__tool` where it comes from a server.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rostra.agents.events import Budget, DocumentSpan, Effect, Origin, Spent
from rostra.core import ToolSpec

NAME_PATTERN = r"[A-Za-z0-9_-]{1,64}"


@dataclass(frozen=True, slots=True)
class ToolInfo:
    """A tool as agents, people and logs see it.

    Attributes:
        name: matches `NAME_PATTERN`.
        description: for the model; data of whoever serves the tool.
        parameters: JSON schema of an object.
        effect: what a call may do.
        source: name of the server, or `local`.
        outbound: whether a call shows its arguments to others than the user and who serves the
            tool, as a fetch from the web does; so what only reads can still give things away.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    effect: Effect = Effect.UNKNOWN
    source: str = "local"
    outbound: bool = False

    @property
    def spec(self) -> ToolSpec:
        """As a model is told of it."""
        return ToolSpec(self.name, self.description, self.parameters)

    @property
    def digest(self) -> str:
        """sha256 of name, description and schema; another one is another tool."""
        told = json.dumps(
            [self.name, self.description, self.parameters], sort_keys=True, ensure_ascii=False
        )
        return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call gave.

    Attributes:
        text: for the model, of any length; who shows it bounds it.
        origin: DOCUMENT where the text is of stored documents, else TOOL.
        documents: which parts of the text are verbatim parts of stored documents.
        structured: JSON value, for code that calls tools; None where there is none.
        is_error: the tool says that it failed.
        size: bytes of the whole, where `text` is a part or a description of it.
        spent: of what the call was lent; see `CallContext.lent`.
        citable: whether its sentences may back what an answer says, where they are of the tool.
    """

    text: str
    origin: Origin = Origin.TOOL
    documents: tuple[DocumentSpan, ...] = ()
    structured: Any = None
    is_error: bool = False
    size: int | None = None
    spent: Spent | None = None
    citable: bool = True


class ToolFailure(Exception):
    """A call failed in a way that the model can act on; the message is what it reads.

    Args:
        began: whether the call may have had its effect; False when it surely never began.
    """

    def __init__(self, message: str, *, began: bool = True) -> None:
        super().__init__(message)
        self.began = began


@dataclass(frozen=True, slots=True)
class CallContext:
    """What a tool may know of the run that calls it.

    Attributes:
        run: the run's id.
        call: the call's id, the same at each attempt; a server may use it as idempotency key.
        timeout: seconds until the call is given up.
        progress: told in words what goes on, as often as the tool likes.
        user: for whom the run works.
        sources: untrusted sources that influenced the arguments.
        lent: what a run that the tool begins may use, already taken from what this one has left.
        call_tool: calls another tool of the run, one that reads and needs no approval; it raises
            `ToolFailure` for any other. None where code has nothing to call.
    """

    run: str
    call: str
    timeout: float = 60.0
    progress: Callable[[str], Awaitable[None]] | None = None
    user: str = ""
    sources: tuple[str, ...] = ()
    lent: Budget | None = None
    call_tool: Callable[[str, dict[str, Any]], Awaitable[ToolResult]] | None = None


class Toolset(Protocol):
    """Tools of one source."""

    async def list(self) -> Sequence[ToolInfo]:
        """All of them, in a stable order.

        Raises:
            ToolFailure: the source cannot be reached; its tools are left out.
        """
        ...

    async def call(self, name: str, arguments: dict[str, Any], context: CallContext) -> ToolResult:
        """Calls a tool with arguments that match its schema.

        Raises:
            ToolFailure: it failed, has gone, or took too long.
        """
        ...

    async def close(self) -> None:
        """Ends connections."""
        ...


@dataclass(frozen=True, slots=True)
class StaticToolset:
    """Tools made in this process.

    Attributes:
        tools: what each is, and the coroutine function that takes its arguments and the context.
    """

    tools: tuple[
        tuple[ToolInfo, Callable[[dict[str, Any], CallContext], Awaitable[ToolResult]]], ...
    ] = field(default=())

    async def list(self) -> Sequence[ToolInfo]:
        """See `Toolset.list`."""
        return [info for info, _ in self.tools]

    async def call(self, name: str, arguments: dict[str, Any], context: CallContext) -> ToolResult:
        """See `Toolset.call`."""
        for info, function in self.tools:
            if info.name == name:
                return await function(arguments, context)
        raise ToolFailure(f"there is no tool {name!r}", began=False)

    async def close(self) -> None:
        """Nothing is open."""
