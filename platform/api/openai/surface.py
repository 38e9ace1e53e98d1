"""What the OpenAI surface works with beside the platform: the stores and the runner of batches.

What always holds: the runner ends before the database closes; responses that are kept live in
memory and end with the process.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from litestar.datastructures import State

from rostra.api.background import Background
from rostra.api.openai.file_store import FileStore
from rostra.api.openai.model import ServedModel, check_model, served_model
from rostra.api.openai.response_store import ResponseStore
from rostra.api.services import Services
from rostra.runtime import Runtime
from rostra.serving import ToolFormat

if TYPE_CHECKING:
    from rostra.api.openai.batch_runner import BatchPace
    from rostra.serving import AsyncEngine


class Surface:
    """The platform and what this surface adds to it.

    Args:
        services: the running server's.
        tool_format: how the model writes calls of tools, if not as its chat template suggests.
        pace: how batches are run.
    """

    def __init__(
        self,
        services: Services,
        tool_format: ToolFormat | None = None,
        pace: "BatchPace | None" = None,
    ) -> None:
        # Here, because what it runs works with a surface itself.
        from rostra.api.openai.batch_runner import BatchRunner

        self.services = services
        self.tool_format = tool_format
        self.files = FileStore(services.runtime)
        self.responses = ResponseStore()
        self.runner = BatchRunner(self, pace)

    @property
    def runtime(self) -> Runtime:
        """The platform."""
        return self.services.runtime

    @property
    def background(self) -> Background:
        """Tasks that outlive their requests."""
        return self.services.background

    @property
    def engine(self) -> "AsyncEngine | None":
        """The platform's decoder; None when no model is set."""
        return self.runtime.engine

    async def model(self, wanted: str) -> ServedModel:
        """The decoder by its name; raises as `served_model` does."""
        return await served_model(self.engine, wanted, self.tool_format)

    def check_model(self, wanted: str) -> None:
        """Looks at a decoder's name only; raises as `model.check_model` does."""
        check_model(self.engine, wanted)

    def wake(self) -> None:
        """Says that a batch waits or is to be cancelled."""
        self.runner.wake()


@asynccontextmanager
async def open_surface(
    services: Services,
    pace: "BatchPace | None" = None,
) -> AsyncIterator[Surface]:
    """Opens the stores and starts the runner of batches."""
    surface = Surface(services, pace=pace)
    running = asyncio.create_task(surface.runner.run(), name="batch runner")
    try:
        yield surface
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def provide_surface(state: State) -> Surface:
    """The surface of the running application, for handlers that name it."""
    surface: Surface = state.openai
    return surface
