"""Work side by side, whose first word of importance is heard when all of it is done.

What always holds: a run that pauses or spends its budget in one branch lets the other branches come
to their end, so that no call of a tool is broken off in the middle; any other error ends them all
and comes out as itself, not in a group.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from rostra.agents.errors import BudgetSpent, RunPaused

T = TypeVar("T")


async def together(work: Sequence[Awaitable[T]]) -> list[T]:
    """The results of all work, in its order.

    Raises:
        RunPaused: a part waits for a person; names the calls of all that wait for the same reason.
        BudgetSpent: a part had nothing left.
    """

    async def held(one: Awaitable[T]) -> T | RunPaused | BudgetSpent:
        try:
            return await one
        except (RunPaused, BudgetSpent) as error:
            return error

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(held(one)) for one in work]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    results: list[T] = []
    paused: list[RunPaused] = []
    spent: list[BudgetSpent] = []
    for task in tasks:
        match task.result():
            case RunPaused() as error:
                paused.append(error)
            case BudgetSpent() as error:
                spent.append(error)
            case result:
                results.append(result)
    if paused:
        reason = paused[0].reason
        calls = [call for one in paused if one.reason == reason for call in one.calls]
        raise RunPaused(reason, list(dict.fromkeys(calls)))
    if spent:
        raise spent[0]
    return results
