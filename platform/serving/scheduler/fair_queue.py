"""In which order prompts get their share of a step.

The queue holds every sequence whose prompt is not all scheduled: those that wait and those that
were admitted and are computed in chunks. `turns` gives them in this order:

1. by priority, strictly;
2. within a priority by tenant, the least served first. Service is counted in computed tokens, and a
   tenant that comes back from idleness starts at the virtual time, so it neither saves up credit
   nor pays for others' past (fair queueing; Parekh and Gallager 1993, and for decoders VTC,
   arXiv:2401.00588);
3. within a tenant the oldest sequence first, then the oldest admitted one, then the others with the
   least left to compute first. A caller that gives no one more than half of what there is thereby
   serves short prompts while long ones are computed, and long ones while short ones stream in.

What always holds: a sequence is in at most one lane, either waiting or admitted; lanes are never
empty; virtual time never goes back while anybody is served.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush, merge

from rostra.serving.scheduler.sequence import Sequence, Tenant


@dataclass(slots=True, eq=False)
class _Lane:
    """The prompts of one tenant at one priority."""

    priority: int
    tenant: Tenant
    number: int
    by_age: list[tuple[int, Sequence]] = field(default_factory=list)
    by_size: list[tuple[int, int, Sequence]] = field(default_factory=list)
    admitted: list[tuple[int, Sequence]] = field(default_factory=list)

    def turns(self) -> Iterator[Sequence]:
        for _, one in sorted(self.by_age[:1] + self.admitted[:1]):
            yield one
        begun = sorted((one.remaining, number, one) for number, one in self.admitted)
        for _, _, one in merge(begun, self.by_size.copy()):
            yield one


class FairQueue:
    """All prompts that are not fully scheduled."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[int, str], _Lane] = {}
        self._tenants: dict[str, Tenant] = {}
        self._active = 0
        self._now = 0.0
        self._lane_number = 0
        self.waiting = 0
        self.admitted = 0

    def __iter__(self) -> Iterator[Sequence]:
        for lane in self._lanes.values():
            for _, sequence in lane.by_age + lane.admitted:
                yield sequence

    def __len__(self) -> int:
        return self.waiting + self.admitted

    def tenant(self, name: str) -> Tenant:
        """The account of a tenant, which has one more open sequence from now on."""
        tenant = self._tenants.get(name)
        if tenant is None:
            tenant = self._tenants[name] = Tenant(name)
        self._active += tenant.open == 0
        tenant.open += 1
        return tenant

    def close(self, tenant: Tenant) -> None:
        """One of the tenant's sequences has ended."""
        tenant.open -= 1
        if tenant.open:
            return
        self._active -= 1
        if self._active == 0:
            # Nobody is left to be fair to; all accounts start anew.
            self._tenants.clear()
            self._now = 0.0
        elif tenant.service <= self._now:
            del self._tenants[tenant.name]
        elif len(self._tenants) > 2 * self._active + 64:
            for name, other in list(self._tenants.items()):
                if not other.open and other.service <= self._now:
                    del self._tenants[name]

    def advance(self, tokens: int) -> None:
        """Virtual time goes on by the tokens that a step computes, per active tenant."""
        self._now += tokens / max(1, self._active)

    def add(self, sequence: Sequence) -> None:
        """A sequence begins to wait."""
        tenant = sequence.tenant
        if not tenant.queued:
            tenant.service = max(tenant.service, self._now)
        tenant.queued += 1
        lane = self._lane(sequence)
        insort(lane.by_age, (sequence.number, sequence))
        insort(lane.by_size, (sequence.remaining, sequence.number, sequence))
        self.waiting += 1

    def admit(self, sequence: Sequence) -> None:
        """A waiting sequence was given its blocks; call before its fields change."""
        lane = self._lane(sequence)
        self._unwait(lane, sequence)
        insort(lane.admitted, (sequence.number, sequence))
        self.admitted += 1

    def remove(self, sequence: Sequence) -> bool:
        """Takes a sequence out, waiting or admitted; False if it is not here."""
        key = (sequence.priority, sequence.tenant.name)
        lane = self._lanes.get(key)
        if lane is None:
            return False
        place = bisect_left(lane.admitted, (sequence.number,))
        if place < len(lane.admitted) and lane.admitted[place][1] is sequence:
            del lane.admitted[place]
            self.admitted -= 1
        elif not self._unwait(lane, sequence):
            return False
        sequence.tenant.queued -= 1
        if not lane.by_age and not lane.admitted:
            del self._lanes[key]
        return True

    def begun(self) -> Iterator[Sequence]:
        """The admitted sequences."""
        for lane in self._lanes.values():
            for _, sequence in lane.admitted:
                yield sequence

    def turns(self) -> Iterator[Sequence]:
        """Sequences in the order of the module's docstring; some come up more than once.

        The caller may admit and remove sequences and charge tenants between turns.
        """
        heap = [
            (lane.priority, lane.tenant.service, lane.number, lane, lane.turns())
            for lane in self._lanes.values()
        ]
        heapify(heap)
        while heap:
            priority, _, number, lane, turns = heappop(heap)
            sequence = next(turns, None)
            if sequence is not None:
                yield sequence
                heappush(heap, (priority, lane.tenant.service, number, lane, turns))

    def _lane(self, sequence: Sequence) -> _Lane:
        key = (sequence.priority, sequence.tenant.name)
        lane = self._lanes.get(key)
        if lane is None:
            self._lane_number += 1
            lane = self._lanes[key] = _Lane(sequence.priority, sequence.tenant, self._lane_number)
        return lane

    def _unwait(self, lane: _Lane, sequence: Sequence) -> bool:
        place = bisect_left(lane.by_age, (sequence.number,))
        if place == len(lane.by_age) or lane.by_age[place][1] is not sequence:
            return False
        del lane.by_age[place]
        size = (sequence.remaining, sequence.number)
        del lane.by_size[bisect_left(lane.by_size, size)]
        self.waiting -= 1
        return True

    def check_integrity(self) -> None:
        """Raises RuntimeError if an invariant of this module is broken; meant for idle time."""
        waiting = admitted = 0
        for (priority, name), lane in self._lanes.items():
            members = [one for _, one in lane.by_age + lane.admitted]
            if not members:
                raise RuntimeError("an empty lane was left behind")
            if any((one.priority, one.tenant.name) != (priority, name) for one in members):
                raise RuntimeError("a sequence is in a lane not its own")
            sized = {(size, number, id(one)) for size, number, one in lane.by_size}
            if sized != {(one.remaining, number, id(one)) for number, one in lane.by_age}:
                raise RuntimeError("a lane's orders by age and by size differ")
            if any(not one.remaining for _, one in lane.admitted):
                raise RuntimeError("a fully scheduled prompt is still in the queue")
            waiting += len(lane.by_age)
            admitted += len(lane.admitted)
        if (waiting, admitted) != (self.waiting, self.admitted):
            raise RuntimeError("the queue miscounts")
