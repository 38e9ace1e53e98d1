"""The platform as an MCP server at `/mcp`, streamable HTTP, revisions 2026-07-28 and 2025-11-25.

Its tools are the knowledge server's, `run_agent` and `wait_for_agent`.

What always holds: a request is served when it names a host that it may name, comes from no page of
another site, and either bears the token or, where none is set, comes from this machine. No tool
remembers anything between requests, so there are no sessions and any number of clients.
"""

import asyncio
import hmac
import ipaddress
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from litestar import asgi
from litestar.datastructures import Headers
from litestar.exceptions import NotFoundException
from litestar.types import Receive, Scope, Send
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations
from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field

from mcp_servers import knowledge_server, offer
from rostra.agents import (
    Paused,
    RunEnded,
    RunEvent,
    RunRequest,
    Waiting,
    outline,
    read_log,
)
from rostra.core import InvalidRequest, RostraError, Settings, parse_id
from rostra.runtime import Runtime
from rostra.store import get_run

PATH = "/mcp"
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_PORT = re.compile(r":\d+$")
_MAX_BODY_BYTES = 4 * 1024 * 1024


class TokenRequired(RostraError):
    """The request bears no token, or a wrong one, or comes from elsewhere where none is set."""

    status = 401
    code = "token_required"


@dataclass(frozen=True, slots=True)
class McpAccess:
    """Who may use `/mcp`.

    Attributes:
        token: what requests must bear; None lets in this machine alone.
        hosts: what requests may call the server, each as in a Host header, `:*` for any port.
        origins: of pages that may ask, `http://name:*` for any port.
    """

    token: str | None
    hosts: tuple[str, ...]
    origins: tuple[str, ...]


def access_of(settings: Settings) -> McpAccess:
    """Access by the settings: this machine's names, the one that is listened on, further ones."""
    own = settings.host.lower().strip("[]")
    names = dict.fromkeys((*_LOOPBACK, f"[{own}]" if ":" in own else own))
    hosts = [form for name in names for form in (name, f"{name}:*")]
    origins = [f"http://{host}" for host in hosts]
    for further in settings.mcp_hosts:
        host = further.lower()
        forms = [host] if _PORT.search(host) else [host, f"{host}:*"]
        hosts += forms
        # Behind a proxy it may be either; a page of the same name is no other site.
        origins += [f"{scheme}://{form}" for form in forms for scheme in ("http", "https")]
    token = settings.mcp_token.get_secret_value()
    return McpAccess(token or None, tuple(hosts), tuple(origins))


@asynccontextmanager
async def open_mcp(runtime: Runtime, access: McpAccess) -> AsyncIterator["McpEndpoint"]:
    """The endpoint over an open platform, for as long as it is entered."""
    server = knowledge_server(runtime, name="", instructions=_INSTRUCTIONS)
    agents = AgentTools(runtime)
    offer(server, agents.run_agent, _STARTS)
    offer(server, agents.wait_for_agent)
    server.streamable_http_app(
        stateless_http=True,
        max_request_body_size=_MAX_BODY_BYTES,
        transport_security=TransportSecuritySettings(
            allowed_hosts=list(access.hosts), allowed_origins=list(access.origins)
        ),
    )
    async with server.session_manager.run():
        yield McpEndpoint(access, server.session_manager)


class McpEndpoint:
    """An ASGI application that lets in who may be let in."""

    def __init__(self, access: McpAccess, manager: StreamableHTTPSessionManager) -> None:
        self._access = access
        self._manager = manager

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, or refuses it with a problem document."""
        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(send, refusal)
            return
        # Both are ASGI; two libraries type it in two ways.
        await self._manager.asgi_app(scope, receive, send)  # type: ignore[arg-type]

    def _refusal(self, scope: Scope) -> TokenRequired | None:
        if self._access.token is not None:
            scheme, _, given = Headers.from_scope(scope).get("authorization", "").partition(" ")
            # Headers are bytes, read as Latin-1; a token is UTF-8.
            known = hmac.compare_digest(
                given.strip().encode("latin-1"), self._access.token.encode()
            )
            if scheme.lower() == "bearer" and known:
                return None
            return TokenRequired("a bearer token is required", hint="Send the one that is set.")
        client = scope.get("client")
        if client is not None and not _is_loopback(client[0]):
            return TokenRequired(
                "without a token only this machine may use this", hint="Set a token."
            )
        return None


_INSTRUCTIONS = """\
`run_agent` lets an agent work on a task in several steps, `wait_for_agent` waits for its end."""
# A run does nothing that changes the world without a person's yes, but it does what it was told.
_STARTS = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=True)
_MAX_TASK = 20_000
_MAX_WAIT = 600.0
# As at `/api/runs`.
_MAX_STEPS = 1000
_MAX_TOKENS = 2**40
_MAX_COST = 1e9
# Paused calls that are named.
_MAX_CALLS = 20

Seconds = Annotated[
    float, Field(ge=0, le=_MAX_WAIT, description="Longest wait; the run goes on after it.")
]


ToolNames = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=128)]],
    Field(
        max_length=100,
        description="Patterns of names of the tools that it may use, such as search or "
        "calculator__*; all where none are given.",
    ),
]


class AgentRun(BaseModel):
    """Where a run stands."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    status: Annotated[
        str,
        Field(
            description="running, paused (a person must decide), completed, abstained, "
            "exhausted, cancelled or failed."
        ),
    ]
    answer: Annotated[str | None, Field(description="With status completed.")]
    quotes: Annotated[list[str], Field(description="Sentences that back it, word for word.")]
    unsupported: Annotated[
        int, Field(description="How many of the answer's statements no sentence backs.")
    ] = 0
    note: Annotated[str | None, Field(description="What it waits for, or why it failed.")]
    model: Annotated[str | None, Field(description="That it is executed with, once known.")] = None


