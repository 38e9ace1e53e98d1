"""Where evaluations keep what they ingest: apart from the user's documents, and kept between runs.

What always holds: nothing an evaluation does touches the user's collections; a set that was
ingested before is only compared, not read again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rostra.core import Settings
from rostra.runtime import Runtime, open_runtime


@asynccontextmanager
async def open_workspace(settings: Settings) -> AsyncIterator[Runtime]:
    """Opens the platform over `evals/` below the data directory, with the same settings."""
    apart = settings.model_copy(update={"home": settings.home / "evals", "database_url": ""})
    async with open_runtime(apart) as runtime:
        yield runtime
