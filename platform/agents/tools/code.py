"""Python as a tool: code that a model writes computes, and calls the run's other tools.

The sandbox that it runs in is handed in by who has one; here is what it must be, and what a model
is told. What always holds: where there is no sandbox nothing is run; the code calls nothing but
tools that read and need no approval; what they give it stays with it, and of what it prints no more
reaches the model than of any other result.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from rostra.agents.events import Effect
from rostra.agents.tools.tool import CallContext, StaticToolset, ToolFailure, ToolInfo, ToolResult
from rostra.core import RostraError

RUN_PYTHON = "run_python"
_CODE_CHARS = 20_000

CallFromCode = Callable[[str, dict[str, Any]], Awaitable[Any]]
"""Gives a JSON value, or raises `CodeRefused`."""


class CodeRefused(Exception):
    """A call that code makes is refused, or failed; the code reads why and can go on."""


@dataclass(frozen=True, slots=True)
class CodeRun:
    """What came of code.

    Attributes:
        stdout: bounded, as all texts here.
        value: `repr` of the last line's value, where that is an expression.
        error: what ended it, for a model to read: a traceback, or a limit.
    """

    stdout: str = ""
    stderr: str = ""
    value: str | None = None
    error: str | None = None


class CodeRunner(Protocol):
    """A sandbox."""

    @property
    def limits(self) -> str:
        """What code in it has and has not, in words for a model."""
        ...

    async def unavailable(self) -> str | None:
        """Why nothing can be run on this machine; None where it can."""
        ...

    async def run(self, code: str, call_tool: CallFromCode | None) -> CodeRun:
        """Runs code, which calls tools as `tools.call(name, **arguments)`.

        Raises:
            RostraError: nothing was run.
        """
        ...


def code_toolset(runner: CodeRunner) -> StaticToolset:
    """The tool `run_python`.

    Its effect is READ: the sandbox gives code no network, no files but its own and nothing that
    outlives it, and the tools that it may call only read.
    """
    schema = {
        "type": "object",
        "properties": {
            "code": {
                "type": "string",
                "description": "A script; print what you want to know, or end with an expression.",
                "minLength": 1,
                "maxLength": _CODE_CHARS,
            }
        },
        "required": ["code"],
        "additionalProperties": False,
    }
    info = ToolInfo(RUN_PYTHON, f"{_ABOUT} {runner.limits}\n\n{_CALLS}", schema, Effect.READ)

    async def run(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        call = None if context.call_tool is None else _bridge(context.call_tool)
        try:
            return _told(await runner.run(arguments["code"], call))
        except RostraError as error:
            raise ToolFailure(error.message, began=False) from error

    return StaticToolset(((info, run),))


_ABOUT = "Run Python in a sandbox and give what it printed and the value of its last line."
_CALLS = inspect.cleandoc(
    """
    Code calls other tools that only read, such as search, with `tools.call(name, **arguments)`. It
    gives a value where the tool has one, else text; `tools.ToolError` says why a call failed. What
    is not printed is not shown to you, so large results can be worked on here.
    """
)


def _bridge(call_tool: Callable[[str, dict[str, Any]], Awaitable[ToolResult]]) -> CallFromCode:
    """Results as code takes them: the value where there is one, else the text."""

    async def call(name: str, arguments: dict[str, Any]) -> Any:
        try:
            result = await call_tool(name, arguments)
        except ToolFailure as failure:
            raise CodeRefused(str(failure)) from failure
        if result.is_error:
            raise CodeRefused(result.text)
        return result.text if result.structured is None else result.structured

    return call


def _told(ran: CodeRun) -> ToolResult:
    """What a model reads of it; the last words of an error say most, so they stand last."""
    parts = [ran.stdout.rstrip()]
    if ran.stderr.strip():
        parts.append(f"stderr:\n{ran.stderr.rstrip()}")
    if ran.value is not None:
        parts.append(ran.value)
    if ran.error is not None:
        parts.append(ran.error)
    text = "\n".join(part for part in parts if part)
    return ToolResult(text or "It printed nothing.", is_error=ran.error is not None)
