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

from rostra.core import Settings, get_logger
from rostra.ingest.document import ParsedDocument, check_document
from rostra.ingest.errors import CorruptFile, ParseMemory, ParseTimeout, unreadable
from rostra.ingest.limits import ParseLimits
from rostra.ingest.wire import HEADER, Reply, Request, frame

_log = get_logger(__name__)


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
        # Files that the present process has read.
        self._served = 0

    async def __aenter__(self) -> Self:
        """Starts the process, so that the first file need not wait for it."""
        await self._start()
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
        if self._worker is None or self._worker.returncode is not None:
            await self._start()
        worker = self._worker
        if worker is None:
            raise _WorkerDied("it could not be started")
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

    async def _start(self) -> None:
        await self._stop()
        self._served = 0
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

    async def _stop(self) -> None:
        worker, self._worker = self._worker, None
        if worker is None:
            return
        if worker.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                worker.kill()
        await worker.wait()
        if worker.stdin is not None:
            worker.stdin.close()


async def _exchange(worker: asyncio.subprocess.Process, request: Request) -> Reply:
    """Sends a request and waits for its reply.

    Raises:
        _WorkerDied: if the process ends before that.
    """
    if worker.stdin is None or worker.stdout is None:
        raise _WorkerDied("it has no pipes")
    try:
        for part in frame(request):
            worker.stdin.write(part)
        await worker.stdin.drain()
        (length,) = HEADER.unpack(await worker.stdout.readexactly(HEADER.size))
        body = await worker.stdout.readexactly(length)
        return msgspec.msgpack.decode(body, type=Reply)
    except (asyncio.IncompleteReadError, ConnectionError, msgspec.DecodeError):
        code = await worker.wait() if worker.stdout.at_eof() else worker.returncode
        raise _WorkerDied(_fate(code)) from None


def _fate(code: int | None) -> str:
    if code is None or code >= 0:
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
