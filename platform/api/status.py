"""Status: what this server is, for the page's foot and for people who look after it."""

import asyncio
from contextlib import suppress

from litestar import Router, get
from litestar.di import NamedDependency

from rostra.api.about import own_version
from rostra.api.schemas import StatusView
from rostra.api.services import Services
from rostra.core import RostraError, pick_device
from rostra.store import list_collections

# Packaged models load well within it; one that is downloaded first may not.
_PATIENCE_SECONDS = 20.0


@get("/status", operation_id="status", summary="What this server is")
async def status(services: NamedDependency[Services]) -> StatusView:
    """Facts for people; waits a while for the models, so that what it says is final."""
    runtime = services.runtime
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await services.models.first_try()
    space = runtime.embedder().space if runtime.embedder.is_made else None
    async with runtime.database.read() as session:
        _, collections = await list_collections(session, limit=1)
    return StatusView(
        version=own_version(),
        mode="generate" if runtime.generator else "quote",
        embedding_model=space.model if space else runtime.settings.embedding_model,
        dimensions=space.dimensions if space else None,
        device=_device(runtime.settings.device),
        generator=runtime.generator.name if runtime.generator else None,
        reranker=runtime.settings.reranker_model or None,
        collections=collections,
    )


def _device(wanted: str) -> str:
    try:
        return pick_device(wanted)
    except RostraError:
        return wanted


router = Router("/", route_handlers=[status], tags=["server"])
