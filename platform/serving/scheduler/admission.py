"""Who is let in: a waiting sequence that has its turn gets blocks for all its tokens, or waits on.

It is admitted when there are blocks for all its tokens and some headroom (see `memory`), and takes
blocks only from running ones of worse priority.

What always holds: a prompt that does not fit is overtaken only until as many tokens as it has were
computed; from then on nothing less important is admitted before it.
"""

from rostra.serving.config import EngineConfig
from rostra.serving.scheduler.fair_queue import FairQueue
from rostra.serving.scheduler.leaders import finds_leader, follows
from rostra.serving.scheduler.memory import Memory
from rostra.serving.scheduler.sequence import Sequence
from rostra.serving.scheduler.step import Counts, Plan


class Admission:
    """Gives waiting sequences their blocks.

    Args:
        config: `max_running`, `max_step_tokens` and `prefix_cache` are read.
        memory: the blocks, and who runs.
        queue: of those that wait.
        counts: of tokens computed, and of prefix hits.

    Attributes:
        max_running: so many sequences run at most; each may take a token of a step.
    """

    def __init__(
        self, config: EngineConfig, memory: Memory, queue: FairQueue, counts: Counts
    ) -> None:
        self.max_running = min(config.max_running, config.max_step_tokens)
        self._prefix_cache = config.prefix_cache
        self._memory = memory
        self._queue = queue
        self._counts = counts

    def turn(self, sequence: Sequence, plan: Plan) -> Sequence | None:
        """A waiting sequence has its turn; gives who was admitted: it, or one that goes before it.

        None if that one has to wait; then `plan.admitting` tells whether others may come in.
        """
        first, reserved = sequence, self._memory.reserved
        if reserved and reserved[0].priority <= sequence.priority:
            first = reserved[0]
        if self._admit(first, plan):
            return first
        if first is not sequence:
            plan.admitting = False
        return None

    def _admit(self, sequence: Sequence, plan: Plan) -> bool:
        """Gives a waiting sequence blocks for all its tokens, if there are enough."""
        if sequence.flights or follows(sequence):
            return False
        memory = self._memory
        kv, outranks = memory.kv, memory.outranked(sequence)
        if len(memory.running) >= self.max_running and not outranks:
            plan.admitting = False
            return False
        if memory.running and kv.available < sequence.wants and not outranks:
            return self._misfit(sequence)
        # Whose prompt's logits are wanted computes all of it.
        reuse = (
            sequence.request.sampling.prompt_logprobs is None
            or sequence.index > 0
            or sequence.output_length > 0
        )
        match = kv.lookup(sequence.table, sequence.tokens, reuse=reuse)
        if reuse and finds_leader(sequence, len(match.nodes), self._queue.begun(), kv.block_size):
            return False
        sequence.wants = match.need + memory.headroom(sequence)
        while len(memory.running) >= self.max_running or kv.available < sequence.wants:
            if memory.leaving or not memory.outranked(sequence):
                return self._misfit(sequence, reserve=outranks)
            memory.preempt(plan)
            match = kv.lookup(sequence.table, sequence.tokens, reuse=reuse)
            sequence.wants = match.need + memory.headroom(sequence)
        hit = memory.enter(sequence, match)
        sequence.blocked_at = None
        if not sequence.preemptions:
            sequence.cached_tokens = hit
            if reuse and self._prefix_cache:
                self._counts.prefix_queries += sequence.prompt_length
                self._counts.prefix_hits += hit
        return True

    def _misfit(self, sequence: Sequence, *, reserve: bool = False) -> bool:
        """Notes that a sequence did not fit at its turn; after a while, others wait for it."""
        computed = self._counts.computed_tokens
        if sequence.blocked_at is None:
            sequence.blocked_at = computed
        overtaken = computed - sequence.blocked_at
        late = reserve or overtaken > len(sequence.tokens)
        if late and sequence not in self._memory.reserved:
            self._memory.reserve(sequence)
        return False
