"""Opens the platform over what examples are built of."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from evals.training.work import Sources
from evals.workspace import open_workspace
from rostra.core import Settings
from rostra.runtime import Runtime, open_runtime


@asynccontextmanager
async def open_sources(settings: Settings, sources: Sources) -> AsyncIterator[Runtime]:
    """The user's data directory where a collection of it is named, else evaluation's workspace."""
    if sources.collection is None:
        async with open_workspace(settings) as runtime:
            yield runtime
    else:
        async with open_runtime(settings) as runtime:
            yield runtime
