"""The invariants of the scheduler's parts, checked against each other."""

from collections import Counter
from collections.abc import Collection

from rostra.serving.scheduler.fair_queue import FairQueue
from rostra.serving.scheduler.memory import Memory, by_rank
from rostra.serving.scheduler.requests import Requests
from rostra.serving.scheduler.sequence import Group, Sequence, Status
from rostra.serving.scheduler.step import Step


def check_integrity(
    requests: Requests,
    queue: FairQueue,
    memory: Memory,
    launched: Collection[Step],
    max_running: int,
) -> None:
    """Raises RuntimeError if an invariant is broken; meant for idle time and tests."""
    alive = [one for group in requests.groups.values() for one in group.sequences]
    everyone = set(alive) | memory.leaving
    memory.kv.check_integrity(one.table for one in everyone)
    queue.check_integrity()
    everyone |= {chunk.sequence for step in launched for chunk in step.chunks}
    _check_flights(everyone, launched)
    for one in everyone:
        _check_counters(one, memory)
    running = {one for one in alive if one.status is Status.RUNNING}
    _check_running(memory, running, max_running)
    queued = set(queue)
    for group in requests.groups.values():
        _check_group(group, queued)
    if sum(group.open for group in requests.groups.values()) != requests.open:
        raise RuntimeError("open sequences are miscounted")


def _check_flights(everyone: set[Sequence], launched: Collection[Step]) -> None:
    flights: Counter[Sequence] = Counter()
    pending: Counter[Sequence] = Counter()
    for step in launched:
        flights.update(chunk.sequence for chunk in step.chunks)
        pending.update(chunk.sequence for chunk in step.chunks if chunk.samples)
    for one in everyone:
        if (one.flights, one.pending) != (flights[one], pending[one]):
            raise RuntimeError(f"{one!r} miscounts the steps under way")


def _check_counters(one: Sequence, memory: Memory) -> None:
    if not one.computed <= one.scheduled <= one.total <= one.limit + one.pending:
        raise RuntimeError(f"{one!r} has its counters in disorder")
    if one.scheduled > len(one.blocks) * memory.kv.block_size:
        raise RuntimeError(f"{one!r} computes tokens without a block")
    if one.blocks and one.status is not Status.RUNNING and one not in memory.leaving:
        raise RuntimeError(f"{one!r} holds blocks and does not run")


def _check_running(memory: Memory, running: set[Sequence], max_running: int) -> None:
    if memory.running != sorted(memory.running, key=by_rank):
        raise RuntimeError("running sequences are out of order")
    if running != set(memory.running) or len(memory.running) > max_running:
        raise RuntimeError("the running sequences are not those that run")
    if any(not one.flights for one in memory.leaving) or running & memory.leaving:
        raise RuntimeError("a sequence keeps blocks that nothing uses")
    if any(one.status is not Status.WAITING for one in memory.reserved):
        raise RuntimeError("admission waits for a sequence that does not wait")


def _check_group(group: Group, queued: set[Sequence]) -> None:
    unended = [one for one in group.sequences if one.status is not Status.ENDED]
    if len(unended) != group.open or not unended:
        raise RuntimeError(f"request {group.request.id} miscounts its sequences")
    for one in unended:
        folded = not group.unfolded and one is not unended[0]
        prompt = one.status is Status.RUNNING and one.scheduled < one.goal
        waits = one.status is Status.WAITING and not one.flights and not folded
        if (one in queued) != (prompt or waits):
            raise RuntimeError(f"{one!r} is in the queue wrongly, or wrongly not")
