"""The Python server's one tool.

What always holds: code runs in the sandbox or not at all; what it does wrong is a result, for the
model to read and mend, and only what keeps it from running is a tool error.
"""

import inspect
from typing import Annotated

from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field

from mcp_servers.python.sandbox import CallTool, Ending, Limits, Sandbox
from mcp_servers.serving import make_server, offer

_INSTRUCTIONS = """\
Runs Python that computes: no network, no files but its own, nothing kept between calls. Print \
what you want to know, or end with an expression."""
# Without tools to call, code changes nothing anywhere; with them it may do whatever they do.
_ALONE = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
_CALLING = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=True)
_CALL_PARAGRAPH = (
    "Call tools in it with `tools.call(name, **arguments)`, which gives their result; what is not "
    "printed is not shown to you, so large results can be worked on here."
)


class Run(BaseModel):
    """What came of the code."""

    # No aliases: clients check results against schemas that would have the other name.
    model_config = ConfigDict(frozen=True, from_attributes=True)

    ending: Annotated[
        Ending, Field(description="done; raised an exception; its time was over; killed.")
    ]
    stdout: str
    stderr: str
    value: Annotated[str | None, Field(description="repr of the last line, if an expression.")]
    error: Annotated[str | None, Field(description="A traceback, or the limit that ended it.")]
    truncated: Annotated[bool, Field(description="Whether output was left out in the middle.")]


def build_server(sandbox: Sandbox | None = None, call_tool: CallTool | None = None) -> MCPServer:
    """The server, on no transport yet.

    Args:
        sandbox: where code runs; by default one with the usual limits.
        call_tool: what code can call other tools with; without it, it has none.
    """
    server = make_server("python", _INSTRUCTIONS)
    jail = sandbox or Sandbox()
    limits: Limits = jail.limits

    async def run_python(
        code: Annotated[
            str, Field(max_length=limits.code, description="A script; standard library only.")
        ],
        seconds: Annotated[
            float, Field(gt=0, le=limits.seconds, description="Longest time.")
        ] = limits.seconds,
    ) -> Run:
        return Run.model_validate(await jail.run(code, call_tool, seconds=seconds))

    run_python.__doc__ = _describe(limits, call_tool is not None)
    offer(server, run_python, _ALONE if call_tool is None else _CALLING)
    return server


def _describe(limits: Limits, calls: bool) -> str:
    told = f"""
        Run Python in a sandbox and give what it printed and the value of its last line.

        It has no network and no files but the empty working folder, starts no programs, keeps
        nothing for the next call, and has {limits.seconds:g} s and {limits.memory >> 20} MiB.
        Of each output {limits.output:,} characters are kept.
        """
    return inspect.cleandoc(told) + (f"\n\n{_CALL_PARAGRAPH}" if calls else "")
