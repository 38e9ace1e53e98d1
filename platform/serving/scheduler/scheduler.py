"""Decides what each step computes. One rule: `computed` chases `total`, a sequence at a time.

A step first takes one token (or the few that a grammar forced) of every sequence that decodes,
then fills its token budget with prompts, in the order of the fair queue, none with more than half
of what decoding left unless nobody else wants it. Chunked prefill, decode, prefix hits,
recomputation after preemption and forced text are the same case: tokens that exist and are not
computed.

Memory: a sequence is admitted when there are blocks for all its tokens and some headroom; then it
grows a block at a time. Running sequences stand in order of importance: priority, then age. One
that lacks a block takes it from the least important, which gives up all its blocks, waits, and
later recomputes; the least important itself just pauses. A waiting one takes blocks only from those
of worse priority.

What always holds:

- A token is computed only when its block exists.
- The most important running sequence is never preempted by running ones and waits for memory at
  most until the launched steps are committed, so something always ends.
- A sequence that was preempted k times returns only when 2^k times the headroom is left over, or as
  much as the running ones can ever need, and until then nothing less important is admitted. So
  those it runs with preempt it at most log2(blocks) times.
- A prompt that does not fit is overtaken only until as many tokens as it has were computed.
- Blocks of a sequence that a launched step computes for are released after that step's commit.
- Every accepted sequence ends exactly once: by `finish`, `abort`, `expired` or `discard`.
"""

import time
from bisect import insort
from collections import Counter, deque
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Tokens
from operator import attrgetter

from rostra.serving.config import EngineConfig
from rostra.serving.errors import InvalidParameter, NeverFits, PromptTooLong, QueueFull
from rostra.serving.kv.manager import BlockManager, BlockTable
from rostra.serving.kv.prefix_cache import RootKey
from rostra.serving.request import EngineRequest
from rostra.serving.scheduler.fair_queue import FairQueue
from rostra.serving.scheduler.sequence import Group, Sequence, Status
from rostra.serving.scheduler.step import Chunk, SchedulerStats, Step

_by_rank = attrgetter("rank")


