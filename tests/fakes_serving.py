r"""Stand-ins for the engine's core and text: a character is a token, and the output is scripted.

A prompt is its own script. `FakeCore` says it again and again until `max_tokens`, one token of each
sequence a step; `\0` in it ends a sequence as an end token does, `\1` kills the process, `\2`
raises, `\3` waits for ever, each when it would be said; `\4` keeps its sequence where it is, so
that its request ends by abort alone. What a core is sent is checked: a request that is added twice,
or an event that would follow an end, raises.
"""

import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rostra.core import Constraint, JsonSchema
from rostra.serving.config import EngineConfig
from rostra.serving.engine.client import AsyncEngine, RestartPolicy
from rostra.serving.engine.frontend import Front
from rostra.serving.engine.info import EngineInfo
from rostra.serving.engine.metrics import EngineStats
from rostra.serving.errors import BrokenCheckpoint, InvalidGrammar, NeverFits, QueueFull
from rostra.serving.request import (
    EngineEvent,
    EngineRequest,
    FinishReason,
    Output,
    RequestEnd,
    SamplingParams,
    TokenLogprobs,
    Tokens,
    Usage,
)

END, KILL, RAISE, HANG, STAY = "\0", "\1", "\2", "\3", "\4"
AT_ONCE = RestartPolicy(most=3, first_delay=0)
VOCAB_SIZE = 0x110000
MAX_CONTEXT = 4096


@dataclass
class _Running:
    """A request and how far each of its sequences has come; None is an end."""

    request: EngineRequest
    done: list[int] = field(default_factory=list)
    ended: list[bool] = field(default_factory=list)


class FakeCore:
    """An engine's core that says each prompt again.

    A prompt that begins with `refuse` is refused. `config.max_running` requests run at once and
    `config.max_waiting` may wait.
    """

    def __init__(
        self,
        folder: Path,
        config: EngineConfig,
        progress: Callable[[float], None] | None = None,
        burst: int = 1,
    ) -> None:
        if progress is not None:
            progress(0.5)
        self._config = config
        self._burst = burst
        self._folder = folder
        self._requests: dict[str, _Running] = {}
        self._outbox: list[EngineEvent] = []
        self._steps = self._prompts = self._generated = 0

    @property
    def has_work(self) -> bool:
        return bool(self._requests or self._outbox)

    def add(self, request: EngineRequest) -> None:
        if request.id in self._requests:
            raise RuntimeError(f"{request.id} was added twice")
        if _text(request.prompt).startswith("refuse"):
            raise NeverFits("the request needs more memory than there is", hint="Ask for less.")
        if len(self._requests) >= self._config.max_running + self._config.max_waiting:
            raise QueueFull("the queue is full")
        running = _Running(request, [0] * request.n, [False] * request.n)
        self._requests[request.id] = running
        self._prompts += len(request.prompt)

    def abort(self, request_id: str, index: int | None = None) -> None:
        running = self._requests.get(request_id)
        if running is None:
            return
        for one in range(running.request.n) if index is None else [index]:
            if not running.ended[one]:
                running.ended[one] = True
                self._outbox.append(Tokens(request_id, one, [], finish_reason=FinishReason.ABORT))
        self._close_if_done(running)

    def step(self) -> list[EngineEvent]:
        for running in list(self._requests.values())[: self._config.max_running]:
            for index, ended in enumerate(running.ended):
                if not ended:
                    self._say(running, index)
            self._close_if_done(running)
        self._steps += bool(self._requests)
        events, self._outbox = self._outbox, []
        return events

    def stats(self) -> EngineStats:
        running = min(len(self._requests), self._config.max_running)
        return EngineStats(
            running=running,
            waiting=len(self._requests) - running,
            used_blocks=running,
            free_blocks=self._config.max_running - running,
            prompt_tokens=self._prompts,
            generation_tokens=self._generated,
            steps=self._steps,
        )

    def describe(self) -> EngineInfo:
        return EngineInfo(
            folder=str(self._folder),
            architecture="Fake",
            dtype="float32",
            device="cpu",
            vocab_size=VOCAB_SIZE,
            max_context=self._config.max_context or MAX_CONTEXT,
            block_size=self._config.block_size,
            blocks=self._config.max_running,
            weight_bytes=0,
            kv_bytes=0,
        )

    def close(self) -> None:
        self._requests.clear()

    def _say(self, running: _Running, index: int) -> None:
        request = running.request
        most = request.sampling.max_tokens
        tokens: list[int] = []
        reason = None
        while len(tokens) < self._burst and reason is None:
            said = running.done[index]
            token = request.prompt[said % len(request.prompt)]
            match chr(token):
                case "\0" if request.eos_token_ids:
                    reason = FinishReason.STOP
                    continue
                case "\1":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "\2":
                    raise RuntimeError("scripted")
                case "\3":
                    threading.Event().wait()
                case "\4":
                    break
            tokens.append(token)
            running.done[index] += 1
            if running.done[index] == most:
                reason = FinishReason.LENGTH
        if not tokens and reason is None:
            return
        self._generated += len(tokens)
        running.ended[index] = reason is not None
        logprobs = None
        if request.sampling.logprobs is not None:
            logprobs = [TokenLogprobs(token, -1.0, []) for token in tokens]
        self._outbox.append(Tokens(request.id, index, tokens, logprobs, reason))

    def _close_if_done(self, running: _Running) -> None:
        if all(running.ended) and self._requests.pop(running.request.id, None):
            usage = Usage(
                prompt_tokens=len(running.request.prompt),
                completion_tokens=sum(running.done),
            )
            self._outbox.append(RequestEnd(running.request.id, usage))


