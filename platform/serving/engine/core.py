"""The engine's loop: requests in, events out, one step of the model at a time.

What always holds: an accepted request gets `Tokens` events and then exactly one `RequestEnd`; a
sequence's last `Tokens` event carries its `finish_reason`; a request that fails fails alone. Not
safe to share between threads; a process or a caller of its own drives it.
"""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import msgspec
import torch

from rostra.core import ConfigError, RostraError, get_logger, pick_device, pick_dtype
from rostra.serving.attention.backend import bytes_per_block, make_backend
from rostra.serving.config import EngineConfig
from rostra.serving.engine.frontend import vocabulary_of
from rostra.serving.engine.graphed import GraphedDecode
from rostra.serving.engine.info import EngineInfo
from rostra.serving.engine.memory import activation_bytes, device_memory, kv_blocks
from rostra.serving.engine.metrics import EngineStats
from rostra.serving.engine.runner import Draw, Launched, Runner
from rostra.serving.engine.wire import pack_error
from rostra.serving.errors import EngineOutOfMemory, InvalidParameter, QueueFull, WaitedTooLong
from rostra.serving.grammar.matcher import Matcher, prepare, start_matcher
from rostra.serving.grammar.vocabulary import Vocabulary
from rostra.serving.models.load import load_decoder
from rostra.serving.request import (
    EngineEvent,
    EngineRequest,
    FinishReason,
    RequestEnd,
    TokenLogprobs,
    Tokens,
    Usage,
)
from rostra.serving.scheduler.scheduler import Scheduler
from rostra.serving.scheduler.sequence import Sequence, Status
from rostra.serving.scheduler.step import Step
from rostra.serving.text.tokenizer import TextTokenizer

log = get_logger(__name__)

# Longest wait for a grammar before an idle loop looks at its commands again.
_READING_SECONDS = 0.02


@dataclass(slots=True)
class _Request:
    """What the loop keeps of a request that has not ended.

    Attributes:
        sequences: all of them, by index.
        matchers: of a request with a grammar, by index.
        first_position: the number that its sequences count positions from.
        arrived: seconds, of the loop's clock.
        begun: whether a step has computed for it.
        drawn: tokens drawn for it, end tokens included.
        prompt_logprobs: so far; None when not asked for, or told already.
    """

    request: EngineRequest
    sequences: list[Sequence]
    matchers: list[Matcher]
    first_position: int
    arrived: float
    begun: bool = False
    drawn: int = 0
    prompt_logprobs: list[TokenLogprobs] | None = None


