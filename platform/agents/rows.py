"""What the row of a stored run says: what it was asked to do, where it stands, who waits for it."""

from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.agents.driver import RunRequest
from rostra.agents.events import Status
from rostra.store import Run, RunNotFound, get_run


def request_of(run: Run) -> RunRequest:
    """What a stored run was asked to do."""
    return msgspec.convert(run.config, RunRequest)


async def status_of(session: AsyncSession, run_id: UUID) -> Status | None:
    """Where a run stands; None where there is none."""
    try:
        return Status((await get_run(session, run_id)).status)
    except RunNotFound:
        return None


def parent_of(run: Run) -> UUID | None:
    """The run that handed this one its task and waits for it, if one does."""
    handed = request_of(run).handed
    return run.parent if handed is not None and handed.call else None
