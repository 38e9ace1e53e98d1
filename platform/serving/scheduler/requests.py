"""Requests come and go: refused at once where they cannot be served, ended exactly once.

A request's `n` sequences share its prompt. Only the first, the leader, waits at first; the others
are let in once it has computed what they share, and then find its blocks.

What always holds: every accepted sequence ends exactly once, in whatever state it is.
"""

from collections.abc import Callable

from rostra.serving.config import EngineConfig
from rostra.serving.errors import InvalidParameter, NeverFits, PromptTooLong, QueueFull
from rostra.serving.kv.manager import BlockTable
from rostra.serving.kv.prefix_cache import RootKey
from rostra.serving.request import EngineRequest
from rostra.serving.scheduler.fair_queue import FairQueue
from rostra.serving.scheduler.memory import Memory
from rostra.serving.scheduler.sequence import Group, Sequence, Status


class Requests:
    """All that were accepted and have not ended.

    Args:
        config: `max_waiting`, `max_wait_seconds`, `block_size` and `prefix_cache` are read.
        memory: the blocks, and who runs.
        queue: of the sequences that wait.
        max_context: most tokens of one sequence.
        clock: seconds; for `expired`.

    Attributes:
        groups: by the request's id.
        open: sequences that have not ended.
    """

    def __init__(
        self,
        config: EngineConfig,
        memory: Memory,
        queue: FairQueue,
        max_context: int,
        clock: Callable[[], float],
    ) -> None:
        self.groups: dict[str, Group] = {}
        self.open = 0
        self._not_begun: dict[str, Group] = {}  # oldest first
        self._number = 0
        self._config = config
        self._memory = memory
        self._queue = queue
        self._max_context = max_context
        self._clock = clock

    # --- They come ----------------------------------------------------------------------------

    def add(self, request: EngineRequest) -> list[Sequence]:
        """See `Scheduler.add`."""
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
        self.open += request.n
        self.groups[request.id] = self._not_begun[request.id] = group
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
        if request.id in self.groups:
            raise InvalidParameter(f"a request {request.id!r} is running", field="request_id")
        if prompt + new > self._max_context:
            raise PromptTooLong(
                f"{prompt} prompt tokens and up to {new} new ones exceed the context of"
                f" {self._max_context} tokens",
                hint="shorten the prompt or lower max_tokens",
                field="prompt",
            )
        kv = self._memory.kv
        # A new token's are stored only when another follows it.
        blocks = kv.blocks_for(prompt + max(0, new - 1))
        if blocks > kv.pool.total:
            raise NeverFits(
                f"the request needs up to {blocks} blocks of key/value memory,"
                f" there are {kv.pool.total}",
                hint="shorten the prompt, lower max_tokens, or give the engine more memory",
            )
        if len(self._not_begun) >= self._config.max_waiting:
            raise QueueFull(f"{len(self._not_begun)} requests wait already", hint="try again later")

    def _root(self, request: EngineRequest) -> RootKey | None:
        if self._config.prefix_cache:
            return (request.namespace, request.adapter)
        # Sequences of one request share their prompt all the same.
        return ("", "", request.id) if request.n > 1 else None

    # --- They are computed --------------------------------------------------------------------

    def begin(self, group: Group) -> None:
        """One of a request's sequences was admitted."""
        if not group.begun:
            group.begun = True
            del self._not_begun[group.request.id]

    def prompt_computed(self, sequence: Sequence) -> None:
        """More of a sequence's prompt is there; lets in its siblings if it is what they share."""
        group = sequence.group
        if sequence.computed >= group.shared and group.leader is sequence:
            self._unfold(group)

    def _unfold(self, group: Group) -> None:
        """Lets in the sequences after the first, which now find its prompt's blocks."""
        group.unfolded = True
        leader = group.leader
        for sequence in group.sequences:
            if sequence is not leader and sequence.status is not Status.ENDED:
                self._queue.add(sequence)

    # --- They end -----------------------------------------------------------------------------

    def finish(self, sequence: Sequence) -> bool:
        """See `Scheduler.finish`."""
        if sequence.status is Status.ENDED:
            return False
        group = sequence.group
        led = not group.unfolded and group.leader is sequence
        self._memory.end(sequence)
        self._queue.close(sequence.tenant)
        self.open -= 1
        group.open -= 1
        if group.ended:
            del self.groups[group.request.id]
            self._not_begun.pop(group.request.id, None)
            root = sequence.table.root
            if root is not None and not self._config.prefix_cache:
                self._memory.kv.forget(root)
        elif led and (heir := group.leader) is not None:
            self._queue.add(heir)
        return group.ended

    def abort(self, request_id: str, index: int | None = None) -> list[Sequence]:
        """See `Scheduler.abort`."""
        group = self.groups.get(request_id)
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
        """See `Scheduler.expired`."""
        latest = self._clock() - self._config.max_wait_seconds
        gone: list[Group] = []
        for group in self._not_begun.values():
            if group.arrived >= latest:
                break
            gone.append(group)
        for group in gone:
            self.abort(group.request.id)
        return gone
