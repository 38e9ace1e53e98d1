"""Prompts of MCP servers as tasks of runs.

What always holds: a prompt that becomes a task is its server's word, not the user's: what it leads
to counts as influenced by that server, so calls that change something are asked about. What a
server says is shown without its control characters.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rostra.agents import McpToolset, Origin, ToolFailure
from rostra.core import InvalidRequest, NotFound, RostraError, normalize_text
from rostra.runtime.runtime import Runtime


class McpServerNotFound(NotFound):
    """No MCP server of this name is configured."""

    code = "mcp_server_not_found"


class McpServerUnavailable(RostraError):
    """An MCP server cannot be reached, does not answer, or does not speak the protocol."""

    status = 503
    code = "mcp_server_unavailable"


@dataclass(frozen=True, slots=True)
class PromptedTask:
    """A prompt of a server, as the task of a run.

    Attributes:
        sources: what had influenced it; see `RunRequest.sources`.
    """

    text: str
    sources: list[str]


def mcp_servers_of(runtime: Runtime) -> dict[str, McpToolset]:
    """All servers that are set, by name."""
    return {
        name: toolset
        for name, toolset in sorted(runtime.workshop.servers().items())
        if isinstance(toolset, McpToolset)
    }


def mcp_server_of(runtime: Runtime, name: str) -> McpToolset:
    """The server of a name.

    Raises:
        McpServerNotFound: there is none.
    """
    found = mcp_servers_of(runtime)
    if name not in found:
        raise McpServerNotFound(
            f"there is no MCP server named {name!r}",
            hint=f"There are: {', '.join(found)}." if found else "None is set.",
        )
    return found[name]


async def prompt_messages(
    toolset: McpToolset, name: str, arguments: Mapping[str, str], *, in_words: bool = False
) -> tuple[tuple[str, str], ...]:
    """The messages of a prompt, as (role, text).

    Args:
        in_words: see `McpToolset.get_prompt`.

    Raises:
        InvalidRequest: the server refuses it.
        McpServerUnavailable: it does not answer.
    """
    try:
        return await toolset.get_prompt(name, dict(arguments), in_words=in_words)
    except ToolFailure as failure:
        raise refused_by(toolset, failure) from None


async def prompted_task(
    runtime: Runtime, server: str, name: str, arguments: Mapping[str, str]
) -> PromptedTask:
    """The task that a prompt is.

    Raises:
        InvalidRequest: the server refuses it, or it has no text.
        McpServerNotFound, McpServerUnavailable: there is no such server, or it does not answer.
    """
    toolset = mcp_server_of(runtime, server)
    messages = await prompt_messages(toolset, name, arguments, in_words=True)
    roles = {role for role, _ in messages}
    texts = [text if roles == {"user"} else f"{role}: {text}" for role, text in messages]
    text = normalize_text("\n\n".join(texts))
    return PromptedTask(text, [f"{Origin.TOOL}:{server}/{name}"])


def refused_by(toolset: McpToolset, failure: ToolFailure) -> RostraError:
    """What a server that answers has not is a wrong name; one that does not answer is away."""
    if toolset.protocol is None or isinstance(failure.__cause__, TimeoutError):
        return unavailable(toolset, str(failure))
    return InvalidRequest(without_controls(str(failure)))


def unavailable(toolset: McpToolset, why: str) -> McpServerUnavailable:
    """The error of a server that cannot be used, and what may help."""
    hint = f"rostra mcp list {toolset.name} --login" if toolset.needs_login else None
    return McpServerUnavailable(without_controls(why), hint=hint)


def without_controls(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
