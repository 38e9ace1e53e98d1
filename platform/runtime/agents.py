"""What agents of one platform are made of: its model, its documents, its MCP servers.

What always holds: connections to MCP servers are made when a run first needs them and are shared by
all runs; a server that a run may not use is not asked.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from math import inf
from typing import Any

from rostra.agents import (
    LIST_SECONDS,
    RUN_PYTHON,
    Agents,
    Budget,
    Catalog,
    CodeRunner,
    Effect,
    Handed,
    Limits,
    LongMemory,
    McpToolset,
    Means,
    NoTools,
    Parts,
    Policy,
    Retold,
    RunRequest,
    StoredPins,
    ToolInfo,
    Tools,
    Toolset,
    ToolVectors,
    Window,
    code_toolset,
    default_guard,
    load_servers,
    make_filters,
    make_strategy,
    memory_tools,
    prompts,
    searchable,
    servers_away,
    several_samples,
)
from rostra.answer import Answerer
from rostra.core import (
    ChatMessage,
    ChatModel,
    ConfigError,
    Embedder,
    GenerationOptions,
    InvalidRequest,
    ModelUnavailable,
    Settings,
)
from rostra.retrieval import Searcher
from rostra.runtime.arithmetic import CALCULATE, calculating
from rostra.runtime.handoffs import (
    effect_of,
    handoff_tool,
    load_agents,
    matches,
    may_name,
    offered,
    tool_name,
)
from rostra.runtime.reader import (
    READER_ANSWERS,
    READER_NAME,
    READER_STEPS,
    READER_TOKENS,
    Reader,
    searched,
)
from rostra.runtime.tools import document_tools
from rostra.store import Database

_CALCULATOR = "calculator"
# Servers that come with the platform; settings can replace them or switch them off.
_OWN_SERVERS: Mapping[str, Mapping[str, Any]] = {
    _CALCULATOR: {
        "command": sys.executable,
        "args": ["-m", "mcp_servers.calculator"],
        "trust": "annotations",
    }
}
# Of a result, in characters for each token of a small model's window: more than one has to fit.
_CHARS_A_TOKEN = 2


class Workshop:
    """Opens the parts of runs; see this module.

    Args:
        settings: of the process.
        database: open.
        searcher: over its documents.
        embedder: loads or gives the embedding model; may block.
        model: writes steps and answers; None refuses runs.
        code: where agents run Python; None where they do not.
        roles: models of roles other than the main one, for those that have their own.
        reader: writes steps where there is no `model`; None where it does not.
        quotes: finds the sentences that answer a reader's searches.

    Raises:
        ConfigError: an agent of the settings cannot work.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        searcher: Searcher,
        embedder: Callable[[], Embedder],
        model: ChatModel | None,
        code: CodeRunner | None = None,
        roles: Mapping[str, ChatModel] | None = None,
        reader: Reader | None = None,
        quotes: Answerer | None = None,
    ) -> None:
        self._settings = settings
        self._quotes = quotes
        self._reader = reader if model is None else None
        self._roles = dict(roles or {})
        self._code = code if settings.agent_python else None
        self._others = load_agents(settings)
        self._agents: Agents | None = None
        self._database = database
        self._searcher = searcher
        self._model = model or reader
        self._servers: dict[str, Toolset] = {}
        self._memory = LongMemory(database, embedder)
        self._tool_vectors = ToolVectors(embedder)

    def agents(self) -> Agents:
        """The runs of this platform; made once."""
        if self._agents is None:
            self._agents = Agents(
                self._database,
                self.open,
                check=self.check,
                model=self._model.name if self._model is not None else "",
                prompts=prompts,
                durable=self._settings.agent_durable,
                trace_content=self._settings.agent_trace_content,
                open_replay=self.open_replay,
            )
        return self._agents

    @property
    def budget(self) -> Budget:
        """The most that a run may use."""
        settings = self._settings
        return Budget(
            steps=settings.agent_steps,
            seconds=settings.agent_seconds,
            cost=settings.agent_cost,
            calls=settings.agent_calls,
        )

    def check(self, request: RunRequest) -> None:
        """Raises what is wrong with a request before it begins.

        Raises:
            UnknownStrategy, InvalidRequest: it can never be executed.
            ModelUnavailable: no model is set; the reader's files are damaged.
        """
        make_strategy(request.strategy, request.options, Means(steps=request.budget.steps))
        if self._model is None:
            raise _no_model()
        if self._reader is not None:
            self._reader.admit(request)
        for name in ("steps", "calls", "seconds", "cost"):
            most = getattr(self._settings, f"agent_{name}")
            asked = getattr(request.budget, name)
            if most is None:
                continue
            if asked is None or asked > most:
                raise InvalidRequest(
                    f"a budget of {asked or 'unlimited'} {name} is over the limit of {most}",
                    hint=f"ROSTRA_AGENT_{name.upper()} sets the limit.",
                    field=f"budget.{name}",
                )

    @asynccontextmanager
    async def open(self, request: RunRequest) -> AsyncIterator[Parts]:
        """The parts of a run.

        Raises:
            ModelUnavailable: no model is set.
            ConfigError: a server's configuration cannot work.
        """
        self.check(request)
        if self._model is None:
            raise RuntimeError("checked before")
        if self._reader is not None:
            request = self._reader.equip(request)
            # While tools are looked for, it loads.
            await self._reader.begin()
        models = {**self._roles, "main": self._model}
        patterns = self._patterns(request)
        toolsets = self._wanted(patterns)
        # A server that does not answer must not use up all the time that the run has.
        seconds = min(LIST_SECONDS, (request.budget.seconds or inf) / 2)
        catalog = await self._catalog(request.task, toolsets, patterns, seconds)
        catalog, shares = await self._with_others(catalog, toolsets, request)
        chosen = catalog
        if request.tools is not None:
            wanted = request.tools
            chosen = catalog.only(lambda info: any(matches(one, info.name) for one in wanted))
            unknown = servers_away(catalog.problems)
            away = any(may_name(one, name) for one in wanted for name in unknown)
            if request.tools and not chosen.tools and not away:
                raise InvalidRequest(
                    f"no tool is called {' or '.join(request.tools)}",
                    hint="`rostra mcp list` names the tools of servers; "
                    f"your own are {', '.join(info.name for info in catalog.tools[:8])}.",
                    field="tools",
                )
        if self._reader is not None:
            chosen = self._reader.offered(request.task, chosen)
        if several_samples(request.options):
            chosen = _reading(chosen)
        whole, _ = await searchable(chosen, self._tool_vectors.index)
        problems = (*whole.problems, *_problems(toolsets))
        yield await self._parts(request, models, whole, shares, problems)

    @asynccontextmanager
    async def open_replay(self, told: Retold, request: RunRequest) -> AsyncIterator[Parts]:
        """The parts of a run that is executed over its log: its tools are those of the log.

        Raises:
            UnknownStrategy, InvalidRequest: it can never be executed.
            ModelUnavailable: models are to be asked again, and none is set.
        """
        model = self._model
        if self._reader is not None and told.model.name != self._reader.name:
            # Another model's run: how its prompts were cut, the reader does not know.
            model = None
        if told.ask_models and model is None:
            raise _no_model()
        shares = {
            tool_name(name): agent.share
            for name, agent in offered(
                self._others, request.tools, request.handed, self._settings.agent_depth
            ).items()
            if any(info.name == tool_name(name) for info in told.tools)
        }
        models = {**self._roles, "main": model or told.model}
        yield await self._parts(request, models, NoTools(told.tools), shares)

    async def _parts(
        self,
        request: RunRequest,
        models: Mapping[str, ChatModel],
        tools: Tools,
        shares: Mapping[str, float],
        problems: tuple[str, ...] = (),
    ) -> Parts:
        window = await self._window(models)
        observation = self._settings.agent_observation_chars
        if window.count is not None:
            observation = min(observation, _CHARS_A_TOKEN * window.tokens)
        guard = default_guard(
            Policy(trusted_tools=frozenset(request.approve)),
            make_filters(self._settings.agent_filters, hosts=self._settings.agent_link_hosts),
        )
        means = Means(chooser=self._choose, window=window, steps=request.budget.steps)
        if models["main"].name == READER_NAME:
            steps = min(means.steps, READER_STEPS)
            means = replace(means, steps=steps, calls=1, laid_out=READER_ANSWERS)
        return Parts(
            models=models,
            tools=tools,
            strategy=make_strategy(request.strategy, request.options, means),
            guard=guard,
            prompts=prompts,
            limits=Limits(
                observation=observation,
                call_seconds=self._settings.agent_call_seconds,
                shares=shares,
            ),
            problems=problems,
            workspace=request.user,
        )

    async def _window(self, models: Mapping[str, ChatModel]) -> Window:
        most = self._settings.agent_context_tokens
        reader = self._reader if models["main"] is self._reader else None
        context = await reader.max_context() if reader is not None else None
        if reader is None or context is None:
            summarise = self._settings.agent_context == "summarise"
            return await Window.of(most, *models.values(), summarise=summarise)

        async def count(messages: Sequence[ChatMessage]) -> int:
            return await reader.count_tokens(messages, GenerationOptions())

        return await Window.counted(most, context, count, answer=READER_TOKENS)

    async def _catalog(
        self,
        task: str,
        servers: Mapping[str, Toolset],
        patterns: list[str] | None,
        seconds: float,
    ) -> Catalog:
        """All tools of this process and of some servers that patterns may name."""
        quotes = self._quotes if self._reader is not None else None
        query = searched(task) if self._reader is not None else None
        documents = document_tools(self._database, self._searcher, quotes=quotes, query=query)
        catalog = await Catalog.open({"local": documents, **servers}, seconds=seconds)
        if self._reader is not None and _CALCULATOR in servers:
            own = calculating(catalog, _CALCULATOR, task)
            catalog = catalog.with_toolset(await own.list(), own)
        if self._settings.agent_memory:
            memories = memory_tools(self._memory)
            catalog = catalog.with_toolset(await memories.list(), memories)
        python = patterns is None or any(matches(one, RUN_PYTHON) for one in patterns)
        if self._code is not None and python and await self._code.unavailable() is None:
            code = code_toolset(self._code)
            catalog = catalog.with_toolset(await code.list(), code)
        return catalog

    def _patterns(self, request: RunRequest) -> list[str] | None:
        """Of the tools that a run needs, and the agents that it can hand tasks to."""
        if request.tools is None:
            return None
        most = self._settings.agent_depth
        found = list(request.tools)
        waiting = [(request.tools, request.handed)]
        while waiting:
            patterns, handed = waiting.pop()
            for name, agent in offered(self._others, patterns, handed, most).items():
                found += agent.tools
                waiting.append((agent.tools, Handed(name, _depth(handed) + 1)))
        return found

    async def _with_others(
        self, catalog: Catalog, servers: Mapping[str, Toolset], request: RunRequest
    ) -> tuple[Catalog, dict[str, float]]:
        """The catalog with the tools that hand tasks to other agents, and their shares."""
        most, tools = self._settings.agent_depth, catalog.tools
        known = {info.name.split("__")[0] for info in tools}
        missing = [name for name in servers if name not in known]
        shares: dict[str, float] = {}
        for name, agent in offered(self._others, request.tools, request.handed, most).items():
            handed = Handed(name, _depth(request.handed) + 1)
            effect = effect_of(name, self._others, tools, missing, handed, most)
            # A server may be called `agent`, and have a tool of this name.
            if effect is None or catalog.find(tool_name(name)) is not None:
                continue
            other = handoff_tool(name, agent, effect, handed.depth, self.agents, self._database)
            catalog = catalog.with_toolset(await other.list(), other)
            shares[tool_name(name)] = agent.share
        return catalog, shares

    async def _choose(self, query: str, tools: Sequence[ToolInfo]) -> Sequence[ToolInfo]:
        """The best tools for a text, by what the run was told of them."""
        return await (await self._tool_vectors.index(tools)).choose(query, tools)

    def servers(self) -> dict[str, Toolset]:
        """All MCP servers that are set, connected or not."""
        return self._wanted(None)

    async def close(self) -> None:
        """Ends the connections."""
        await asyncio.gather(*(toolset.close() for toolset in self._servers.values()))

    def _wanted(self, patterns: list[str] | None) -> dict[str, Toolset]:
        found: dict[str, Toolset] = {}
        for name, config in configured_servers(self._settings).items():
            if patterns is not None and not any(self._may_name(one, name) for one in patterns):
                continue
            if name not in self._servers:
                self._servers[name] = McpToolset(
                    config,
                    pins=StoredPins(self._database),
                    token_file=self._settings.home / "mcp" / f"{name}.json",
                )
            found[name] = self._servers[name]
        return found

    def _may_name(self, pattern: str, server: str) -> bool:
        """Whether a pattern may be meant for a server's tools."""
        if self._reader is not None and server == _CALCULATOR and matches(pattern, CALCULATE):
            return True
        return may_name(pattern, server)


