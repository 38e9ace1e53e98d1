"""The engine in one's own process: for libraries, scripts and tests.

What always holds: whoever waits for an output runs the loop, one step at a time and for everybody;
so calls from several threads are batched together, and no thread works when nobody waits. A failure
of the loop itself ends all requests and the engine.
"""

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from rostra.core import ModelUnavailable, RostraError
from rostra.serving.config import EngineConfig
from rostra.serving.engine.frontend import (
    Front,
    OutputStream,
    Prompt,
    by_sequence,
    join_outputs,
    load_front,
)
from rostra.serving.engine.info import EngineInfo
from rostra.serving.engine.metrics import EngineStats
from rostra.serving.engine.worker import CORE, Core, make_core
from rostra.serving.errors import EngineDied, InvalidParameter
from rostra.serving.models.locate import resolve_checkpoint
from rostra.serving.request import (
    EngineRequest,
    FinishReason,
    Output,
    SamplingParams,
    TokenLogprobs,
    Usage,
)

# A library's caller waits for as long as it takes.
_PATIENT_SECONDS = 1e9
# Sequences handed to the loop ahead of those that it runs at once.
_AHEAD = 2


@dataclass(frozen=True, slots=True)
class GeneratedSequence:
    """One of a completion's texts.

    Attributes:
        text: without stop string and special tokens.
        token_ids: without the stop token.
        finish_reason: why it ended.
        stop: the stop string or stop token that ended it.
        logprobs: one for each token, when asked for.
    """

    text: str
    token_ids: list[int]
    finish_reason: FinishReason
    stop: str | int | None = None
    logprobs: list[TokenLogprobs] | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """All that was generated for one prompt.

    Attributes:
        prompt_token_ids: the prompt.
        sequences: `n` of them.
        usage: token counts.
        prompt_logprobs: one for each prompt token but the first, when asked for.
    """

    prompt_token_ids: list[int]
    sequences: list[GeneratedSequence]
    usage: Usage
    prompt_logprobs: list[TokenLogprobs] | None = None

    @property
    def text(self) -> str:
        """Of the first sequence."""
        return self.sequences[0].text

    @property
    def token_ids(self) -> list[int]:
        """Of the first sequence."""
        return self.sequences[0].token_ids

    @property
    def finish_reason(self) -> FinishReason:
        """Of the first sequence."""
        return self.sequences[0].finish_reason


@dataclass(slots=True)
class _Running:
    """A request that the loop has, and outputs that nobody has taken yet."""

    stream: OutputStream
    outputs: list[Output] = field(default_factory=list)


