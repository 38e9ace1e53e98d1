"""The agents that settings name, to which runs can hand tasks.

What always holds: an agent has the tools that its settings name and no others, and nothing approved
beforehand; what is wrong with its settings is said before any run begins; an agent does not hand a
task to itself, and the last one that a task may be handed to hands on nothing.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any
from uuid import UUID

import msgspec

from rostra.agents import (
    STRATEGIES,
    Agents,
    Budget,
    CallContext,
    Effect,
    Handed,
    HandedBack,
    RunRequest,
    ToolInfo,
    Toolset,
    hand_over,
    handoff_toolset,
    make_strategy,
)
from rostra.core import ConfigError, RostraError, Settings
from rostra.store import Database

_PREFIX = "agent"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_MOST = 50


class AgentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An agent as `agents.NAME` in the settings has it.

    Attributes:
        description: what it is good at, for the model that hands over.
        tools: names, servers or patterns of what it may use.
        share: the part of what is left of the other run's budget that it may use.
    """

    description: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    tools: Annotated[list[str], msgspec.Meta(min_length=1, max_length=100)]
    strategy: str = "react"
    options: dict[str, Any] = {}
    share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5


def load_agents(settings: Settings) -> dict[str, AgentConfig]:
    """The agents of the settings.

    Raises:
        ConfigError: one of them cannot work; the message says which and why.
    """
    if len(settings.agents) > _MOST:
        raise ConfigError(f"agents: {len(settings.agents)} are set, {_MOST} are allowed")
    agents: dict[str, AgentConfig] = {}
    for name, given in settings.agents.items():
        place = f"agents.{name}"
        if not _NAME.fullmatch(name) or "__" in name:
            raise ConfigError(
                f"{place}: a name has small letters, digits, - and single _, 40 at most"
            )
        try:
            agents[name] = msgspec.convert(given, AgentConfig)
            make_strategy(agents[name].strategy, agents[name].options)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{place}: {error}") from None
        except RostraError as error:
            raise ConfigError(
                f"{place}: {error.message}", hint=f"Strategies: {', '.join(STRATEGIES)}."
            ) from None
    return agents


def tool_name(agent: str) -> str:
    """The tool that hands a task to an agent."""
    return f"{_PREFIX}__{agent}"


def offered(
    agents: Mapping[str, AgentConfig],
    patterns: Sequence[str] | None,
    handed: Handed | None,
    most_depth: int,
) -> dict[str, AgentConfig]:
    """The agents that a run may hand tasks to.

    Args:
        patterns: of the run's tools; None is all.
        handed: how the run itself was begun.
        most_depth: how many times a task may be handed on.
    """
    if (0 if handed is None else handed.depth) >= most_depth:
        return {}
    return {
        name: agent
        for name, agent in agents.items()
        if (handed is None or name != handed.agent)
        and (patterns is None or any(matches(one, tool_name(name)) for one in patterns))
    }


def effect_of(
    name: str,
    agents: Mapping[str, AgentConfig],
    tools: Sequence[ToolInfo],
    missing: Sequence[str],
    handed: Handed,
    most_depth: int,
) -> Effect | None:
    """What an agent can do: READ if all its tools only read; None if it has none.

    Args:
        tools: all that there are, of all servers.
        missing: servers whose tools are not known now.
        handed: how its run would be begun.
    """
    patterns = agents[name].tools
    own = [info.effect for info in tools if any(matches(one, info.name) for one in patterns)]
    for other in offered(agents, patterns, handed, most_depth):
        further = Handed(other, handed.depth + 1)
        if effect := effect_of(other, agents, tools, missing, further, most_depth):
            own.append(effect)
    if any(may_name(one, server) for one in patterns for server in missing):
        own.append(Effect.UNKNOWN)
    if not own:
        return None
    return Effect.READ if all(effect is Effect.READ for effect in own) else Effect.UNKNOWN


def handoff_tool(
    name: str,
    agent: AgentConfig,
    effect: Effect,
    depth: int,
    agents: Callable[[], Agents],
    database: Database,
) -> Toolset:
    """The tool that hands tasks to an agent.

    Args:
        depth: of the agent's runs.
        agents: all runs, where the agent's are begun.
    """

    async def run_agent(task: str, context: CallContext) -> HandedBack:
        request = RunRequest(
            task=task,
            strategy=agent.strategy,
            tools=agent.tools,
            budget=context.lent or Budget(steps=0),
            options=agent.options,
            user=context.user,
            sources=list(context.sources),
            handed=Handed(name, depth, context.call),
        )
        return await hand_over(agents(), database, UUID(context.run), request)

    return handoff_toolset(tool_name(name), agent.description, run_agent, effect=effect)


def matches(pattern: str, name: str) -> bool:
    """`server`, `server__tool`, or either with wildcards."""
    return fnmatchcase(name, pattern) or fnmatchcase(name.split("__")[0], pattern)


def may_name(pattern: str, server: str) -> bool:
    """Whether a pattern can fit a tool of a server."""
    return fnmatchcase(server, pattern.split("__")[0])
