"""Compiling constraints, away from the engine, in processes that can be killed.

What always holds: a constraint is compiled at most once at a time, however many ask for it; no
compilation outlives its deadline, which counts the processor's time, so that what else a machine
does makes no grammar too dear; a process that dies of itself is replaced once for each question;
results take a bounded number of bytes, oldest use first out.
"""

import asyncio
import queue
import selectors
import signal
import subprocess
import sys
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from time import monotonic
from typing import Any

import msgspec

from rostra.core import Constraint, JsonSchema, ModelUnavailable, Quotes
from rostra.serving.errors import InvalidGrammar, UnsupportedSchema
from rostra.serving.grammar.vocabulary import Vocabulary
from rostra.serving.grammar.worker import HEADER, Answer, Question, Setup, frame

DEADLINE_SECONDS = 5.0
START_SECONDS = 60.0
# A question may take so many times its deadline by the clock, on a machine that is busy.
PATIENCE = 8
# A process may be killed for what others on the machine take; two in a row say it is the grammar.
ATTEMPTS = 2
MEMORY_BYTES = 2 << 30
CACHE_BYTES = 256 << 20
MAX_CONSTRAINT_BYTES = 512 << 10
MAX_PASSAGES_BYTES = 4 << 20
WORKERS = 2

_SMALLER = "Make it smaller or simpler."
_AGAIN = "The machine is busy; try again."


class GrammarCompiler:
    """Compiles for one vocabulary; close it when done.

    Args:
        vocabulary: of the model.
        deadline: seconds of processor time for one grammar; the process ends after them, and in
            any case after `PATIENCE` times as many by the clock.
        memory_bytes: address space for one process beyond its libraries'.
        cache_bytes: how much compiled grammar is kept.
        workers: processes at most; each starts when it is first needed.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        deadline: float = DEADLINE_SECONDS,
        memory_bytes: int = MEMORY_BYTES,
        cache_bytes: int = CACHE_BYTES,
        workers: int = WORKERS,
    ) -> None:
        self._vocabulary = vocabulary
        self._deadline = deadline
        self._memory_bytes = memory_bytes
        self._cache_bytes = cache_bytes
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="grammar compiler")
        self._idle: queue.SimpleQueue[_Child | None] = queue.SimpleQueue()
        for _ in range(workers):
            self._idle.put(None)
        self._workers = workers
        self._lock = threading.Lock()
        self._running: dict[bytes, Future[Answer]] = {}
        self._cache: OrderedDict[bytes, Answer] = OrderedDict()
        self._cached_bytes = 0
        self._closed = False

    async def compile(self, constraint: Constraint, *, max_tokens: int) -> bytes:
        """The constraint as `start_matcher` takes it.

        Args:
            constraint: what the text is held to.
            max_tokens: budget of new tokens, which the shortest text must fit.

        Raises:
            InvalidGrammar: if it cannot be read, takes too long or too much memory, or has no text
                that fits.
            UnsupportedSchema: if a strict schema cannot be enforced in full.
            ModelUnavailable: if the process does not start.
        """
        future = self._submit(constraint)
        # Shielded: others may wait for the same grammar.
        return _result(await asyncio.shield(asyncio.wrap_future(future)), max_tokens)

    def compile_now(self, constraint: Constraint, *, max_tokens: int) -> bytes:
        """The same, in the calling thread; raises the same."""
        return _result(self._submit(constraint).result(), max_tokens)

    async def validate(self, constraint: JsonSchema, text: str) -> list[str]:
        """What is wrong with a text as an instance of a schema; empty where nothing is.

        For schemas that are not strict, once the text is written. A check that takes too long is
        itself reported as a problem.
        """
        return _problems(await asyncio.wrap_future(self._submit_text(constraint, text)))

    def validate_now(self, constraint: JsonSchema, text: str) -> list[str]:
        """The same, in the calling thread."""
        return _problems(self._submit_text(constraint, text).result())

    async def close(self) -> None:
        """Ends the processes; what still runs ends with an error."""
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """The same, in the calling thread."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._threads.shutdown(cancel_futures=True)
        for _ in range(self._workers):
            child = self._idle.get()
            if child is not None:
                child.kill()

    def _submit(self, constraint: Constraint) -> Future[Answer]:
        key = msgspec.msgpack.encode(constraint)
        _check_size(constraint, len(key))
        with self._lock:
            if self._closed:
                raise InvalidGrammar("The compiler is closed.")
            if (known := self._cache.get(key)) is not None:
                self._cache.move_to_end(key)
                done: Future[Answer] = Future()
                done.set_result(known)
                return done
            running = self._running.get(key)
            if running is None:
                running = self._running[key] = self._threads.submit(
                    self._ask, key, Question(constraint)
                )
            return running

    def _submit_text(self, constraint: JsonSchema, text: str) -> Future[Answer]:
        key = msgspec.msgpack.encode((constraint, text))
        with self._lock:
            if self._closed:
                raise InvalidGrammar("The compiler is closed.")
            return self._threads.submit(self._ask, key, Question(constraint, text))

    def _ask(self, key: bytes, question: Question) -> Answer:
        child = self._idle.get()
        answer: Answer | None = None
        kept = question.text is None
        work = "Compiling the grammar" if kept else "Checking the text"
        try:
            for _ in range(ATTEMPTS):
                if child is None:
                    child = _Child(self._vocabulary, self._memory_bytes, self._deadline)
                try:
                    answer = child.ask(question)
                    break
                except _TooLate as late:
                    child = None
                    hint = _SMALLER if late.surely else _AGAIN
                    answer = Answer(error=f"{work} {late}.", hint=hint)
                    kept = kept and late.surely
                    break
                except _Died:
                    child = None
        except BaseException:
            if child is not None:
                child.kill()
            child = None
            raise
        finally:
            self._idle.put(child)
            with self._lock:
                self._running.pop(key, None)
        if answer is None:
            # Not kept: what else the machine runs has its part in it.
            return Answer(error=f"{work} takes too much memory.", hint=_SMALLER)
        if kept:
            self._keep(key, answer)
        return answer

    def _keep(self, key: bytes, answer: Answer) -> None:
        size = _weight(key, answer)
        with self._lock:
            if key in self._cache or size > self._cache_bytes:
                return
            self._cache[key] = answer
            self._cached_bytes += size
            while self._cached_bytes > self._cache_bytes:
                self._cached_bytes -= _weight(*self._cache.popitem(last=False))


