"""Decides what each step computes. One rule: `computed` chases `total`, a sequence at a time.

A step first takes one token (or the few that a grammar forced) of every sequence that decodes,
then fills its token budget with prompts, in the order of the fair queue, none with more than half
of what decoding left unless nobody else wants it. Chunked prefill, decode, prefix hits,
recomputation after preemption and forced text are the same case: tokens that exist and are not
computed.

What always holds:

- A token is computed only when its block exists (`memory`, which also bounds preemption).
- A prompt that does not fit is overtaken only for a while (`admission`).
- Every accepted sequence ends exactly once: by `finish`, `abort`, `expired` or `discard`
  (`requests`).
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Tokens

from rostra.serving.config import EngineConfig
from rostra.serving.request import EngineRequest
from rostra.serving.scheduler.admission import Admission
from rostra.serving.scheduler.fair_queue import FairQueue
from rostra.serving.scheduler.integrity import check_integrity
from rostra.serving.scheduler.memory import Memory
from rostra.serving.scheduler.requests import Requests
from rostra.serving.scheduler.sequence import Group, Sequence, Status
from rostra.serving.scheduler.step import Chunk, Counts, Plan, SchedulerStats, Step


class Scheduler:
    """Owns all sequences and their blocks.

    Steps are committed in the order in which they were made; to overlap, make the next step before
    the last one is committed.

    Args:
        config: `max_running`, `max_step_tokens`, `max_waiting`, `max_wait_seconds`, `block_size`,
            `prefix_cache` and `chunked_prefill` are read.
        blocks: key/value blocks there are; they are numbered from 0.
        max_context: most tokens of one sequence.
        clock: seconds; for `expired`.
    """

    def __init__(
        self,
        config: EngineConfig,
        blocks: int,
        max_context: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._counts = Counts()
        self._queue = FairQueue()
        self._memory = Memory(blocks, config.block_size, self._queue, self._counts)
        self._admission = Admission(config, self._memory, self._queue, self._counts)
        self._requests = Requests(config, self._memory, self._queue, max_context, clock)
        self._launched: deque[Step] = deque()

    # --- A step is made -----------------------------------------------------------------------

    def schedule(self) -> Step:
        """The next step; without chunks if all there is must wait for a commit."""
        plan = Plan(self._config.max_step_tokens)
        self._decode(plan)
        if len(self._queue):
            self._prefill(plan)
        return self._launch(plan)

    def _decode(self, plan: Plan) -> None:
        memory, counts = self._memory, plan.counts
        running, size = memory.running, self._config.block_size
        position = 0
        while position < len(running) and plan.budget:  # preemption shortens the list
            sequence = running[position]
            position += 1
            if sequence.scheduled < sequence.goal or (sequence.pending and sequence.needs_token):
                continue
            total = len(sequence.tokens) + sequence.pending
            count = total - sequence.scheduled
            if not count or total >= sequence.limit:
                continue
            count = min(count, plan.budget)
            end = sequence.scheduled + count
            if end > len(sequence.blocks) * size and not memory.grow(sequence, end, plan):
                plan.admitting = False
                continue
            counts[sequence] = count
            plan.budget -= count
            sequence.tenant.service += count

    def _prefill(self, plan: Plan) -> None:
        chunked = self._config.chunked_prefill
        share = max(1, plan.budget // 2)
        begun = self._queue.admitted
        parts: list[Sequence] = []
        for sequence in self._queue.turns():
            if not plan.budget or not (begun or plan.admitting):
                break
            if sequence in plan.counts:
                continue
            if sequence.status is Status.WAITING:
                admitted = self._admission.turn(sequence, plan) if plan.admitting else None
                if admitted is None:
                    continue
                sequence = admitted
                self._requests.begin(sequence.group)
            else:
                begun -= 1
            count = sequence.remaining
            if chunked:
                count = min(count, share, plan.budget)
            elif count > plan.budget and parts:
                plan.admitting = False
                continue  # a later step has room for it
            parts.append(sequence)
            self._give(sequence, count, plan)
        for sequence in parts:
            if plan.budget and sequence in plan.counts:
                left = sequence.remaining - plan.counts[sequence]
                self._give(sequence, min(left, plan.budget), plan)

    def _give(self, sequence: Sequence, count: int, plan: Plan) -> None:
        plan.counts[sequence] = plan.counts.get(sequence, 0) + count
        plan.budget = max(0, plan.budget - count)
        if not sequence.preemptions:  # nobody pays twice for a token
            sequence.tenant.service += count

    def _launch(self, plan: Plan) -> Step:
        chunks: list[Chunk] = []
        tokens = 0
        for sequence, count in plan.counts.items():
            start = sequence.scheduled
            end = sequence.scheduled = start + count
            known = len(sequence.tokens)
            samples = end == known + sequence.pending
            chunks.append(Chunk(sequence, start, count, samples, end > known))
            if samples:
                sequence.pending += 1
            sequence.flights += 1
            tokens += count
            if start < sequence.goal <= end:
                self._queue.remove(sequence)
        self._counts.computed_tokens += tokens
        self._queue.advance(tokens)
        step = Step(tuple(chunks), tokens, tuple(plan.preempted))
        self._launched.append(step)
        return step

    # --- A step is done -----------------------------------------------------------------------

    def commit(
        self, step: Step, sampled: Mapping[Sequence, Tokens[int]]
    ) -> list[tuple[Sequence, Tokens[int]]]:
        """Takes in what a launched step has computed.

        Args:
            step: the oldest that is not committed.
            sampled: for each chunk that samples, the new tokens: the sampled one, and any that the
                grammar forces after it. A sequence without any here gets none and must be ended.

        Returns:
            The sequences that have not ended, with their new tokens, in the step's order. Those
            that ended after the launch are left out; what was computed for them is dropped.

        Raises:
            ValueError: if the step's turn has not come, or a sequence got several tokens while a
                later step already computes for it.
        """
        self._land(step)
        grown: list[tuple[Sequence, Tokens[int]]] = []
        for chunk in step.chunks:
            sequence = chunk.sequence
            sequence.flights -= 1
            if sequence.status is not Status.ENDED:
                computed = sequence.computed = chunk.start + chunk.count
                if computed // self._config.block_size > sequence.table.published:
                    self._memory.kv.publish(sequence.table, sequence.tokens, computed)
                if chunk.start < sequence.prompt_length and not sequence.group.unfolded:
                    self._requests.prompt_computed(sequence)
            if chunk.samples:
                sequence.pending -= 1
                new = sampled.get(sequence)
                if new and sequence.status is not Status.ENDED:
                    if sequence.flights and len(new) > 1:
                        raise ValueError(f"{sequence!r} got {len(new)} tokens, a step is under way")
                    sequence.tokens.extend(new)
                    grown.append((sequence, new))
            if sequence.status is not Status.RUNNING and not sequence.flights:
                self._memory.vacate(sequence)
        return grown

    def discard(self, step: Step) -> list[Sequence]:
        """Takes back a step that could not be computed: its sequences end, nothing is published.

        Gives the sequences that this ended. Discard later steps that were launched, too.

        Raises:
            ValueError: if the step's turn has not come.
        """
        self._land(step)
        ended: list[Sequence] = []
        for chunk in step.chunks:
            sequence = chunk.sequence
            sequence.flights -= 1
            sequence.pending -= chunk.samples
            if sequence.status is not Status.ENDED:
                ended.append(sequence)
                self._requests.finish(sequence)
            elif not sequence.flights:
                self._memory.vacate(sequence)
        return ended

    def _land(self, step: Step) -> None:
        if not self._launched or self._launched[0] is not step:
            raise ValueError("steps are committed in the order in which they were launched")
        self._launched.popleft()

    # --- Requests come and go -----------------------------------------------------------------

    def add(self, request: EngineRequest) -> list[Sequence]:
        """Accepts a request; gives its sequences by index.

        Raises:
            InvalidParameter: for an empty prompt, n or max_tokens below 1, or an id that is alive;
                a prompt may be scored with max_tokens 0.
            PromptTooLong: if prompt and new tokens exceed the context.
            NeverFits: if one sequence at its longest needs more blocks than there are.
            QueueFull: if `max_waiting` requests wait already.
        """
        return self._requests.add(request)

    def finish(self, sequence: Sequence) -> bool:
        """Ends a sequence, in whatever state; gives whether this ended its request.

        A sequence that has ended before is left alone.
        """
        return self._requests.finish(sequence)

    def abort(self, request_id: str, index: int | None = None) -> list[Sequence]:
        """Ends a request, or one of its sequences; gives those that this ended.

        Legal at any time; what is unknown or has ended is ignored.
        """
        return self._requests.abort(request_id, index)

    def expired(self) -> list[Group]:
        """Ends the requests that have waited too long for their first step, and gives them."""
        return self._requests.expired()

    @property
    def has_work(self) -> bool:
        """Whether any sequence has not ended, or a launched step is not committed."""
        return self._requests.open > 0 or bool(self._launched)

    # --- What there is to see -----------------------------------------------------------------

    def stats(self) -> SchedulerStats:
        """Numbers for metrics."""
        pool, running = self._memory.kv.pool, len(self._memory.running)
        return SchedulerStats(
            running=running,
            waiting=self._requests.open - running,
            used_blocks=pool.used,
            cached_blocks=pool.cached,
            free_blocks=pool.free,
            preemptions=self._counts.preemptions,
            computed_tokens=self._counts.computed_tokens,
            prefix_queries=self._counts.prefix_queries,
            prefix_hits=self._counts.prefix_hits,
        )

    def check_integrity(self) -> None:
        """Raises RuntimeError if an invariant is broken; meant for idle time and tests."""
        check_integrity(
            self._requests,
            self._queue,
            self._memory,
            self._launched,
            self._admission.max_running,
        )
