"""What the row of a stored run says: what it was asked to do, where it stands, who waits for it.

Beside the request, a row's `config` has the model that executes the run: another process takes the
run over unasked only if its model is the same.
"""

from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.agents.driver import RunRequest
from rostra.agents.events import INTERRUPTED, Paused, Status, decode_event
from rostra.store import Run, RunNotFound, get_run, read_events

MODEL = "model"
"""In a run's `config`: the name of the main model."""


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


def model_of(run: Run) -> str | None:
    """Name of the model that executes a run; None of a run that was begun before rows said so."""
    found: str | None = run.config.get(MODEL)
    return found


async def is_interrupted(session: AsyncSession, run: Run) -> bool:
    """Whether a paused run waits for nothing but somebody who resumes it."""
    last = await read_events(session, run.id, run.last_seq - 1, 1)
    event = decode_event(last[0].data) if last else None
    return isinstance(event, Paused) and event.reason == INTERRUPTED
