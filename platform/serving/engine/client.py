"""The engine for asynchronous callers: a process that runs it, watched and started anew.

What always holds: every request that `generate` takes ends with outputs and their end or with one
error, whatever becomes of the process; a caller that leaves early ends its request in the process
too; nothing of one caller's slowness or failure reaches another.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rostra.core import JsonSchema, ModelUnavailable, RostraError, get_logger
from rostra.serving.config import EngineConfig
from rostra.serving.engine.frontend import (
    Front,
    OutputStream,
    Prompt,
    RequestBuilder,
    load_front,
)
from rostra.serving.engine.info import EngineInfo
from rostra.serving.engine.mailbox import Mailbox
from rostra.serving.engine.metrics import EngineStats, Metrics
from rostra.serving.engine.process import EngineProcess
from rostra.serving.engine.wire import (
    Abort,
    Add,
    Crashed,
    Loading,
    NotLoaded,
    Ready,
    Stepped,
    unpack_error,
)
from rostra.serving.engine.worker import CORE
from rostra.serving.errors import EngineDied, InvalidParameter, QueueFull
from rostra.serving.models.locate import resolve_checkpoint
from rostra.serving.request import EngineEvent, Output, SamplingParams, Usage

log = get_logger(__name__)


class EngineState(StrEnum):
    """Where an engine stands."""

    IDLE = "idle"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How often a process that died is started again, and how soon.

    Attributes:
        most: deaths in a row after which it is given up; one that came after `healthy_seconds` of
            life begins a new row.
        first_delay: seconds before the first new start; each further one waits twice as long.
        longest_delay: seconds that no wait exceeds.
        healthy_seconds: see `most`.
    """

    most: int = 5
    first_delay: float = 0.5
    longest_delay: float = 30.0
    healthy_seconds: float = 60.0

    def delay(self, deaths: int) -> float:
        """Seconds to wait after so many deaths in a row."""
        return float(min(self.longest_delay, self.first_delay * 2 ** (deaths - 1)))