class AgentTools:
    """Tools that start runs and look at them; runs belong to the server, not to the request."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def run_agent(
        self,
        task: Annotated[str, Field(max_length=_MAX_TASK, description="What to find out or do.")],
        strategy: Annotated[
            str, Field(max_length=64, description="react, plan, rewoo or rag.")
        ] = "react",
        tools: ToolNames | None = None,
        max_steps: Annotated[
            int | None,
            Field(ge=1, le=_MAX_STEPS, description="Most questions to the model that decide."),
        ] = None,
        max_tokens: Annotated[
            int | None, Field(ge=1, le=_MAX_TOKENS, description="Of models, prompt and answer.")
        ] = None,
        max_cost: Annotated[
            float | None,
            Field(gt=0, le=_MAX_COST, description="In the currency of the models' prices."),
        ] = None,
        seconds: Seconds = 120,
    ) -> AgentRun:
        """Let an agent work on a task in several steps, with the user's documents and tools.

        Gives the answer, or after some time the run's id, for wait_for_agent. Calls that change
        something wait for a person's approval.
        """
        most = {"steps": max_steps, "tokens": max_tokens, "cost": max_cost}
        named = {name: value for name, value in most.items() if value is not None}
        budget = replace(self._runtime.workshop.budget, **named)
        request = RunRequest(task=task, strategy=strategy, tools=tools, budget=budget)
        return await self._wait(await self._runtime.agents.start(request), seconds)

    async def wait_for_agent(
        self,
        run_id: Annotated[str, Field(max_length=64, description="As run_agent gives it.")],
        seconds: Seconds = 120,
    ) -> AgentRun:
        """Wait until an agent's run ends or pauses, and say where it stands."""
        wanted = parse_id(run_id)
        if wanted is None:
            raise InvalidRequest(f"{run_id!r} is no run id", hint="run_agent gives ids.")
        async with self._runtime.database.read() as session:
            await get_run(session, wanted)
        return await self._wait(wanted, seconds)

    async def _wait(self, run_id: UUID, seconds: float) -> AgentRun:
        try:
            last = await asyncio.wait_for(self._runtime.agents.wait(run_id), seconds)
        except TimeoutError:
            return AgentRun(run_id=str(run_id), status="running", answer=None, quotes=[], note=None)
        short = outline(await read_log(self._runtime.database, run_id))
        return _standing(run_id, last.event, short.waiting, short.model)


def _standing(
    run_id: UUID, event: RunEvent, waits: Sequence[Waiting] = (), model: str = ""
) -> AgentRun:
    """Where a run stands after its last event; of a paused one also for which calls."""
    status, answer, quotes, note = "running", None, list[str](), None
    unsupported = 0
    if isinstance(event, Paused):
        tools = {one.call.id: one.call.tool for one in waits}
        told = [f"{tools[call]} ({call})" if call in tools else call for call in event.calls]
        more = f" and {len(told) - _MAX_CALLS} more" if len(told) > _MAX_CALLS else ""
        named = f": {', '.join(told[:_MAX_CALLS])}{more}" if told else ""
        why = f"; {event.error.get('message', '')}" if event.error else ""
        status, note = "paused", f"{event.reason}{named}{why}"
    elif isinstance(event, RunEnded):
        status = event.status.value
        note = str(event.error.get("message", "")) if event.error else None
        if event.answer is not None:
            answer = event.answer.text
            cited = [cited.quote for claim in event.answer.claims for cited in claim.evidence]
            quotes = list(dict.fromkeys(cited))
            unsupported = event.answer.unsupported
    return AgentRun(
        run_id=str(run_id),
        status=status,
        answer=answer,
        quotes=quotes,
        unsupported=unsupported,
        note=note,
        model=model or None,
    )


@asgi(PATH, is_mount=True, copy_scope=True, checks_host=True)
async def mount(scope: Scope, receive: Receive, send: Send) -> None:
    """The running application's endpoint, at exactly this path.

    Raises:
        NotFoundException: for a path below it.
    """
    if scope["path"].strip("/"):
        raise NotFoundException("nothing is below /mcp")
    endpoint: McpEndpoint = scope["litestar_app"].state.mcp
    await endpoint(scope, receive, send)


async def _refuse(send: Send, error: TokenRequired) -> None:
    """As RFC 6750 has it; MCP clients read the header, people the body."""
    body = json.dumps(error.to_dict() | {"status": error.status}).encode()
    await send(
        {
            "type": "http.response.start",
            "status": error.status,
            "headers": [
                (b"content-type", b"application/problem+json"),
                (b"content-length", str(len(body)).encode()),
                (b"www-authenticate", b'Bearer realm="rostra"'),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:  # a test client's, or a Unix socket's
        return True
