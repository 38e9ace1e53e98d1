"""The application: every resource, what protects it, and what it works with, put together.

What always holds: whatever goes wrong is answered with a problem document, under /v1 in OpenAI's
shape; everything under /api, /v1, /mcp, /health, /schema and /metrics is the API's, every other
path the page's.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from litestar import HttpMethod, Litestar, Request, Router, route
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import ClientException, NotFoundException
from litestar.params import FromPath

from mcp_servers import SandboxRunner
from rostra.api import (
    ask,
    chats,
    collections,
    documents,
    evals,
    health,
    jobs,
    mcp,
    memories,
    runs,
    search,
    sources,
    status,
    web,
)
from rostra.api.openai import router as openai
from rostra.api.openai.batch_runner import BatchPace
from rostra.api.openapi import openapi_config
from rostra.api.security import Guard, add_headers
from rostra.api.services import (
    RuntimeFactory,
    open_services,
    provide_runtime,
    provide_services,
)
from rostra.api.worker import Pace
from rostra.core import Settings
from rostra.runtime import open_runtime

# Of JSON bodies; uploads have a limit of their own.
_MAX_BODY_BYTES = 4 * 1024 * 1024
_CHANGING = [HttpMethod.POST, HttpMethod.PUT, HttpMethod.PATCH, HttpMethod.DELETE]


class JsonRequest(Request[Any, Any, Any]):
    """A request whose body may be anything but is read as JSON."""

    async def json(self) -> Any:
        """The body's value.

        Raises:
            ClientException: it is not UTF-8, or has too many levels, which Litestar would take for
                a failure of ours.
        """
        try:
            return await super().json()
        except UnicodeDecodeError as error:
            raise ClientException(f"the body is no valid JSON: {error.reason}") from None
        except RecursionError:
            raise ClientException("the body is JSON of too many levels") from None


def create_app(
    settings: Settings,
    runtime: RuntimeFactory | None = None,
    *,
    pace: Pace | None = None,
    batch_pace: BatchPace | None = None,
    static: Path = web.STATIC,
) -> Litestar:
    """The ASGI application over one data directory.

    Args:
        settings: limits, and the host that requests must name.
        runtime: gives the platform for as long as the application runs; by default it is opened
            from the settings.
        pace: how often the job worker looks, reports and gives up.
        batch_pace: the same of the runner of batches.
        static: the folder of the built web page.
    """

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        factory = runtime or (lambda: open_runtime(settings, code=SandboxRunner()))
        async with (
            open_services(factory, pace or Pace()) as services,
            openai.open_surface(services, batch_pace) as surface,
            mcp.open_mcp(services.runtime, mcp.access_of(settings)) as endpoint,
        ):
            app.state.services = services
            app.state.openai = surface
            app.state.mcp = endpoint
            yield

    api = Router(
        "/api",
        route_handlers=[
            module.router
            for module in (
                *(collections, documents, sources, jobs, search, ask, chats),
                *(runs, memories, evals, status),
            )
        ],
    )
    return Litestar(
        route_handlers=[
            *(api, openai.router, openai.metrics, health.router, mcp.mount),
            *(web.index, web.file, nothing_to_change),
        ],
        lifespan=[lifespan],
        state=State({"static": static}),
        dependencies={
            "services": Provide(provide_services, sync_to_thread=False),
            "runtime": Provide(provide_runtime, sync_to_thread=False),
            "surface": openai.provide,
        },
        middleware=[Guard(settings.host)],
        before_send=[add_headers],
        exception_handlers={Exception: openai.handle_any_error},
        openapi_config=openapi_config(),
        request_class=JsonRequest,
        request_max_body_size=_MAX_BODY_BYTES,
        logging_config=None,
        debug=False,
    )


@route("/{path:path}", http_method=_CHANGING, include_in_schema=False)
async def nothing_to_change(path: FromPath[str]) -> None:
    """Where nothing is, 404 is truer than the 405 that the page's own route would cause."""
    raise NotFoundException(f"there is no /{path.lstrip('/')[:200]}")