@dataclass(frozen=True, slots=True)
class _Reading:
    """A request whose grammar is being read by another thread.

    Attributes:
        done: set once it is.
        aborted: sequences that nobody wants any more.
    """

    request: EngineRequest
    done: Future[None]
    aborted: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Advance:
    """What a draw means for its sequence.

    Attributes:
        tokens: to append, forced ones included.
        shown: of these, what the caller gets.
        logprobs: of the shown ones, when asked for.
        reason: set when the sequence ends.
        stop: the stop token that ended it.
    """

    tokens: list[int]
    shown: list[int]
    logprobs: list[TokenLogprobs] | None = None
    reason: FinishReason | None = None
    stop: int | None = None


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Key/value memory held by running sequences.

    Attributes:
        sequences: that run.
        tokens: whose keys and values are stored, of all of them.
        blocks: held by them; shared ones count once.
    """

    sequences: int
    tokens: int
    blocks: int


@dataclass(slots=True)
class _Counts:
    """Since the engine was loaded."""

    prompt_tokens: int = 0
    generation_tokens: int = 0
    steps: int = 0
    queue_times: list[float] = field(default_factory=list)


class EngineCore:
    """A loaded model and everything that runs on it.

    Args:
        folder: checkpoint directory.
        config: how to set it up.
        progress: called with the part that is loaded, 0 to 1.
        clock: seconds.

    Raises:
        UnsupportedModel: an architecture or feature that the decoder does not know.
        BrokenCheckpoint: a file is missing, truncated or contradictory.
        ConfigError: the device is not on this machine, or its memory is too small.
    """

    def __init__(
        self,
        folder: Path,
        config: EngineConfig,
        *,
        progress: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._config = config
        self._clock = clock
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        self._device = torch.device(pick_device(config.device))
        dtype = pick_dtype(config.dtype, self._device.type)
        self._decoder = load_decoder(
            folder,
            dtype=dtype,
            device=self._device,
            weights=config.weights,
            batch_invariant=config.batch_invariant,
            max_context=config.max_context,
            progress=progress and (lambda done, total: progress(done / total)),
        )
        model = self._decoder.config
        self._max_context = config.max_context or model.max_context
        if self._max_context > model.max_context:
            raise ConfigError(
                f"max_context: the model's context is {model.max_context} tokens, "
                f"{self._max_context} were asked for"
            )
        free = device_memory(self._device).free - activation_bytes(model, config, dtype)
        self._blocks = kv_blocks(
            model,
            config,
            dtype,
            max(0, free),
            max_context=self._max_context,
            device=self._device.type,
        )
        self._kv_bytes = self._blocks * bytes_per_block(model, dtype, config.block_size)
        self._scheduler = Scheduler(config, self._blocks, self._max_context, clock)
        backend = make_backend(
            model,
            blocks=self._blocks,
            block_size=config.block_size,
            dtype=dtype,
            device=self._device,
            batch_invariant=config.batch_invariant,
        )
        cuda = self._device.type == "cuda"
        graphs = None
        if cuda and config.cuda_graphs and self._decoder.capturable:
            graphs = GraphedDecode(
                self._decoder,
                backend,
                max_batch=min(config.max_running, config.max_step_tokens),
                max_context=self._max_context,
                block_size=config.block_size,
            )
        self._runner = Runner(
            self._decoder,
            backend,
            block_size=config.block_size,
            mask_words=-(-model.vocab_size // 32),
            graphs=graphs,
        )
        self._overlap = cuda if config.overlap is None else config.overlap
        self._requests: dict[str, _Request] = {}
        # Requests whose grammar is being read, oldest first.
        self._reading: dict[str, _Reading] = {}
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="grammar reader")
        self._launched: deque[Launched] = deque()
        self._outbox: list[EngineEvent] = []
        self._counts = _Counts()

    # --- Requests come and go ---

    def add(self, request: EngineRequest) -> None:
        """Accepts a request.

        A grammar is read by another thread first; what is wrong with such a request is told by its
        `RequestEnd`.

        Raises:
            InvalidParameter, PromptTooLong, NeverFits, QueueFull: it is refused, and nothing was
                accepted.
        """
        if request.id in self._reading:
            raise InvalidParameter(f"a request {request.id!r} is running", field="request_id")
        if request.grammar is None:
            self._admit(request)
        elif len(self._reading) >= self._config.max_waiting:
            raise QueueFull(f"{len(self._reading)} requests wait already", hint="Try again later.")
        else:
            vocabulary = self._vocabulary
            done = self._reader.submit(prepare, request.grammar, vocabulary)
            self._reading[request.id] = _Reading(request, done)

    def _admit(self, request: EngineRequest) -> None:
        peak = len(request.prompt) + request.sampling.max_tokens
        first = self._decoder.first_position(peak)
        if first:
            # Keys rotated in another way are of no use to others.
            request = msgspec.structs.replace(request, adapter=f"{request.adapter}@{first}")
        matchers = self._matchers(request)
        if matchers and all(matcher.finished for matcher in matchers):
            self._end_empty(request)
            return
        sequences = self._scheduler.add(request)
        wanted = request.sampling.prompt_logprobs is not None
        self._requests[request.id] = _Request(
            request,
            sequences,
            matchers,
            first,
            self._clock(),
            prompt_logprobs=[] if wanted else None,
        )

    def _end_empty(self, request: EngineRequest) -> None:
        """A request whose grammar knows no text but the empty one: there is nothing to compute."""
        for index in range(request.n):
            reason = FinishReason.STOP
            self._outbox.append(Tokens(request.id, index, [], finish_reason=reason))
        self._outbox.append(RequestEnd(request.id, Usage(prompt_tokens=len(request.prompt))))

    def _take_in(self, events: list[EngineEvent]) -> None:
        """Admits requests whose grammar has been read; waits a little when all else is done."""
        if self._reading and not self._scheduler.has_work:
            pending = [reading.done for reading in self._reading.values()]
            wait(pending, _READING_SECONDS, return_when=FIRST_COMPLETED)
        for name, reading in [*self._reading.items()]:
            if not reading.done.done():
                continue
            del self._reading[name]
            try:
                reading.done.result()
                self._admit(reading.request)
            except RostraError as error:
                usage = Usage(prompt_tokens=len(reading.request.prompt))
                events.append(RequestEnd(name, usage, pack_error(error)))
                continue
            for index in reading.aborted:
                self.abort(name, index)

    def _matchers(self, request: EngineRequest) -> list[Matcher]:
        if request.grammar is None:
            return []
        return [
            start_matcher(
                request.grammar,
                self._vocabulary,
                max_tokens=request.sampling.max_tokens,
                eos_token_ids=request.eos_token_ids,
                jump_forward=request.sampling.logprobs is None,
            )
            for _ in range(request.n)
        ]

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        """Read at the first grammar: most engines never see one."""
        return vocabulary_of(TextTokenizer(self._folder), self._decoder.config.vocab_size)

    def abort(self, request_id: str, index: int | None = None) -> None:
        """Ends a request, or one of its sequences; legal at any time, unknown ones are ignored."""
        if (reading := self._reading.get(request_id)) is not None:
            if index is None:
                del self._reading[request_id]
                usage = Usage(prompt_tokens=len(reading.request.prompt))
                self._outbox.append(RequestEnd(request_id, usage))
            else:
                reading.aborted.append(index)
            return
        if request_id not in self._requests:
            return
        for sequence in self._scheduler.abort(request_id, index):
            self._outbox.append(
                Tokens(request_id, sequence.index, [], finish_reason=FinishReason.ABORT)
            )
        self._end_if_done(self._requests[request_id], self._outbox)

    @property
    def has_work(self) -> bool:
        """Whether `step` has something to do or to tell."""
        return bool(self._outbox or self._reading) or self._scheduler.has_work

    # --- A step ---

    def step(self) -> list[EngineEvent]:
        """Runs the model once; gives what became of the requests.

        In overlap mode a step is read after the next one is launched.
        """
        events, self._outbox = self._outbox, []
        self._take_in(events)
        self._expire(events)
        if not self._scheduler.has_work:
            return events
        step = self._scheduler.schedule()
        self._begin(step)
        if step.chunks:
            try:
                launched = self._runner.launch(step, self._first_position, self._masks(step))
            except torch.OutOfMemoryError:
                self._give_up(step, events)
                return events
            self._launched.append(launched)
        else:
            # All there is waits for a commit.
            self._launched.append(Launched(step, (), None))
        held_back = 1 if self._overlap and step.chunks else 0
        while len(self._launched) > held_back:
            self._commit(self._launched.popleft(), events)
        return events

    def _expire(self, events: list[EngineEvent]) -> None:
        for group in self._scheduler.expired():
            waited = self._clock() - group.arrived
            error = WaitedTooLong(
                f"the request waited {waited:.0f} s for its turn", hint="Try again later."
            )
            self._end(self._requests[group.request.id], events, error)

    def _begin(self, step: Step) -> None:
        self._counts.steps += bool(step.chunks)
        for chunk in step.chunks:
            state = self._requests[chunk.sequence.request.id]
            if not state.begun:
                state.begun = True
                self._counts.prompt_tokens += len(state.request.prompt)
                self._counts.queue_times.append(self._clock() - state.arrived)

    def _first_position(self, sequence: Sequence) -> int:
        return self._requests[sequence.request.id].first_position

    def _masks(self, step: Step) -> dict[Sequence, Matcher]:
        masks: dict[Sequence, Matcher] = {}
        for chunk in step.chunks:
            matchers = self._requests[chunk.sequence.request.id].matchers
            if chunk.samples and matchers:
                masks[chunk.sequence] = matchers[chunk.sequence.index]
        return masks

    def _commit(self, launched: Launched, events: list[EngineEvent]) -> None:
        """Takes in what a step brought: tokens, ends, failures."""
        advances: dict[Sequence, _Advance] = {}
        failures: dict[str, RostraError] = {}
        for sequence, draw in launched.read().items():
            if sequence.status is Status.ENDED:
                continue
            state = self._requests[sequence.request.id]
            try:
                advances[sequence] = self._advance(state, sequence, draw)
            except RostraError as error:
                failures[sequence.request.id] = error
        self._collect_prompt_logprobs(launched)
        self._scheduler.commit(
            launched.step, {sequence: advance.tokens for sequence, advance in advances.items()}
        )
        for request_id, failure in failures.items():
            self._scheduler.abort(request_id)
            self._end(self._requests[request_id], events, failure)
        for sequence, advance in advances.items():
            if sequence.request.id not in failures:
                self._tell(sequence, advance, events)

    def _advance(self, state: _Request, sequence: Sequence, draw: Draw) -> _Advance:
        if draw.error is not None:
            raise draw.error
        token, sampling = draw.token, sequence.request.sampling
        if not sampling.max_tokens:
            # Only the prompt's scores were wanted.
            logprobs: list[TokenLogprobs] | None = [] if draw.logprobs else None
            return _Advance([], [], logprobs, FinishReason.LENGTH)
        state.drawn += 1
        if state.matchers:
            matcher = state.matchers[sequence.index]
            tokens = matcher.take(token)
            state.drawn += max(0, len(tokens) - 1)
            reason = FinishReason.STOP if matcher.finished else None
            return _Advance(tokens, tokens, _logprobs(tokens, draw), reason)
        if token in sequence.request.eos_token_ids:
            return _Advance([token], [], [] if draw.logprobs else None, FinishReason.STOP)
        if token in sampling.stop_token_ids:
            return _Advance([token], [], [] if draw.logprobs else None, FinishReason.STOP, token)
        last = sequence.output_length + 1 >= sampling.max_tokens
        reason = FinishReason.LENGTH if last else None
        return _Advance([token], [token], _logprobs([token], draw), reason)

    def _tell(self, sequence: Sequence, advance: _Advance, events: list[EngineEvent]) -> None:
        state = self._requests[sequence.request.id]
        self._counts.generation_tokens += len(advance.tokens)
        prompt_logprobs = None
        if sequence.index == 0:
            prompt_logprobs, state.prompt_logprobs = state.prompt_logprobs, None
        events.append(
            Tokens(
                state.request.id,
                sequence.index,
                advance.shown,
                advance.logprobs,
                advance.reason,
                advance.stop,
                prompt_logprobs,
            )
        )
        if advance.reason is not None:
            self._scheduler.finish(sequence)
            self._end_if_done(state, events)

    def _collect_prompt_logprobs(self, launched: Launched) -> None:
        starts = {chunk.sequence: chunk.start for chunk in launched.step.chunks}
        for sequence, found in launched.prompt_logprobs.items():
            state = self._requests.get(sequence.request.id)
            if state is not None and state.prompt_logprobs is not None:
                # After a preemption the prompt is computed again; what is known stays.
                state.prompt_logprobs += found[len(state.prompt_logprobs) - starts[sequence] :]

    def _give_up(self, step: Step, events: list[EngineEvent]) -> None:
        """The device had no memory for a step: its requests end, the engine goes on."""
        while self._launched:
            self._commit(self._launched.popleft(), events)
        error = EngineOutOfMemory(
            "the device had not enough memory for this step",
            hint="Lower max_step_tokens or max_running, or leave less to keys and values.",
        )
        log.error("a step did not fit into the device's memory", tokens=step.tokens)
        ended = self._scheduler.discard(step)
        for request_id in {sequence.request.id for sequence in ended}:
            self._scheduler.abort(request_id)
            self._end(self._requests[request_id], events, error)

    def _end_if_done(self, state: _Request, events: list[EngineEvent]) -> None:
        if all(sequence.status is Status.ENDED for sequence in state.sequences):
            self._end(state, events)

    def _end(
        self, state: _Request, events: list[EngineEvent], error: RostraError | None = None
    ) -> None:
        request = state.request
        usage = Usage(
            prompt_tokens=len(request.prompt),
            cached_tokens=state.sequences[0].cached_tokens,
            completion_tokens=state.drawn,
        )
        del self._requests[request.id]
        events.append(RequestEnd(request.id, usage, pack_error(error) if error else None))

    # --- What there is to see ---

    def stats(self) -> EngineStats:
        """Numbers for metrics; queue times are told once."""
        scheduler, counts = self._scheduler.stats(), self._counts
        queue_times, counts.queue_times = counts.queue_times, []
        return EngineStats(
            running=scheduler.running,
            waiting=scheduler.waiting,
            used_blocks=scheduler.used_blocks,
            cached_blocks=scheduler.cached_blocks,
            free_blocks=scheduler.free_blocks,
            preemptions=scheduler.preemptions,
            prefix_queries=scheduler.prefix_queries,
            prefix_hits=scheduler.prefix_hits,
            prompt_tokens=counts.prompt_tokens,
            generation_tokens=counts.generation_tokens,
            steps=counts.steps,
            queue_times=queue_times,
        )

    def describe(self) -> EngineInfo:
        """What was loaded."""
        cuda = self._device.type == "cuda"
        return EngineInfo(
            folder=str(self._folder),
            architecture=self._decoder.config.architecture,
            dtype=str(self._decoder.dtype).removeprefix("torch."),
            device=str(self._device),
            device_name=torch.cuda.get_device_name(self._device) if cuda else "",
            weights=self._config.weights,
            vocab_size=self._decoder.config.vocab_size,
            max_context=self._max_context,
            block_size=self._config.block_size,
            blocks=self._blocks,
            weight_bytes=self._decoder.weight_bytes,
            step_weight_bytes=self._decoder.token_weight_bytes,
            kv_bytes=self._kv_bytes,
            batch_invariant=self._config.batch_invariant,
        )

    def memory_use(self) -> MemoryUse:
        """What the running sequences hold at this moment."""
        running = [
            sequence
            for state in self._requests.values()
            for sequence in state.sequences
            if sequence.status is Status.RUNNING
        ]
        return MemoryUse(
            sequences=len(running),
            tokens=sum(sequence.computed for sequence in running),
            blocks=len({block for sequence in running for block in sequence.blocks}),
        )

    def check_integrity(self) -> None:
        """Raises RuntimeError if an invariant of the memory or the scheduler is broken."""
        self._scheduler.check_integrity()

    def close(self) -> None:
        """Ends the engine's own threads."""
        self._runner.close()
        self._reader.shutdown(wait=False, cancel_futures=True)


def _logprobs(tokens: list[int], draw: Draw) -> list[TokenLogprobs] | None:
    """One for each token; those that a grammar forced had no choice: probability 1."""
    if draw.logprobs is None:
        return None
    return [
        draw.logprobs if token == draw.token and not place else TokenLogprobs(token, 0.0, [])
        for place, token in enumerate(tokens)
    ]