def configured_servers(settings: Settings) -> dict[str, Any]:
    """The servers of the settings and those that come with the platform.

    Raises:
        ConfigError: one of them cannot work.
    """
    given = dict(settings.mcp)
    servers = given.get("servers", {})
    if not isinstance(servers, dict):
        raise ConfigError("mcp.servers: must be a table of servers")
    given["servers"] = {**_OWN_SERVERS, **servers}
    return load_servers(settings.model_copy(update={"mcp": given}))


def _no_model() -> ModelUnavailable:
    return ModelUnavailable(
        "agents need a model, and none is set",
        hint="Set ROSTRA_MODEL, or ROSTRA_CHAT_URL and ROSTRA_CHAT_MODEL; `rostra doctor` says why "
        "the reader that comes with Rostra does not run them.",
    )


def _reading(chosen: Catalog) -> Catalog:
    """Those of a run's tools that its samples have.

    Raises:
        InvalidRequest: there were others, and none of them only reads.
    """
    reading = chosen.only(lambda info: info.effect is Effect.READ)
    if chosen.tools and not reading.tools:
        raise InvalidRequest(
            "samples have tools that only read, and none of this run's does",
            hint="Draw one sample, or give the run other tools.",
            field="tools",
        )
    return reading


def _problems(toolsets: Mapping[str, Toolset]) -> list[str]:
    """What the MCP servers do not offer, and why."""
    return [
        f"{name}: {problem}"
        for name, toolset in toolsets.items()
        if isinstance(toolset, McpToolset)
        for problem in toolset.problems
    ]


def _depth(handed: Handed | None) -> int:
    return 0 if handed is None else handed.depth