def bursting_core(folder: Path, config: EngineConfig) -> FakeCore:
    """Says up to seven tokens of a sequence a step."""
    return FakeCore(folder, config, burst=7)


def broken_core(folder: Path, config: EngineConfig) -> FakeCore:
    """Cannot be loaded."""
    raise BrokenCheckpoint("model.safetensors is cut short", hint="Copy it again.", file="x")


def faulty_core(folder: Path, config: EngineConfig) -> FakeCore:
    """Has a mistake in it."""
    raise ZeroDivisionError


def dying_core(folder: Path, config: EngineConfig) -> FakeCore:
    """Does not live to be loaded."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise RuntimeError("unreachable")


def core_that_breaks_later(folder: Path, config: EngineConfig) -> FakeCore:
    """Loads once; the file `loaded` in the folder makes every further try fail."""
    mark = folder / "loaded"
    if mark.exists():
        raise BrokenCheckpoint("model.safetensors has gone")
    mark.touch()
    return FakeCore(folder, config)


class FakeTokenizer:
    """A character is a token; its id is the code point. NUL is the end token."""

    eos_token_ids = (0,)

    def encode(self, text: str) -> list[int]:
        return [ord(character) for character in text]

    def apply_chat(self, messages: Sequence[Mapping[str, Any]], **_: Any) -> list[int]:
        return self.encode("".join(f"{m['role']}: {m['content']}\n" for m in messages))


class FakeDecoder:
    """Characters as they come, but for `~`, which waits for the next one."""

    def __init__(self, prompt: Sequence[int] = ()) -> None:
        self._held = ""

    def push(self, token_ids: Sequence[int]) -> str:
        text = self._held + _text(token_ids)
        self._held = "~" if text.endswith("~") else ""
        return text.removesuffix("~")

    def flush(self) -> str:
        held, self._held = self._held, ""
        return held


class FakeCompiler:
    """Takes every constraint that can be shown, and keeps none."""

    def __init__(self) -> None:
        self.closed = False

    async def compile(self, constraint: Constraint, *, max_tokens: int) -> bytes:
        return self.compile_now(constraint, max_tokens=max_tokens)

    def compile_now(self, constraint: Constraint, *, max_tokens: int) -> bytes:
        if "wrong" in repr(constraint):
            raise InvalidGrammar("the grammar is wrong")
        return b"grammar"

    async def validate(self, constraint: JsonSchema, text: str) -> list[str]:
        return [] if text in constraint.schema else [f"not {text}"]

    async def close(self) -> None:
        self.close_now()

    def close_now(self) -> None:
        self.closed = True


def fake_front(folder: Path) -> Front:
    """The front end that goes with `FakeCore`; reads nothing."""
    tokenizer: Any = FakeTokenizer()
    return Front(tokenizer, FakeDecoder, FakeCompiler())


def fake_engine(core: str = "FakeCore", folder: str = "fake", **more: Any) -> AsyncEngine:
    """An engine over one of the cores here, which restarts at once."""
    options = {"front": fake_front, "locate": Path, "restarts": AT_ONCE} | more
    return AsyncEngine(folder, core=f"tests.fakes_serving:{core}", **options)


async def outputs_of(engine: AsyncEngine, prompt: str, most: int = 9, **more: Any) -> list[Output]:
    """All outputs of one request."""
    sampling = SamplingParams(max_tokens=most)
    return [output async for output in engine.generate(prompt, sampling, **more)]


async def text_of(engine: AsyncEngine, prompt: str, most: int = 9) -> str:
    """The text of one request."""
    return "".join(output.text for output in await outputs_of(engine, prompt, most))


async def idle(engine: AsyncEngine) -> None:
    """Waits until the loop has nothing left, which each request in turn makes it tell."""
    while await text_of(engine, "x", 1) and engine.stats().running + engine.stats().waiting:
        pass


def _text(token_ids: Sequence[int]) -> str:
    return "".join(map(chr, token_ids))
