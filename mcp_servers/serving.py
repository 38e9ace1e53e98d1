"""What every server here shares: how its tools are offered, and how it is started.

What always holds: stdout carries the protocol and nothing else, logs and errors go to stderr. There
are no accounts, so only this machine can reach the port, and pages of other sites cannot. A mistake
of the caller's comes back as a tool error that says what to do, and the server goes on.
"""

import asyncio
import gc
import inspect
import ipaddress
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from functools import wraps
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
import uvicorn
from mcp import MCPError
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata, func_metadata
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import (
    INVALID_PARAMS,
    CallToolResult,
    GetPromptResult,
    InputRequiredResult,
    ToolAnnotations,
)
from pydantic import ValidationError

from mcp_servers.arguments import wrong_arguments
from rostra.core import RostraError, get_logger

P = ParamSpec("P")
T = TypeVar("T")

log = get_logger(__name__)

_MAX_NAME = 100
_OURS = (500, 503)  # statuses of errors that whoever runs the server should see

READ_ONLY = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)


async def explain(error: RostraError) -> str:
    """The error as text for a model: what happened, and what to do about it."""
    return f"{error.message}\nHint: {error.hint}" if error.hint else error.message


class _Server(MCPServer[Any]):
    """Tells a model in plain words which arguments of its call are wrong, and clients of prompts.

    An argument that a tool does not have is wrong, too: the library would pass it over, and whoever
    gave it would believe that it holds.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._forms: dict[str, FuncMetadata] = {}

    def learn(self, tool: Callable[..., Any]) -> None:
        """Learns what arguments a tool has."""
        self._forms[tool.__name__] = func_metadata(tool)

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Calls a tool; raises as the library's server does."""
        if (form := self._forms.get(name)) is not None:
            _check(name, form, arguments)
        return await super().call_tool(name, arguments, context)

    async def get_prompt(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        context: Context[Any, Any] | None = None,
    ) -> GetPromptResult | InputRequiredResult:
        """A prompt; of one that is not there the library says only that something went wrong.

        Raises:
            MCPError: there is no such prompt.
        """
        if name not in {prompt.name for prompt in await self.list_prompts()}:
            raise MCPError(INVALID_PARAMS, f"There is no prompt {name[:_MAX_NAME]!r}.")
        return await super().get_prompt(name, arguments, context)


def _check(name: str, form: FuncMetadata, arguments: dict[str, Any]) -> None:
    """Refuses wrong arguments before the tool is called.

    Raises:
        ToolError: some are.
    """
    known = [field.alias or name for name, field in form.arg_model.model_fields.items()]
    strange = any(argument not in known for argument in arguments)
    wrong: ValidationError | None = None
    try:
        form.validate_arguments(arguments)
    except ValidationError as error:
        wrong = error
    if wrong is None and not strange:
        return
    said = wrong_arguments(wrong, arguments, known)
    if strange:
        there = f"The arguments of {name} are: {', '.join(known)}."
        said += "\n" + (there if known else f"{name} takes no arguments.")
    raise ToolError(f"The arguments of {name} are wrong.\n{said}") from wrong


def make_server(name: str, instructions: str) -> MCPServer:
    """A server named `rostra-NAME` without tools.

    Set logging up first: the library installs a handler of its own where there is none.

    Args:
        name: one word, lower case; empty for the platform itself, which is `rostra`.
        instructions: what clients tell their models of it.
    """
    return _Server(
        f"rostra-{name}" if name else "rostra",
        title=f"Rostra {name}".strip(),
        instructions=instructions,
        version=_own_version(),
    )


def offer(
    server: MCPServer,
    tool: Callable[..., Awaitable[Any]],
    annotations: ToolAnnotations = READ_ONLY,
    explain: Callable[[RostraError], Awaitable[str]] = explain,
) -> None:
    """Adds a tool: its name, docstring, parameters and result are what clients see of it.

    Args:
        server: who offers it.
        tool: a coroutine function whose result is a pydantic model.
        annotations: what a call may do.
        explain: makes the text of a typed error.
    """
    telling = _telling(tool, explain)
    if isinstance(server, _Server):
        server.learn(telling)
    server.add_tool(
        telling,
        description=inspect.getdoc(tool),
        annotations=annotations,
        structured_output=True,
    )


