"""Tasks that outlive the request that started them.

What always holds: a task is referenced until it ends, an error in one is logged and hurts no other,
and none outlives `close`.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from rostra.core import RostraError, get_logger

log = get_logger(__name__)


class Background:
    """The tasks under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Runs a coroutine beside everything else; the name is for the log."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self) -> None:
        """Cancels what still runs and waits for it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        match task.exception():
            case None:
                pass
            case RostraError() as error:
                log.warning("background task failed", task=task.get_name(), reason=error.message)
            case error:
                log.error("background task failed", task=task.get_name(), exc_info=error)
