"""The loop of whoever does held work in the background: batches, and jobs.

What always holds: one piece of work is taken at a time; the failure of one ends neither the loop
nor the others; the loop ends only by being cancelled.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from rostra.core import RostraError, StoreUnavailable, get_logger
from rostra.store import LostLease

log = get_logger(__name__)


async def take_turns(
    kind: str,
    woken: asyncio.Event,
    poll: float,
    *,
    sweep: Callable[[], Awaitable[None]],
    take: Callable[[], Awaitable[bool]],
) -> None:
    """Takes work as it comes.

    Args:
        kind: of work, for the log.
        woken: set by who knows that there is work.
        poll: seconds between looks for work that other processes left.
        sweep: removes, once, what an earlier process left.
        take: claims a piece of work and sees it through; False when there is none.
    """
    try:
        await sweep()
    except (RostraError, OSError) as error:
        log.warning("old files not removed", kind=kind, reason=str(error))
    while True:
        woken.clear()
        if await _taken(kind, take):
            continue
        with suppress(TimeoutError):
            async with asyncio.timeout(poll):
                await woken.wait()


async def _taken(kind: str, take: Callable[[], Awaitable[bool]]) -> bool:
    """Whether to look for another piece at once."""
    try:
        return await take()
    except LostLease as error:
        log.warning("work lost to another process", kind=kind, reason=error.message)
        return True
    except StoreUnavailable as error:
        log.warning("queue out of reach", kind=kind, reason=error.message)
    except Exception as error:  # one piece's bug must not end the loop for all others
        log.error("work failed, going on", kind=kind, exc_info=error)
    return False