def _telling(
    tool: Callable[P, Awaitable[T]], explain: Callable[[RostraError], Awaitable[str]]
) -> Callable[P, Awaitable[T]]:
    """The same tool, its typed errors told to the model; any other stays in the log."""

    @wraps(tool)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await tool(*args, **kwargs)
        except RostraError as error:
            if error.status in _OURS:
                log.warning("a tool failed", code=error.code, reason=error.message)
            raise ToolError(await explain(error)) from error

    return call


def _own_version() -> str:
    try:
        return version("rostra")
    except PackageNotFoundError:  # a checkout that is on the path without being installed
        return "0+unknown"


@dataclass(frozen=True, slots=True)
class Transport:
    """Where a server listens.

    Attributes:
        http: streamable HTTP on a port; else stdio.
        host: a loopback address.
        port: 0 picks a free one.
    """

    http: bool
    host: str
    port: int


def transport_options(
    port: int,
) -> Callable[[Callable[Concatenate[Transport, P], T]], Callable[..., T]]:
    """Gives a command the options `--http`, `--host` and `--port`, as its first argument.

    Args:
        port: what `--port` is by default.
    """

    def decorate(command: Callable[Concatenate[Transport, P], T]) -> Callable[..., T]:
        @click.option("--http", is_flag=True, help="Serve streamable HTTP at /mcp, not stdio.")
        @click.option(
            "--host",
            default="127.0.0.1",
            show_default=True,
            callback=_loopback,
            help="Loopback address for --http.",
        )
        @click.option(
            "--port",
            default=port,
            show_default=True,
            type=click.IntRange(0, 65535),
            help="Port for --http; 0 picks a free one.",
        )
        @wraps(command)
        def wrapped(http: bool, host: str, port: int, *args: P.args, **kwargs: P.kwargs) -> T:
            return command(Transport(http, host, port), *args, **kwargs)

        return wrapped

    return decorate


def serve(
    open_server: Callable[[], AbstractAsyncContextManager[MCPServer]], transport: Transport
) -> None:
    """Serves until the client closes stdin or, on a port, until a signal.

    Args:
        open_server: what the server needs is open while it is entered.
        transport: of `transport_options`.

    Raises:
        click.ClickException: it cannot start; the message says why.
    """
    try:
        listener = _listen(transport.host, transport.port) if transport.http else None
        asyncio.run(_serve(open_server, listener))
        # Else Python takes a loaded model apart for longer than clients wait before they kill.
        gc.freeze()
    except RostraError as error:
        hint = f"\n  {error.hint}" if error.hint else ""
        raise click.ClickException(error.message + hint) from None


async def _serve(
    open_server: Callable[[], AbstractAsyncContextManager[MCPServer]],
    listener: socket.socket | None,
) -> None:
    async with open_server() as server:
        if listener is None:
            await server.run_stdio_async()
        else:
            await _serve_http(server, listener)


async def _serve_http(server: MCPServer, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    authority = f"[{host}]" if ":" in host else host
    # What callers on this machine may call it; any port, so that a tunnel's works too.
    own = [f"{name}:*" for name in dict.fromkeys((authority, "127.0.0.1", "localhost", "[::1]"))]
    app = server.streamable_http_app(
        stateless_http=True,  # no tool remembers anything, so neither need sessions
        transport_security=TransportSecuritySettings(
            allowed_hosts=own, allowed_origins=[f"http://{name}" for name in own]
        ),
    )
    # h11 checks headers that the faster parser lets through; no log_config, or logs go to stdout.
    config = uvicorn.Config(app, http="h11", ws="none", log_config=None, access_log=False)
    await _HttpServer(config, f"http://{authority}:{port}/mcp").serve(sockets=[listener])


class _HttpServer(uvicorn.Server):
    """Says where it is once it answers; a signal ends it, and then what was opened is closed."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            click.echo(f"serving {self._url}", err=True)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The base raises the signal again at its end, before the database could be closed.
        loop = asyncio.get_running_loop()
        for caught in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(caught, self.handle_exit, caught, None)
        try:
            yield
        finally:
            for caught in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(caught)


def _loopback(context: click.Context, parameter: click.Parameter, given: str) -> str:
    """The address as sockets take it, when only this machine reaches it."""
    name = "127.0.0.1" if given.lower() == "localhost" else given.strip("[]")
    try:
        is_loopback = ipaddress.ip_address(name).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise click.BadParameter(
            f"{given[:100]!r} is no loopback address; the server has no accounts, so put a proxy "
            "that authenticates in front of it",
            context,
            parameter,
        )
    return name


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host} port {port}: {error}") from None
