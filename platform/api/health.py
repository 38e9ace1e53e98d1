"""Health: whether the process lives, and whether it can answer."""

from litestar import Router, get
from litestar.di import NamedDependency

from rostra.api.openapi import problems
from rostra.api.schemas import Health
from rostra.api.services import Services
from rostra.core import RostraError
from rostra.store import list_collections


class NotReady(RostraError):
    """The server lives but cannot answer questions yet."""

    status = 503
    code = "not_ready"


@get("/live", operation_id="live", summary="Is the process alive")
async def live() -> Health:
    """Always answers."""
    return Health("ok")


@get("/ready", operation_id="ready", summary="Can it answer", responses=problems(503))
async def ready(services: NamedDependency[Services]) -> Health:
    """Answers 200 once the database answers and the models are loaded."""
    async with services.runtime.database.read() as session:
        await list_collections(session, limit=1)
    missing = services.models.missing
    if not missing:
        return Health("ready")
    names = " and ".join(missing)
    failure = services.models.failure
    if failure is None:
        raise NotReady(f"{names} still loading", missing=missing)
    raise NotReady(f"{names} not loaded: {failure.message}", hint=failure.hint, missing=missing)


router = Router("/health", route_handlers=[live, ready], tags=["server"])
