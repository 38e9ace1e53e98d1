"""Who holds blocks, who gives them up on shortage, and what keeps that from going on for ever.

Running sequences stand in order of importance: priority, then age. They grow a block at a time. One
that lacks a block takes it from the least important, which gives up all its blocks, waits, and
later recomputes; the least important itself just pauses.

What always holds:

- The most important running sequence is never preempted by running ones and waits for memory at
  most until the launched steps are committed, so something always ends.
- A sequence that was preempted k times returns only when 2^k times the headroom is left over, or as
  much as the running ones can ever need, and until then nothing less important is admitted. So
  those it runs with preempt it at most log2(blocks) times.
- Blocks of a sequence that a launched step computes for are released after that step's commit.
"""

from bisect import insort
from operator import attrgetter

from rostra.serving.kv.manager import BlockManager, Match
from rostra.serving.scheduler.fair_queue import FairQueue
from rostra.serving.scheduler.sequence import Sequence, Status
from rostra.serving.scheduler.step import Counts, Plan

by_rank = attrgetter("rank")


class Memory:
    """The blocks, and the sequences that run on them.

    Args:
        blocks: how many there are.
        block_size: tokens of one.
        queue: where those that lose their blocks wait.
        counts: of what happens here.

    Attributes:
        kv: the blocks.
        running: by rank, the most important first.
        leaving: not running, but a launched step uses their blocks.
        reserved: waiting ones that what is freed is kept for, by rank; admission waits for the
            first.
    """

    def __init__(self, blocks: int, block_size: int, queue: FairQueue, counts: Counts) -> None:
        self.kv = BlockManager(blocks, block_size)
        self.running: list[Sequence] = []
        self.leaving: set[Sequence] = set()
        self.reserved: list[Sequence] = []
        self._watermark = max(1, blocks // 100)
        self._queue = queue
        self._counts = counts

    def enter(self, sequence: Sequence, match: Match) -> int:
        """A waiting sequence begins to run; gives how many of its tokens it need not compute.

        Raises:
            OutOfBlocks: if `match.need` exceeds what is available.
        """
        hit = self.kv.open(sequence.table, len(sequence.tokens), match)
        self._queue.admit(sequence)
        sequence.status = Status.RUNNING
        sequence.computed = sequence.scheduled = hit
        sequence.goal = len(sequence.tokens)
        insort(self.running, sequence, key=by_rank)
        if sequence in self.reserved:
            self.reserved.remove(sequence)
        return hit

    def grow(self, sequence: Sequence, tokens: int, plan: Plan) -> bool:
        """Room for so many tokens of a running sequence; False if it has to pause."""
        while not self.kv.grow(sequence.table, tokens):
            # Blocks that come with the next commit are waited for before more is taken away.
            if self.leaving or self.running[-1] is sequence:
                return False
            self.preempt(plan)
        return True

    def preempt(self, plan: Plan) -> None:
        """The least important running sequence gives up its blocks."""
        victim = self.running.pop()
        plan.budget += plan.counts.pop(victim, 0)
        plan.preempted.append(victim)
        victim.preemptions += 1
        self._counts.preemptions += 1
        self._queue.remove(victim)
        victim.status = Status.WAITING
        self.reserve(victim)
        self.vacate(victim)

    def reserve(self, sequence: Sequence) -> None:
        """What is freed is kept for this one before any less important one."""
        insort(self.reserved, sequence, key=by_rank)

    def vacate(self, sequence: Sequence) -> None:
        """Releases the blocks of one that does not run, now or when its last step is committed."""
        if sequence.flights:
            self.leaving.add(sequence)
            return
        self.leaving.discard(sequence)
        self.kv.release(sequence.table)
        sequence.computed = sequence.scheduled = 0
        if sequence.status is Status.WAITING:
            self._queue.add(sequence)

    def end(self, sequence: Sequence) -> None:
        """A sequence ends, whether it waits or runs."""
        self._queue.remove(sequence)
        if sequence.status is Status.RUNNING:
            self.running.remove(sequence)
        sequence.status = Status.ENDED
        if sequence in self.reserved:
            self.reserved.remove(sequence)
        self.vacate(sequence)

    def outranked(self, sequence: Sequence) -> bool:
        """Whether one of worse priority runs, so that this one may take its place."""
        return bool(self.running) and self.running[-1].priority > sequence.priority

    def headroom(self, sequence: Sequence) -> int:
        """Blocks to leave available when this one is admitted."""
        if not self.running:
            return 0  # `Requests.add` saw to it that it fits alone
        room = self._watermark << min(sequence.preemptions, 30)
        if not sequence.preemptions:
            return room
        growth = self.kv.blocks_for(sequence.limit - len(sequence.tokens)) + sum(
            self.kv.blocks_for(one.limit) - len(one.blocks) for one in self.running
        )
        return min(room, growth)