class _TooLate(Exception):
    """The process ended over a question; what to say of the work on it.

    Attributes:
        surely: it would another time too; else the machine may have been busy.
    """

    def __init__(self, said: str, *, surely: bool) -> None:
        super().__init__(said)
        self.surely = surely


class _Died(Exception):
    """The process ended by itself, or something else ended it."""


class _Child:
    """A running process; not for two threads at once."""

    def __init__(self, vocabulary: Vocabulary, memory_bytes: int, deadline: float) -> None:
        self._deadline = deadline
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rostra.serving.grammar.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        setup = Setup(
            list(vocabulary.tokens),
            vocabulary.eos_token_ids,
            vocabulary.named,
            memory_bytes,
            deadline,
        )
        try:
            self._exchange(setup, START_SECONDS)
        except (_TooLate, _Died) as error:
            raise ModelUnavailable(
                "the process that compiles grammars does not start",
                hint="Too little memory is the usual cause; try again later.",
            ) from error

    def ask(self, question: Question) -> Answer:
        """Raises _TooLate without an answer in time, _Died if it ended; it is gone then."""
        said = self._exchange(question, self._deadline * PATIENCE)
        return msgspec.msgpack.decode(said, type=Answer)

    def kill(self) -> None:
        """Ends the process now."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._process.wait()

    def _exchange(self, message: Any, seconds: float) -> bytes:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("a child without pipes")
        until = monotonic() + seconds
        try:
            stdin.write(frame(message))
            stdin.flush()
            with selectors.DefaultSelector() as selector:
                selector.register(stdout, selectors.EVENT_READ)
                data = bytearray()
                needed = HEADER.size
                while len(data) < needed:
                    left = until - monotonic()
                    if left <= 0 or not selector.select(left):
                        self.kill()
                        raise _TooLate(f"took over {seconds:g} seconds", surely=False)
                    # The raw file: a buffered read would wait for more than there is.
                    part = stdout.raw.read(1 << 20)  # type: ignore[attr-defined]
                    if not part:
                        raise BrokenPipeError("the compiler's process ended")
                    data += part
                    if needed == HEADER.size and len(data) >= needed:
                        needed += HEADER.unpack(data[: HEADER.size])[0]
        except OSError as error:
            self.kill()
            if self._process.returncode == -signal.SIGPROF:
                late = f"took over {self._deadline:g} seconds"
                raise _TooLate(late, surely=True) from error
            raise _Died from error
        return bytes(data[HEADER.size :])


def _check_size(constraint: Constraint, size: int) -> None:
    most = MAX_PASSAGES_BYTES if isinstance(constraint, Quotes) else MAX_CONSTRAINT_BYTES
    if size > most:
        raise InvalidGrammar(
            f"The grammar takes {size:,} bytes; at most {most:,} are allowed.",
            hint="Make the schema, pattern or list smaller.",
        )


def _result(answer: Answer, max_tokens: int) -> bytes:
    if answer.error is not None:
        kind = UnsupportedSchema if answer.unsupported else InvalidGrammar
        raise kind(answer.error, hint=answer.hint, **answer.details)
    if answer.shortest > max_tokens:
        raise InvalidGrammar(
            f"The shortest text that satisfies this grammar takes {answer.shortest} tokens; "
            f"max_tokens is {max_tokens}.",
            hint=f"Ask for at least {answer.shortest} tokens, or loosen the grammar.",
            field="max_tokens",
        )
    return answer.compiled


def _problems(answer: Answer) -> list[str]:
    if answer.error is None:
        return answer.problems
    return [answer.error]


def _weight(key: bytes, answer: Answer) -> int:
    return len(key) + len(answer.compiled) + 1024