class _Plan:
    """A step being made."""

    __slots__ = ("admitting", "budget", "counts", "preempted")

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.counts: dict[Sequence, int] = {}
        self.preempted: list[Sequence] = []
        self.admitting = True


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
        self._max_context = max_context
        self._max_running = min(config.max_running, config.max_step_tokens)
        self._watermark = max(1, blocks // 100)
        self._clock = clock
        self._kv = BlockManager(blocks, config.block_size)
        self._queue = FairQueue()
        self._running: list[Sequence] = []  # by rank, the most important first
        self._leaving: set[Sequence] = set()  # not running, but a launched step uses their blocks
        self._reserved: list[Sequence] = []  # by rank; admission waits for the first
        self._launched: deque[Step] = deque()
        self._groups: dict[str, Group] = {}
        self._not_begun: dict[str, Group] = {}  # oldest first
        self._number = 0
        self._open = 0
        self._preemptions = 0
        self._computed_tokens = 0
        self._prefix_queries = 0
        self._prefix_hits = 0

    # --- Requests come and go -------------------------------------------------------------------

    def add(self, request: EngineRequest) -> list[Sequence]:
        """Accepts a request; gives its sequences by index.

        Raises:
            InvalidParameter: for an empty prompt, n or max_tokens below 1, or an id that is alive;
                a prompt may be scored with max_tokens 0.
            PromptTooLong: if prompt and new tokens exceed the context.
            NeverFits: if one sequence at its longest needs more blocks than there are.
            QueueFull: if `max_waiting` requests wait already.
        """
        self._check(request)
        prompt = len(request.prompt)
        shared = (prompt - 1) // self._config.block_size * self._config.block_size
        root = self._root(request)
        sampling = request.sampling
        group = Group(request, self._clock(), shared=shared)
        for index in range(request.n):
            self._number += 1
            group.sequences.append(
                Sequence(
                    group=group,
                    index=index,
                    number=self._number,
                    tenant=self._queue.tenant(request.tenant),
                    table=BlockTable(root),
                    tokens=list(request.prompt),
                    limit=prompt + sampling.max_tokens,
                    needs_token=request.grammar is not None
                    or sampling.repetition_penalty != 1
                    or sampling.presence_penalty != 0
                    or sampling.frequency_penalty != 0,
                )
            )
        group.open = request.n
        self._open += request.n
        self._groups[request.id] = self._not_begun[request.id] = group
        self._queue.add(group.sequences[0])
        if not shared:
            self._unfold(group)
        return group.sequences

    def _check(self, request: EngineRequest) -> None:
        prompt, new = len(request.prompt), request.sampling.max_tokens
        scores = request.sampling.prompt_logprobs is not None and new == 0
        for field, value in (("prompt", prompt), ("n", request.n), ("max_tokens", new)):
            if value < 1 and not (field == "max_tokens" and scores):
                raise InvalidParameter(f"{field} must be at least 1, not {value}", field=field)
        if request.id in self._groups:
            raise InvalidParameter(f"a request {request.id!r} is running", field="request_id")
        if prompt + new > self._max_context:
            raise PromptTooLong(
                f"{prompt} prompt tokens and up to {new} new ones exceed the context of"
                f" {self._max_context} tokens",
                hint="shorten the prompt or lower max_tokens",
                field="prompt",
            )
        # A new token's are stored only when another follows it.
        blocks = self._kv.blocks_for(prompt + max(0, new - 1))
        if blocks > self._kv.pool.total:
            raise NeverFits(
                f"the request needs up to {blocks} blocks of key/value memory,"
                f" there are {self._kv.pool.total}",
                hint="shorten the prompt, lower max_tokens, or give the engine more memory",
            )
        if len(self._not_begun) >= self._config.max_waiting:
            raise QueueFull(f"{len(self._not_begun)} requests wait already", hint="try again later")

    def _root(self, request: EngineRequest) -> RootKey | None:
        if self._config.prefix_cache:
            return (request.namespace, request.adapter)
        # Sequences of one request share their prompt all the same.
        return ("", "", request.id) if request.n > 1 else None

    def _unfold(self, group: Group) -> None:
        """Lets in the sequences after the first, which now find its prompt's blocks."""
        group.unfolded = True
        leader = group.leader
        for sequence in group.sequences:
            if sequence is not leader and sequence.status is not Status.ENDED:
                self._queue.add(sequence)

    def finish(self, sequence: Sequence) -> bool:
        """Ends a sequence, in whatever state; gives whether this ended its request.

        A sequence that has ended before is left alone.
        """
        if sequence.status is Status.ENDED:
            return False
        group = sequence.group
        led = not group.unfolded and group.leader is sequence
        self._queue.remove(sequence)
        if sequence.status is Status.RUNNING:
            self._running.remove(sequence)
        sequence.status = Status.ENDED
        if sequence in self._reserved:
            self._reserved.remove(sequence)
        self._vacate(sequence)
        self._queue.close(sequence.tenant)
        self._open -= 1
        group.open -= 1
        if group.ended:
            del self._groups[group.request.id]
            self._not_begun.pop(group.request.id, None)
            root = sequence.table.root
            if root is not None and not self._config.prefix_cache:
                self._kv.forget(root)
        elif led and (heir := group.leader) is not None:
            self._queue.add(heir)
        return group.ended

    def abort(self, request_id: str, index: int | None = None) -> list[Sequence]:
        """Ends a request, or one of its sequences; gives those that this ended.

        Legal at any time; what is unknown or has ended is ignored.
        """
        group = self._groups.get(request_id)
        if group is None:
            return []
        wanted = [
            one
            for one in group.sequences
            if one.status is not Status.ENDED and index in (None, one.index)
        ]
        # The last first, so that no later one is made the leader for nothing.
        for sequence in reversed(wanted):
            self.finish(sequence)
        return wanted

    def expired(self) -> list[Group]:
        """Ends the requests that have waited too long for their first step, and gives them."""
        latest = self._clock() - self._config.max_wait_seconds
        gone: list[Group] = []
        for group in self._not_begun.values():
            if group.arrived >= latest:
                break
            gone.append(group)
        for group in gone:
            self.abort(group.request.id)
        return gone

    @property
    def has_work(self) -> bool:
        """Whether any sequence has not ended, or a launched step is not committed."""
        return self._open > 0 or bool(self._launched)

    # --- A step is made -----------------------------------------------------------------------

    def schedule(self) -> Step:
        """The next step; without chunks if all there is must wait for a commit."""
        plan = _Plan(self._config.max_step_tokens)
        self._decode(plan)
        if len(self._queue):
            self._prefill(plan)
        return self._launch(plan)

    def _decode(self, plan: _Plan) -> None:
        running, counts = self._running, plan.counts
        size = self._config.block_size
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
            if end > len(sequence.blocks) * size and not self._grow(sequence, end, plan):
                plan.admitting = False
                continue
            counts[sequence] = count
            plan.budget -= count
            sequence.tenant.service += count

    def _grow(self, sequence: Sequence, tokens: int, plan: _Plan) -> bool:
        while not self._kv.grow(sequence.table, tokens):
            # Blocks that come with the next commit are waited for before more is taken away.
            if self._leaving or self._running[-1] is sequence:
                return False
            self._preempt(plan)
        return True

    def _preempt(self, plan: _Plan) -> None:
        """The least important running sequence gives up its blocks."""
        victim = self._running.pop()
        plan.budget += plan.counts.pop(victim, 0)
        plan.preempted.append(victim)
        victim.preemptions += 1
        self._preemptions += 1
        self._queue.remove(victim)
        victim.status = Status.WAITING
        insort(self._reserved, victim, key=_by_rank)
        self._vacate(victim)

    def _vacate(self, sequence: Sequence) -> None:
        """Releases the blocks of one that does not run, now or when its last step is committed."""
        if sequence.flights:
            self._leaving.add(sequence)
            return
        self._leaving.discard(sequence)
        self._kv.release(sequence.table)
        sequence.computed = sequence.scheduled = 0
        if sequence.status is Status.WAITING:
            self._queue.add(sequence)

    def _prefill(self, plan: _Plan) -> None:
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
                if not plan.admitting:
                    continue
                sequence, passed = self._first(sequence), sequence
                if not self._admit(sequence, plan):
                    if sequence is not passed:
                        plan.admitting = False
                    continue
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

    def _give(self, sequence: Sequence, count: int, plan: _Plan) -> None:
        plan.counts[sequence] = plan.counts.get(sequence, 0) + count
        plan.budget = max(0, plan.budget - count)
        if not sequence.preemptions:  # nobody pays twice for a token
            sequence.tenant.service += count

    def _first(self, sequence: Sequence) -> Sequence:
        """Who is to be admitted before this one is, or it itself."""
        if self._reserved and self._reserved[0].priority <= sequence.priority:
            return self._reserved[0]
        return sequence

    def _admit(self, sequence: Sequence, plan: _Plan) -> bool:
        """Gives a waiting sequence blocks for all its tokens, if there are enough."""
        if sequence.flights or self._follows(sequence):
            return False
        kv, outranks = self._kv, self._outranks(sequence)
        if len(self._running) >= self._max_running and not outranks:
            plan.admitting = False
            return False
        if self._running and kv.available < sequence.wants and not outranks:
            return self._misfit(sequence)
        # Whose prompt's logits are wanted computes all of it.
        reuse = (
            sequence.request.sampling.prompt_logprobs is None
            or sequence.index > 0
            or sequence.output_length > 0
        )
        match = kv.lookup(sequence.table, sequence.tokens, reuse=reuse)
        if reuse and self._follow(sequence, len(match.nodes)):
            return False
        sequence.wants = match.need + self._headroom(sequence)
        while len(self._running) >= self._max_running or kv.available < sequence.wants:
            if self._leaving or not self._outranks(sequence):
                return self._misfit(sequence, reserve=outranks)
            self._preempt(plan)
            match = kv.lookup(sequence.table, sequence.tokens, reuse=reuse)
            sequence.wants = match.need + self._headroom(sequence)
        hit = kv.open(sequence.table, len(sequence.tokens), match)
        self._queue.admit(sequence)
        sequence.status = Status.RUNNING
        sequence.computed = sequence.scheduled = hit
        sequence.goal = len(sequence.tokens)
        sequence.blocked_at = None
        insort(self._running, sequence, key=_by_rank)
        if sequence in self._reserved:
            self._reserved.remove(sequence)
        if not sequence.preemptions:
            sequence.cached_tokens = hit
            if reuse and self._config.prefix_cache:
                self._prefix_queries += sequence.prompt_length
                self._prefix_hits += hit
        if not sequence.group.begun:
            sequence.group.begun = True
            del self._not_begun[sequence.request.id]
        return True

    def _outranks(self, sequence: Sequence) -> bool:
        return bool(self._running) and self._running[-1].priority > sequence.priority

    def _headroom(self, sequence: Sequence) -> int:
        """Blocks to leave available when this one is admitted."""
        if not self._running:
            return 0  # `add` saw to it that it fits alone
        room = self._watermark << min(sequence.preemptions, 30)
        if not sequence.preemptions:
            return room
        growth = self._kv.blocks_for(sequence.limit - len(sequence.tokens)) + sum(
            self._kv.blocks_for(one.limit) - len(one.blocks) for one in self._running
        )
        return min(room, growth)

    def _misfit(self, sequence: Sequence, *, reserve: bool = False) -> bool:
        """Notes that a sequence did not fit at its turn; after a while, others wait for it."""
        if sequence.blocked_at is None:
            sequence.blocked_at = self._computed_tokens
        overtaken = self._computed_tokens - sequence.blocked_at
        if (reserve or overtaken > len(sequence.tokens)) and sequence not in self._reserved:
            insort(self._reserved, sequence, key=_by_rank)
        return False

    def _follow(self, sequence: Sequence, known: int) -> bool:
        """Whether a running sequence is about to publish the block that this one needs next."""
        keys, root = sequence.table.keys, sequence.table.root
        if known >= len(keys) or root is None:
            return False
        size = self._config.block_size
        for leader in self._queue.begun():
            theirs = leader.table.keys
            if (
                leader.table.root == root
                and leader.tenant is sequence.tenant
                and leader.priority <= sequence.priority
                and len(theirs) > known
                and theirs[known] == keys[known]
            ):
                common = known + 1
                while common < min(len(keys), len(theirs)) and theirs[common] == keys[common]:
                    common += 1
                sequence.leader = (leader, common * size)
                return self._follows(sequence)
        return False

    def _follows(self, sequence: Sequence) -> bool:
        if sequence.leader is None:
            return False
        leader, tokens = sequence.leader
        if leader.status is Status.RUNNING and leader.computed < tokens:
            return True
        sequence.leader = None
        return False

    def _launch(self, plan: _Plan) -> Step:
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
        self._computed_tokens += tokens
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
                    self._kv.publish(sequence.table, sequence.tokens, computed)
                if chunk.start < sequence.prompt_length and not sequence.group.unfolded:
                    self._may_unfold(sequence)
            if chunk.samples:
                sequence.pending -= 1
                new = sampled.get(sequence)
                if new and sequence.status is not Status.ENDED:
                    if sequence.flights and len(new) > 1:
                        raise ValueError(f"{sequence!r} got {len(new)} tokens, a step is under way")
                    sequence.tokens.extend(new)
                    grown.append((sequence, new))
            if sequence.status is not Status.RUNNING and not sequence.flights:
                self._vacate(sequence)
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
                self.finish(sequence)
            elif not sequence.flights:
                self._vacate(sequence)
        return ended

    def _land(self, step: Step) -> None:
        if not self._launched or self._launched[0] is not step:
            raise ValueError("steps are committed in the order in which they were launched")
        self._launched.popleft()

    def _may_unfold(self, sequence: Sequence) -> None:
        group = sequence.group
        if sequence.computed >= group.shared and group.leader is sequence:
            self._unfold(group)

    # --- What there is to see -----------------------------------------------------------------

    def stats(self) -> SchedulerStats:
        """Numbers for metrics."""
        pool = self._kv.pool
        return SchedulerStats(
            running=len(self._running),
            waiting=self._open - len(self._running),
            used_blocks=pool.used,
            cached_blocks=pool.cached,
            free_blocks=pool.free,
            preemptions=self._preemptions,
            computed_tokens=self._computed_tokens,
            prefix_queries=self._prefix_queries,
            prefix_hits=self._prefix_hits,
        )

    def check_integrity(self) -> None:
        """Raises RuntimeError if an invariant is broken; meant for idle time and tests."""
        alive = [one for group in self._groups.values() for one in group.sequences]
        everyone = set(alive) | self._leaving
        self._kv.check_integrity(one.table for one in everyone)
        self._queue.check_integrity()
        flights: Counter[Sequence] = Counter()
        pending: Counter[Sequence] = Counter()
        for step in self._launched:
            flights.update(chunk.sequence for chunk in step.chunks)
            pending.update(chunk.sequence for chunk in step.chunks if chunk.samples)
        for one in everyone | set(flights):
            if (one.flights, one.pending) != (flights[one], pending[one]):
                raise RuntimeError(f"{one!r} miscounts the steps under way")
            if not one.computed <= one.scheduled <= one.total <= one.limit + one.pending:
                raise RuntimeError(f"{one!r} has its counters in disorder")
            if one.scheduled > len(one.blocks) * self._config.block_size:
                raise RuntimeError(f"{one!r} computes tokens without a block")
            if one.blocks and one.status is not Status.RUNNING and one not in self._leaving:
                raise RuntimeError(f"{one!r} holds blocks and does not run")
        if self._running != sorted(self._running, key=_by_rank):
            raise RuntimeError("running sequences are out of order")
        running = {one for one in alive if one.status is Status.RUNNING}
        if running != set(self._running) or len(self._running) > self._max_running:
            raise RuntimeError("the running sequences are not those that run")
        if any(not one.flights for one in self._leaving) or running & self._leaving:
            raise RuntimeError("a sequence keeps blocks that nothing uses")
        if any(one.status is not Status.WAITING for one in self._reserved):
            raise RuntimeError("admission waits for a sequence that does not wait")
        queued = set(self._queue)
        for group in self._groups.values():
            unended = [one for one in group.sequences if one.status is not Status.ENDED]
            if len(unended) != group.open or not unended:
                raise RuntimeError(f"request {group.request.id} miscounts its sequences")
            for one in unended:
                folded = not group.unfolded and one is not unended[0]
                prompt = one.status is Status.RUNNING and one.scheduled < one.goal
                waits = one.status is Status.WAITING and not one.flights and not folded
                if (one in queued) != (prompt or waits):
                    raise RuntimeError(f"{one!r} is in the queue wrongly, or wrongly not")
        if sum(group.open for group in self._groups.values()) != self._open:
            raise RuntimeError("open sequences are miscounted")