class Engine:
    """A decoder. Loads when it is made; usable from any number of threads.

    Args:
        model: the checkpoint's folder, or a hub id.
        config: how to set the engine up.
        name: what the model is called; by default the last part of `model`.
        core: what makes the engine's core, as `module:name`.
        front: reads the tokenizer and what belongs to it from the checkpoint's folder.
        locate: finds the checkpoint's folder, downloading it if need be.

    Raises:
        ModelUnavailable: it cannot be loaded.
    """

    def __init__(
        self,
        model: str | Path,
        config: EngineConfig | None = None,
        *,
        name: str | None = None,
        core: str = CORE,
        front: Callable[[Path], Front] = load_front,
        locate: Callable[[str], Path] = resolve_checkpoint,
    ) -> None:
        folder = locate(str(model))
        self.name = name or Path(model).name or str(model)
        self.config = config or EngineConfig(max_wait_seconds=_PATIENT_SECONDS)
        self.front = front(folder)
        made = make_core(core, folder, self.config)
        self.info: EngineInfo = made.describe()
        self._builder = self.front.builder(self.info)
        # Guards everything below, and the core.
        self._turn = threading.Lock()
        self._core: Core | None = made
        self._open: dict[str, _Running] = {}
        self._failure: RostraError | None = None

    def generate(
        self,
        prompts: Prompt | Sequence[Prompt],
        sampling: SamplingParams | Sequence[SamplingParams] | None = None,
        *,
        n: int = 1,
        namespace: str = "",
        tenant: str = "",
        priority: int = 0,
    ) -> list[Completion]:
        """Generates for one prompt or many, batched.

        Args:
            prompts: a text or token ids, or a sequence of such.
            sampling: for all prompts, or one for each.
            n: sequences for each prompt.
            namespace: prompts are cached within one namespace only.
            tenant: who the fair share is counted for.
            priority: lower goes first.

        Returns:
            One completion for each prompt, in order.

        Raises:
            InvalidRequest: a prompt or a parameter; nothing was generated.
            EngineDied: the loop failed.
        """
        each = _as_prompts(prompts)
        params = _as_params(sampling, len(each))
        requests = [
            self._builder.build_now(
                prompt, one, n=n, namespace=namespace, tenant=tenant, priority=priority
            )
            for prompt, one in zip(each, params, strict=True)
        ]
        runs: list[_Running] = []
        active: list[_Running] = []
        try:
            while active or len(runs) < len(requests):
                for request in requests[len(runs) :]:
                    if active and not self._has_room(active):
                        break
                    active.append(self._begin(request))
                    runs.append(active[-1])
                with self._turn:
                    # Another thread's step may have ended it since.
                    if not active[0].stream.ended:
                        self._step()
                    failed = [one.stream.error for one in active if one.stream.error is not None]
                    active = [one for one in active if not one.stream.ended]
                if failed:
                    raise failed[0]
        finally:
            for one in runs:
                self._leave(one)
        return [_completion(one) for one in runs]

    def stream(
        self,
        prompt: Prompt,
        sampling: SamplingParams | None = None,
        *,
        n: int = 1,
        namespace: str = "",
        tenant: str = "",
        priority: int = 0,
    ) -> Generator[Output, None, None]:
        """Generates for one prompt, piece by piece; to close the iterator aborts.

        Takes and raises what `generate` does; the last output has the usage.
        """
        request = self._builder.build_now(
            prompt,
            sampling,
            n=n,
            namespace=namespace,
            tenant=tenant,
            priority=priority,
        )
        running = self._begin(request)
        stream = running.stream
        try:
            while True:
                with self._turn:
                    while not running.outputs and not stream.ended:
                        self._step()
                    outputs, running.outputs = by_sequence(running.outputs), []
                    ended = stream.ended
                if ended and stream.error is None:
                    last = outputs.pop() if outputs else Output(index=n - 1, text="", token_ids=[])
                    outputs.append(msgspec.structs.replace(last, usage=stream.usage))
                yield from outputs
                if stream.error is not None and ended:
                    raise stream.error
                if ended:
                    return
        finally:
            self._leave(running)

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        sampling: SamplingParams | None = None,
        **template: Any,
    ) -> Completion:
        """Answers a conversation.

        Args:
            messages: each with `role` and `content`, as the model's chat template takes them.
            sampling: how to choose tokens.
            template: further values for the chat template, such as `tools`.

        Raises:
            What `generate` raises.
        """
        prompt = self.front.tokenizer.apply_chat(messages, **template)
        return self.generate(prompt, sampling)[0]

    def stats(self) -> EngineStats:
        """A look at the loop."""
        with self._turn:
            return self._running_core().stats()

    def close(self) -> None:
        """Ends all requests and gives the memory back; the engine cannot be used again."""
        with self._turn:
            self._fail(ModelUnavailable(f"{self.name} is closed"))
        self.front.compiler.close_now()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _has_room(self, active: Sequence[_Running]) -> bool:
        """Whether the loop will soon run more than it has; what it has too early, it must order."""
        return sum(one.stream.request.n for one in active) < _AHEAD * self.config.max_running

    def _begin(self, request: EngineRequest) -> _Running:
        running = _Running(OutputStream(request, self.front.decoders))
        with self._turn:
            self._running_core().add(request)
            self._open[request.id] = running
        return running

    def _leave(self, running: _Running) -> None:
        """Lets go of a request, which is aborted unless it has ended."""
        with self._turn:
            request_id = running.stream.request.id
            if self._open.pop(request_id, None) is not None:
                self._running_core().abort(request_id)

    def _step(self) -> None:
        """One step for everybody; the caller has the turn."""
        core = self._running_core()
        try:
            events = core.step()
        except Exception as error:  # of the loop: nobody's request can go on after it
            died = EngineDied(f"the engine failed: {type(error).__name__}: {error}")
            self._fail(died)
            raise died from error
        for event in events:
            running = self._open.get(event.request_id)
            if running is None:
                continue
            output = running.stream.feed(event)
            if output is not None:
                running.outputs.append(output)
            for index in running.stream.take_aborts():
                core.abort(event.request_id, index)
            if running.stream.ended:
                del self._open[event.request_id]

    def _running_core(self) -> Core:
        if self._core is None:
            raise self._failure or ModelUnavailable(f"{self.name} is closed")
        return self._core

    def _fail(self, error: RostraError) -> None:
        """Ends all requests and gives the core up; the first error stays."""
        self._failure = self._failure or error
        if self._core is not None:
            self._core.close()
            self._core = None
        for running in self._open.values():
            running.stream.fail(error)
        self._open.clear()


def _completion(running: _Running) -> Completion:
    request = running.stream.request
    sequences = []
    for index in range(request.n):
        output = join_outputs([one for one in running.outputs if one.index == index])
        sequences.append(
            GeneratedSequence(
                text=output.text,
                token_ids=output.token_ids,
                finish_reason=output.finish_reason or FinishReason.ABORT,
                stop=output.stop,
                logprobs=output.logprobs,
            )
        )
        if index == 0:
            prompt_logprobs = output.prompt_logprobs
    return Completion(request.prompt, sequences, running.stream.usage or Usage(), prompt_logprobs)


def _as_prompts(prompts: Prompt | Sequence[Prompt]) -> Sequence[Prompt]:
    if isinstance(prompts, str) or (prompts and isinstance(prompts[0], int)):
        return [prompts]  # type: ignore[list-item] # one prompt, as just checked
    return prompts  # type: ignore[return-value] # many, likewise


def _as_params(
    sampling: SamplingParams | Sequence[SamplingParams] | None, count: int
) -> Sequence[SamplingParams | None]:
    if sampling is None or isinstance(sampling, SamplingParams):
        return [sampling] * count
    if len(sampling) != count:
        raise InvalidParameter(
            f"{count} prompts but {len(sampling)} sampling parameters", field="sampling"
        )
    return sampling
