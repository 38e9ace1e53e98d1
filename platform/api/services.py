"""What handlers work with, opened when the server starts and closed when it ends.

What always holds: the worker and the tasks in the background end before the database closes.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass

from litestar.datastructures import State

from rostra.api.background import Background
from rostra.api.models import Models
from rostra.api.uploads import Uploads
from rostra.api.worker import Pace, Worker
from rostra.core import Embedder, RostraError, get_logger
from rostra.runtime import Runtime

log = get_logger(__name__)

RuntimeFactory = Callable[[], AbstractAsyncContextManager[Runtime]]


@dataclass(frozen=True, slots=True)
class Services:
    """The platform and what the server adds to it."""

    runtime: Runtime
    models: Models
    uploads: Uploads
    worker: Worker
    background: Background

    async def embedder(self) -> Embedder:
        """The embedding model, waited for while it loads.

        Raises:
            ModelUnavailable: it cannot be loaded.
        """
        return await asyncio.to_thread(self.runtime.embedder)


@asynccontextmanager
async def open_services(open_runtime: RuntimeFactory, pace: Pace) -> AsyncIterator[Services]:
    """Opens the platform, begins to load its models, and starts the job worker.

    Runs whose process died are gone on with, where there is a model to do so.
    """
    async with open_runtime() as runtime:
        uploads = Uploads(runtime.settings)
        services = Services(
            runtime=runtime,
            models=Models(runtime),
            uploads=uploads,
            worker=Worker(runtime, uploads, pace),
            background=Background(),
        )
        services.background.start("load models", services.models.load())
        services.background.start("load decoder", services.models.load_decoder())
        if runtime.runner is not None:
            services.background.start("recover runs", _recover(runtime))
        worker = asyncio.create_task(services.worker.run(), name="job worker")
        try:
            yield services
        finally:
            worker.cancel()
            with suppress(asyncio.CancelledError):
                await worker
            await services.background.close()


async def _recover(runtime: Runtime) -> None:
    """Goes on with runs whose process died, unless that would end those of a broken reader."""
    if runtime.reader is not None:
        try:
            await asyncio.to_thread(runtime.reader.check)
        except RostraError as error:
            log.error("runs wait for the reader", reason=error.message, hint=error.hint)
            return
    await runtime.agents.recover()


def provide_services(state: State) -> Services:
    """The services of the running application, for handlers that name them."""
    services: Services = state.services
    return services


def provide_runtime(state: State) -> Runtime:
    """The platform alone, for handlers that need nothing else."""
    return provide_services(state).runtime
