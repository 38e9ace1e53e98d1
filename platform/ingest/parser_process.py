"""Parsing in a guarded process: what a hostile file does there, it does to itself only.

What always holds: a call to `parse` ends with a document or an `UnreadableFile`, at most
`parse_timeout` seconds after its file's turn has come; a process that hangs, runs out of memory or
crashes is replaced, and the next file does not notice.
"""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from rostra.core import RostraError, Settings, get_logger
from rostra.ingest.document import ParsedDocument, check_document
from rostra.ingest.errors import CorruptFile, ParseMemory, ParseTimeout, unreadable
from rostra.ingest.limits import ParseLimits
from rostra.ingest.wire import HEADER, Reply, Request, frame

_log = get_logger(__name__)
# Importing is slow on a cold disk; the time for a file begins after that.
_START_SECONDS = 60.0


class ParserUnavailable(RostraError):
    """The parser process does not start: no file can be parsed."""

    status = 503
    code = "parser_unavailable"


class _WorkerDied(Exception):
    """The process ended before it answered."""


class ParserProcess:
    """A long-lived process that parses one file at a time; open more for more at once.

    Args:
        settings: time and memory for one file, and the limits of its text.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limits = ParseLimits.of(settings)
        self._lock = asyncio.Lock()
        self._worker: asyncio.subprocess.Process | None = None
        # Whether the present process has said that it is ready, and the files it was given.
        self._ready = False
        self._served = 0

    async def __aenter__(self) -> Self:
        """Starts the process without waiting for it."""
        await self._spawn()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the process."""
        await asyncio.shield(self._stop())

    @property
    def pid(self) -> int | None:
        """The process's id; None when none runs."""
        return self._worker.pid if self._worker is not None else None

    async def parse(self, name: str, data: bytes) -> ParsedDocument:
        """Parses one file.

        Args:
            name: the file's name; its ending helps to tell the type.
            data: the file, read by the caller within `max_file_bytes`.

        Raises:
            UnreadableFile: of the class that says why there is no document.
            ParserUnavailable: if the process does not start.
        """
        async with self._lock:
            fresh = self._served == 0
            try:
                return await self._parse_once(name, data)
            except (ParseMemory, _WorkerDied) as error:
                # What earlier files left behind must not be this file's failure.
                if fresh:
                    raise _as_reason(error) from None
            try:
                return await self._parse_once(name, data)
            except _WorkerDied as error:
                raise _as_reason(error) from None

    async def _parse_once(self, name: str, data: bytes) -> ParsedDocument:
        worker = await self._running()
        self._served += 1
        answered = False
        try:
            async with asyncio.timeout(self._settings.parse_timeout):
                reply = await _exchange(worker, Request(name, data, self._limits))
            answered = reply.code != ParseMemory.code
        except TimeoutError:
            raise ParseTimeout(
                f"the file took longer than {self._settings.parse_timeout:g} seconds to read",
                hint="Raise parse_timeout, or split the file.",
            ) from None
        finally:
            # Also when the caller is cancelled: a half-read answer must not meet the next file.
            if not answered:
                await asyncio.shield(self._stop())
        if reply.document is None:
            raise unreadable(reply.code, reply.message, reply.hint)
        try:
            check_document(reply.document)
        except ValueError as error:
            _log.error("invalid document from the parser", name=name, reason=str(error))
            raise CorruptFile(f"the file was read wrongly: {error}") from None
        return reply.document

    async def _running(self) -> asyncio.subprocess.Process:
        """A process that is ready; one that dies while it starts is started once more.

        Raises:
            ParserUnavailable: if it does not start.
        """
        for _ in range(2):
            worker = self._worker
            if worker is None or worker.returncode is not None:
                worker = await self._spawn()
            if self._ready:
                return worker
            try:
                async with asyncio.timeout(_START_SECONDS):
                    await _receive(worker)
            except (TimeoutError, _WorkerDied) as error:
                reason = str(error)
                await self._stop()
            else:
                self._ready = True
                return worker
        raise ParserUnavailable(
            f"the parser process does not start ({reason or 'no answer'})",
            hint="Raise parse_memory_bytes, and check that the installation is complete.",
        )

    async def _spawn(self) -> asyncio.subprocess.Process:
        await self._stop()
        self._worker = await asyncio.create_subprocess_exec(
            sys.executable,
            # Never import from the current folder: it may hold the very files to be read.
            "-P",
            "-m",
            "rostra.ingest.worker",
            str(self._settings.parse_memory_bytes),
            str(self._settings.parse_timeout),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
        )
        return self._worker

    async def _stop(self) -> None:
        worker, self._worker = self._worker, None
        self._ready, self._served = False, 0
        if worker is None:
            return
        if worker.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                worker.kill()
        # Reads what it had written so far: asyncio sees the end of a process only after the end
        # of its pipes.
        with contextlib.suppress(ConnectionError):
            await worker.communicate()


async def _exchange(worker: asyncio.subprocess.Process, request: Request) -> Reply:
    """Sends a request and waits for its reply.

    Raises:
        _WorkerDied: if the process ends before that.
    """
    if worker.stdin is None:
        raise _WorkerDied("no pipe")
    try:
        for part in frame(request):
            worker.stdin.write(part)
        await worker.stdin.drain()
    except ConnectionError:
        raise _WorkerDied(_fate(await worker.wait())) from None
    try:
        return msgspec.msgpack.decode(await _receive(worker), type=Reply)
    except msgspec.DecodeError as error:
        raise _WorkerDied(f"a reply that is none: {error}") from None


async def _receive(worker: asyncio.subprocess.Process) -> bytes:
    """The body of the next message.

    Raises:
        _WorkerDied: if the process ends before that.
    """
    if worker.stdout is None:
        raise _WorkerDied("no pipe")
    try:
        (length,) = HEADER.unpack(await worker.stdout.readexactly(HEADER.size))
        return await worker.stdout.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        # The pipe is closed, so the process has ended or is about to.
        return_code = await worker.wait()
        raise _WorkerDied(_fate(return_code)) from None


def _fate(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _as_reason(error: ParseMemory | _WorkerDied) -> ParseMemory | CorruptFile:
    """A death by SIGKILL is the operating system's, for want of memory; others are crashes."""
    if isinstance(error, ParseMemory):
        return error
    fate = str(error)
    if fate == signal.SIGKILL.name:
        return ParseMemory("the parser was killed, most likely for want of memory")
    return CorruptFile(f"the file crashed its parser ({fate})")


def _environment() -> dict[str, str]:
    """The parent's environment with its import path; number crunchers keep to one thread."""
    root = str(Path(__file__).parents[2])
    paths = [path for path in sys.path if Path(path).is_absolute()]
    single = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, **single, "PYTHONPATH": os.pathsep.join([*paths, root])}