class AsyncEngine:
    """A decoder in a process of its own. Make it anywhere, use it in one event loop.

    Nothing is loaded before `begin`, `start` or the first `generate`.

    Args:
        model: the checkpoint's folder, or a hub id.
        config: how to set the engine up.
        name: what the model is called; by default the last part of `model`.
        core: what makes the engine's core in the process, as `module:name`.
        front: reads the tokenizer and what belongs to it from the checkpoint's folder.
        locate: finds the checkpoint's folder, downloading it if need be.
        restarts: what to do when the process dies.
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
        restarts: RestartPolicy | None = None,
    ) -> None:
        self.model = str(model)
        self.config = config or EngineConfig()
        self.name = name or Path(self.model).name or self.model
        self.metrics = Metrics(self.name)
        self._core = core
        self._load_front = front
        self._locate = locate
        self._restarts = restarts or RestartPolicy()
        self._state = EngineState.IDLE
        self._failure: RostraError | None = None
        self._progress = 0.0
        self._info: EngineInfo | None = None
        self._front: Front | None = None
        self._builder: RequestBuilder | None = None
        self._process: EngineProcess | None = None
        self._keeper: asyncio.Task[None] | None = None
        # Set while the state is one that waiting does not change.
        self._settled = asyncio.Event()
        self._open: dict[str, _Request] = {}
        self._arriving = 0

    @property
    def state(self) -> EngineState:
        """Where the engine stands; a restart is `loading` too."""
        return self._state

    @property
    def failure(self) -> RostraError | None:
        """Why it failed to load or died for good; None in every other state."""
        return self._failure

    @property
    def progress(self) -> float:
        """The part of the model that is loaded, 0 to 1."""
        return self._progress

    @property
    def info(self) -> EngineInfo | None:
        """What is loaded; None before it is, still told while the process restarts."""
        return self._info

    @property
    def pid(self) -> int | None:
        """The process's id; None when none runs."""
        return self._process.pid if self._process is not None else None

    @property
    def front(self) -> Front:
        """The tokenizer and what belongs to it.

        Raises:
            ModelUnavailable: before the first load has ended well.
        """
        if self._front is None:
            raise self._failure or ModelUnavailable(f"{self.name} is not loaded")
        return self._front

    def stats(self) -> EngineStats:
        """A look at the loop, at most a tenth of a second or one step old."""
        return self.metrics.stats

    def begin(self) -> None:
        """Begins to load in the background, again if it failed before.

        Raises:
            ModelUnavailable: the engine is closed.
        """
        if self._state is EngineState.CLOSED:
            raise ModelUnavailable(f"{self.name} is closed")
        if self._state in (EngineState.IDLE, EngineState.FAILED):
            self._enter(EngineState.LOADING)
            self._keeper = asyncio.create_task(self._keep(), name=f"engine {self.name}")

    async def start(self) -> EngineInfo:
        """Loads, if that has not happened yet, and waits until requests are taken.

        Raises:
            ModelUnavailable: why it cannot be loaded.
        """
        self.begin()
        while self._state is EngineState.LOADING:
            await self._settled.wait()
        if self._state is not EngineState.READY or self._info is None:
            raise self._failure or ModelUnavailable(f"{self.name} is {self._state}")
        return self._info

    async def ready(self) -> None:
        """Waits until requests are taken; loads at first need, but not again after a failure.

        Raises:
            ModelUnavailable: it failed, is closed, or took longer than `max_wait_seconds`.
            QueueFull: as many wait already as the queue holds.
        """
        if self._state is EngineState.IDLE:
            self.begin()
        if self._state is EngineState.LOADING:
            if self._arriving >= self.config.max_waiting:
                raise QueueFull(f"{self._arriving} requests wait for {self.name} to load")
            self._arriving += 1
            try:
                async with asyncio.timeout(self.config.max_wait_seconds):
                    # Once loaded it may have died again before its waiters' turn.
                    while self._state is EngineState.LOADING:
                        await self._settled.wait()
            except TimeoutError:
                raise ModelUnavailable(
                    f"{self.name} is still loading", hint="Try again later."
                ) from None
            finally:
                self._arriving -= 1
        if self._state is not EngineState.READY:
            raise self._failure or ModelUnavailable(f"{self.name} is {self._state}")

    async def generate(
        self,
        prompt: Prompt,
        sampling: SamplingParams | None = None,
        *,
        n: int = 1,
        namespace: str = "",
        tenant: str = "",
        priority: int = 0,
        request_id: str | None = None,
    ) -> AsyncGenerator[Output, None]:
        """Generates; to close the iterator, or to cancel who waits for it, aborts the request.

        Each sequence's last output has its `finish_reason`, the request's last output has `usage`;
        that may be an output of its own, without text or tokens, when a stop string ended the
        last sequence. Outputs that came while the reader was busy arrive joined.

        Args:
            prompt: text, or token ids.
            sampling: how to choose tokens.
            n: sequences to generate.
            namespace: prompts are cached within one namespace only.
            tenant: who the fair share is counted for.
            priority: lower goes first.
            request_id: unique among the requests alive; by default a new one.

        Raises:
            InvalidRequest: before the first output; what was asked cannot be done.
            Overloaded: before the first output.
            ModelUnavailable: the engine cannot be loaded or is closed.
            EngineDied: its process ended while the request ran.
        """
        arrived = time.monotonic()
        await self.ready()
        if self._builder is None:
            raise ModelUnavailable(f"{self.name} is not loaded")
        request = await self._builder.build(
            prompt,
            sampling,
            n=n,
            namespace=namespace,
            tenant=tenant,
            priority=priority,
            request_id=request_id,
        )
        # While its grammar was compiled the process may have died and come back.
        await self.ready()
        process = self._process
        if process is None:
            raise EngineDied(f"{self.name} ended before the request began")
        if request.id in self._open:
            raise InvalidParameter(f"a request {request.id} is alive", field="request_id")
        running = _Request(OutputStream(request, self.front.decoders), Mailbox(), arrived)
        self._open[request.id] = running
        try:
            process.send(Add(request))
            await process.drain()
            while (output := await running.mailbox.take()) is not None:
                yield output
        finally:
            # No await in here: a cancelled caller would be cancelled at it once more.
            if self._open.get(request.id) is running:
                del self._open[request.id]
                if not running.stream.ended:
                    process.send(Abort(request.id))
                    self._observe_end(running, "abort")

    async def violations(self, schema: JsonSchema, text: str) -> list[str]:
        """How a text differs from a schema that was not enforced; empty where it does not.

        Runs in a process that is killed if it takes too long, which is then told as a problem: a
        schema's patterns may be exponential.

        Raises:
            ModelUnavailable: before the first load has ended well.
            InvalidGrammar: the engine was closed meanwhile.
        """
        return await self.front.compiler.validate(schema, text)

    async def close(self) -> None:
        """Ends all requests and the process; the engine cannot be used again."""
        if self._state is EngineState.CLOSED:
            return
        self._enter(EngineState.CLOSED)
        self._fail_all(ModelUnavailable(f"{self.name} was closed"))
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._front is not None:
            await self._front.compiler.close()

    async def __aenter__(self) -> "AsyncEngine":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.shield(self.close())

    def _enter(self, state: EngineState, failure: RostraError | None = None) -> None:
        self._state, self._failure = state, failure
        if state is EngineState.LOADING:
            self._progress = 0.0
            self._settled.clear()
        else:
            self._settled.set()

    async def _keep(self) -> None:
        """Keeps a process alive until the engine is closed or given up."""
        deaths = 0
        while True:
            lived = 0.0
            try:
                reason, lived = await self._live()
            except RostraError as error:
                if deaths == 0:
                    self._give_up(error)
                    return
                reason = error.message
            except Exception as error:  # a failure of ours must show, and end nobody's waiting
                log.error("engine not loaded", model=self.name, exc_info=error)
                self._give_up(
                    ModelUnavailable(f"{self.name} cannot be loaded: {type(error).__name__}")
                )
                return
            deaths = 1 if lived >= self._restarts.healthy_seconds else deaths + 1
            if deaths > self._restarts.most:
                self._give_up(
                    ModelUnavailable(
                        f"{self.name} died {deaths} times in a row, at last of {reason}",
                        hint="The log says why. It stays off until it is started again.",
                    )
                )
                return
            self._enter(EngineState.LOADING)
            log.error("engine died and restarts", model=self.name, reason=reason, deaths=deaths)
            await asyncio.sleep(self._restarts.delay(deaths))

    def _give_up(self, error: RostraError) -> None:
        log.error("engine unavailable", model=self.name, reason=error.message)
        self._enter(EngineState.FAILED, error)

    async def _live(self) -> tuple[str, float]:
        """One process from start to death; returns what it died of and the seconds it served.

        Raises:
            RostraError: it could not be loaded.
        """
        folder = await asyncio.to_thread(self._locate, self.model)
        process = await EngineProcess.spawn(self._core, folder, self.config)
        reading: asyncio.Task[Front] | None = None
        if self._front is None:
            reading = asyncio.create_task(asyncio.to_thread(self._load_front, folder))
        began: float | None = None
        reason = ""
        try:
            async with aclosing(process.reports()) as reports:
                async for report in reports:
                    match report:
                        case Stepped(events, stats):
                            for event in events:
                                self._deliver(process, event)
                            if stats is not None:
                                self.metrics.report(stats)
                            # The pipe may be full; the callers must get their turn all the same.
                            await asyncio.sleep(0)
                        case Loading(done):
                            self._progress = done
                        case Ready(info):
                            if reading is not None:
                                self._front = await reading
                            self._begin_serving(process, info)
                            began = time.monotonic()
                        case NotLoaded(error):
                            raise unpack_error(error)
                        case Crashed(said):
                            reason = said
            reason = reason or await process.fate()
            if began is None:
                raise ModelUnavailable(
                    f"{self.name} cannot be loaded: its process ended with {reason}",
                    hint="The log says why; too little memory is the usual cause.",
                )
            return reason, time.monotonic() - began
        finally:
            if self._process is not None:
                self._process = None
                self.metrics.restarted()
            if self._state is EngineState.READY:
                self._enter(EngineState.LOADING)
            self._fail_all(
                EngineDied(
                    f"the engine's process ended ({reason}) while the request ran",
                    hint="It restarts by itself; try again.",
                )
            )
            if reading is not None:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            await asyncio.shield(process.stop())

    def _begin_serving(self, process: EngineProcess, info: EngineInfo) -> None:
        self._info, self._process, self._progress = info, process, 1.0
        self._builder = self.front.builder(info)
        self._enter(EngineState.READY)

    def _deliver(self, process: EngineProcess, event: EngineEvent) -> None:
        """Hands an event to the request that it is for, if that is still there."""
        request = self._open.get(event.request_id)
        if request is None:
            return
        try:
            self._advance(process, request, event)
        except Exception as error:  # a text we fail to make must not end the other requests
            log.error("request failed", request=event.request_id, exc_info=error)
            del self._open[event.request_id]
            process.send(Abort(event.request_id))
            request.mailbox.fail(RostraError("the request's output could not be put into words"))
            self._observe_end(request, "error")

    def _advance(self, process: EngineProcess, request: "_Request", event: EngineEvent) -> None:
        stream = request.stream
        output = stream.feed(event)
        for index in stream.take_aborts():
            process.send(Abort(event.request_id, index))
        if output is not None:
            self._observe(request, output)
            request.mailbox.put(output)
        if not stream.ended:
            return
        del self._open[event.request_id]
        if stream.error is not None:
            request.mailbox.fail(stream.error)
            self._observe_end(request, "error")
        else:
            request.mailbox.end(stream.usage or Usage())
            self._observe_end(request, request.reason)

    def _fail_all(self, error: RostraError) -> None:
        requests = list(self._open.values())
        self._open.clear()
        for request in requests:
            request.mailbox.fail(error)
            self._observe_end(request, "error")

    def _observe(self, request: "_Request", output: Output) -> None:
        if output.finish_reason is not None:
            request.reason = output.finish_reason
        if not output.token_ids:
            return
        now = time.monotonic()
        before = request.latest.get(output.index)
        if request.first is None:
            request.first = now
            self.metrics.first_token(now - request.arrived)
        elif before is not None:
            self.metrics.next_tokens(now - before, len(output.token_ids))
        request.latest[output.index] = now

    def _observe_end(self, request: "_Request", reason: str) -> None:
        now = time.monotonic()
        prompt = len(request.stream.request.prompt)
        usage = request.stream.usage or Usage(
            prompt_tokens=prompt, completion_tokens=request.stream.taken
        )
        per_token = None
        n = request.stream.request.n
        if request.first is not None and usage.completion_tokens > n:
            latest = max(request.latest.values())
            per_token = (latest - request.first) * n / (usage.completion_tokens - n)
        self.metrics.ended(reason, now - request.arrived, usage, per_token)


class _Request:
    """One open request, and when its tokens came."""

    def __init__(self, stream: OutputStream, mailbox: Mailbox, arrived: float) -> None:
        self.stream = stream
        self.mailbox = mailbox
        self.arrived = arrived
        self.first: float | None = None
        # By sequence.
        self.latest: dict[int, float] = {}
        self.reason = "stop"
