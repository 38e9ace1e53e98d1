"""Drives a scheduler as an engine would, with a model that only remembers what it was given.

Each slot of the fake key/value memory holds a number that stands for one prefix of one namespace,
token by token. So a block table with a wrong block in it, from whatever cause, is seen at once.
"""

import random
from collections import Counter, deque
from zlib import crc32

from rostra.serving.config import EngineConfig
from rostra.serving.request import EngineRequest, SamplingParams
from rostra.serving.scheduler.scheduler import Scheduler
from rostra.serving.scheduler.sequence import Sequence, Status
from rostra.serving.scheduler.step import Step


def request(
    id: str = "a",
    prompt: int | list[int] = 8,
    new: int = 4,
    *,
    penalty: float = 0.0,
    prompt_logprobs: int | None = None,
    **fields: object,
) -> EngineRequest:
    """A request; a number as prompt makes so many tokens that no other request shares."""
    if isinstance(prompt, int):
        prompt = [crc32(f"{id} {position}".encode()) for position in range(prompt)]
    sampling = SamplingParams(
        max_tokens=new, presence_penalty=penalty, prompt_logprobs=prompt_logprobs
    )
    return EngineRequest(id=id, prompt=prompt, sampling=sampling, **fields)  # type: ignore[arg-type]


def config(**fields: object) -> EngineConfig:
    """Small blocks, so that little happens in few steps."""
    return EngineConfig(**({"block_size": 4, "max_step_tokens": 32} | fields))  # type: ignore[arg-type]


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Driver:
    """An engine's loop around a scheduler, checking every step.

    Args:
        config: of the scheduler.
        blocks: key/value blocks.
        overlap: launch a step before the last one is committed.
        vocabulary: sampled tokens are below this; few, so that outputs coincide.
        seed: of the sampled tokens.
    """

    def __init__(
        self,
        config: EngineConfig,
        blocks: int = 64,
        max_context: int = 4096,
        *,
        overlap: bool = False,
        vocabulary: int = 3,
        seed: int = 0,
    ) -> None:
        self.config = config
        self.clock = Clock()
        self.scheduler = Scheduler(config, blocks, max_context, self.clock)
        self.blocks = blocks
        self.overlap = overlap
        self.launched: deque[tuple[Step, dict[Sequence, int], dict[Sequence, list[int]]]] = deque()
        self.expected: dict[Sequence, list[int]] = {}  # what a sequence's tokens must be
        self.ends: Counter[Sequence] = Counter()
        self.computed: Counter[str] = Counter()  # tokens, by tenant
        self.steps = 0
        self.check_every = 1
        self._slots: dict[int, list[int]] = {
            block: [-1] * config.block_size for block in range(blocks)
        }
        self._states: dict[tuple[object, int], int] = {}
        self._on_device: dict[Sequence, int] = {}
        self._random = random.Random(seed)
        self._vocabulary = vocabulary

    # --- What a caller does ---

    def add(self, request: EngineRequest) -> list[Sequence]:
        sequences = self.scheduler.add(request)
        for sequence in sequences:
            assert sequence.tokens == request.prompt
            self.expected[sequence] = list(request.prompt)
        return sequences

    def abort(self, request_id: str, index: int | None = None) -> None:
        for sequence in self.scheduler.abort(request_id, index):
            self._end(sequence)

    def expire(self) -> list[str]:
        gone = self.scheduler.expired()
        for group in gone:
            assert not group.begun and group.ended
            for sequence in group.sequences:
                if not self.ends[sequence]:  # some may have been aborted before
                    self._end(sequence)
        return [group.request.id for group in gone]

    def step(self, force: int = 1) -> Step:
        """One turn of the loop; `force` is how many tokens a sequence gets at most."""
        while len(self.launched) > self.overlap:
            self.commit(force)
        step = self.launch()
        while len(self.launched) > (1 if self.overlap and step.chunks else 0):
            self.commit(force)
        return step

    def run(self, most: int = 10_000) -> int:
        """Until all has ended; the number of steps."""
        begin = self.steps
        while self.scheduler.has_work:
            self.step()
            if self.steps - begin > most:
                raise AssertionError(f"no end in {most} steps: {self.scheduler.stats()}")
        self.check_idle()
        return self.steps - begin

    # --- The loop's halves ---

    def launch(self) -> Step:
        waiting = [one for one in self.expected if one.status is Status.WAITING]
        step = self.scheduler.schedule()
        self.steps += 1
        stuck = [one for one in waiting if one.status is Status.WAITING and one.preemptions]
        begun = [one for one in waiting if one.status is Status.RUNNING and not one.preemptions]
        assert all(new.rank < old.rank for new in begun for old in stuck), "overtaken"
        config = self.config
        assert len({chunk.sequence for chunk in step.chunks}) == len(step.chunks)
        assert len(step.chunks) <= config.max_running
        assert step.tokens == sum(chunk.count for chunk in step.chunks)
        prompts = [chunk for chunk in step.chunks if chunk.start < chunk.sequence.goal]
        if config.chunked_prefill or len(prompts) > 1:
            assert step.tokens <= config.max_step_tokens
        if not config.chunked_prefill:
            assert all(one.start + one.count == one.sequence.goal for one in prompts)
        draws: dict[Sequence, int] = {}
        tables: dict[Sequence, list[int]] = {}
        for chunk in step.chunks:
            sequence = chunk.sequence
            assert sequence.status is Status.RUNNING and chunk.count > 0
            tokens = list(sequence.tokens)
            assert tokens == self.expected[sequence]
            end = chunk.start + chunk.count
            assert chunk.pending == (end > len(tokens))
            if chunk.pending:
                assert not sequence.needs_token and chunk.count == 1
                tokens.append(self._on_device[sequence])
            assert chunk.samples == (end == len(tokens))
            self._compute(sequence, tokens, chunk.start, end)
            self.computed[sequence.tenant.name] += chunk.count
            tables[sequence] = list(sequence.blocks)
            if chunk.samples:
                draws[sequence] = self._random.randrange(self._vocabulary)
                self._on_device[sequence] = draws[sequence]
        self.launched.append((step, draws, tables))
        self.check()
        return step

    def commit(self, force: int = 1) -> None:
        step, draws, _ = self.launched[0]
        sampled: dict[Sequence, list[int]] = {}
        scored = [one for one in draws if one.limit == one.prompt_length]
        for sequence, token in draws.items():
            if sequence in scored:
                continue
            new = [token]
            if sequence.needs_token or len(self.launched) == 1:
                room = sequence.limit - len(sequence.tokens)
                wanted = self._random.randint(1, force)
                new += [self._random.randrange(self._vocabulary) for _ in range(wanted - 1)]
                new = new[:room]
            sampled[sequence] = new
        alive = [one for one in sampled if one.status is not Status.ENDED]
        grown = self.scheduler.commit(step, sampled)
        self.launched.popleft()
        assert [one for one, _ in grown] == alive
        for sequence, new in grown:
            self.expected[sequence] += new
            assert sequence.tokens == self.expected[sequence]
            if len(sequence.tokens) >= sequence.limit:
                group = sequence.group
                assert self.scheduler.finish(sequence) == (group.open == 0)
                assert not self.scheduler.finish(sequence)
                self._end(sequence)
        for sequence in scored:
            if sequence.status is not Status.ENDED:
                self.scheduler.finish(sequence)
                self._end(sequence)
        self.check()

    def discard(self) -> None:
        """All launched steps fail."""
        while self.launched:
            step, _, _ = self.launched.popleft()
            for sequence in self.scheduler.discard(step):
                self._end(sequence)
        self.check()

    # --- What must hold ---

    def check(self) -> None:
        if self.steps % self.check_every:
            return
        self.scheduler.check_integrity()
        stats = self.scheduler.stats()
        assert stats.used_blocks + stats.cached_blocks + stats.free_blocks == self.blocks
        for _, _, tables in self.launched:
            for sequence, blocks in tables.items():
                assert sequence.blocks[: len(blocks)] == blocks, "released under a launched step"
        for sequence in self.expected:
            assert self.ends[sequence] == (sequence.status is Status.ENDED)

    def check_idle(self) -> None:
        stats = self.scheduler.stats()
        assert (stats.running, stats.waiting, stats.used_blocks) == (0, 0, 0)
        assert all(self.ends[sequence] == 1 for sequence in self.expected)

    def _end(self, sequence: Sequence) -> None:
        assert sequence.status is Status.ENDED
        self.ends[sequence] += 1

    def _compute(self, sequence: Sequence, tokens: list[int], start: int, end: int) -> None:
        size = self.config.block_size
        request = sequence.request
        state: object = (request.namespace, request.adapter)
        for position, token in enumerate(tokens[:end]):
            state = self._states.setdefault((state, token), len(self._states))
            block = sequence.blocks[position // size]
            slots = self._slots[block]
            if position >= start:
                slots[position % size] = state
            else:
                assert slots[position % size] == state, f"{sequence!r} reads another's {position}"
