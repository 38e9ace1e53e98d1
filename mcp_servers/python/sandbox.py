"""Runs Python of strangers in a process that can reach nothing, and says what came of it.

Each run is a process of its own that locks itself in (`jail.py`) and is gone at the end, with its
scratch folder. The code may call tools, when the caller gives a way to: it waits while the caller's
coroutine works, and what comes back stays with the code unless it prints it.

What always holds: `Sandbox.run` ends, at the latest when its time is over, and leaves no process;
what it keeps of the run's words is bounded; nothing that the code does raises here. Where the
sandbox is not to be had nothing is run.
"""

import asyncio
import errno
import json
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from mcp_servers.python.seccomp import seccomp_filter
from rostra.core import InvalidRequest, RostraError

CallTool = Callable[[str, dict[str, Any]], Awaitable[Any]]

MIB = 1024 * 1024
_JAIL = Path(__file__).with_name("jail.py")
# Since this one, threads are counted for each user namespace, and binds are made read-only whole.
_OLDEST_KERNEL = (5, 14)
_PIECE = 1 << 16


class SandboxUnavailable(RostraError):
    """This machine, or the container that this runs in, does not allow what the sandbox needs."""

    status = 503
    code = "sandbox_unavailable"


class CallRefused(Exception):
    """Raised by the caller's coroutine: the code reads the message and can go on."""


class Ending(StrEnum):
    """How a run ended."""

    DONE = "done"
    RAISED = "raised"  # an exception that the code did not catch
    TIME = "time"  # its time was over
    KILLED = "killed"  # by the kernel, or by itself


@dataclass(frozen=True, slots=True)
class Limits:
    """Most that one run may use.

    Attributes:
        seconds: of wall time, without that of tools that it calls; processor time too.
        memory: bytes of address space of its one process.
        scratch: bytes of its files.
        threads: at once.
        files: open at once.
        output: code points kept of each of stdout, stderr, value and error.
        calls: of tools.
        message: bytes of the arguments or the result of one call.
        code: code points of the code.
    """

    seconds: float = 10.0
    memory: int = 512 * MIB
    scratch: int = 64 * MIB
    threads: int = 32
    files: int = 64
    output: int = 20_000
    calls: int = 100
    message: int = 16 * MIB
    code: int = 200_000


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a run.

    Attributes:
        value: `repr` of the last line's value, where that is an expression.
        error: what ended it, for a model to read: a traceback, or a limit.
        truncated: whether something was left out of stdout or stderr.
        calls: of tools.
    """

    ending: Ending
    stdout: str
    stderr: str
    value: str | None
    error: str | None
    truncated: bool
    calls: int


class Sandbox:
    """Runs code, a few at a time.

    Args:
        limits: of each run.
        folders: more folders that code may read and import from; the standard library's are there.
        most: runs at once; more wait.
    """

    def __init__(
        self,
        limits: Limits = Limits(),
        *,
        folders: Sequence[Path] = (),
        most: int | None = None,
    ) -> None:
        self.limits = limits
        self._folders = [str(folder.resolve()) for folder in folders]
        self._slots = asyncio.Semaphore(most or max(2, os.cpu_count() or 2))

    async def run(
        self, code: str, call_tool: CallTool | None = None, *, seconds: float | None = None
    ) -> Ran:
        """Runs code as a script of its own.

        Args:
            code: Python; `tools.call(name, **arguments)` in it calls `call_tool`.
            call_tool: gives a JSON value, or raises `CallRefused` for the code to read.
            seconds: less than the limit's, when given.

        Raises:
            InvalidRequest: the code is too long.
            SandboxUnavailable: nothing was run, because there is no safe place to.
        """
        limits = self.limits
        if len(code) > limits.code:
            raise InvalidRequest(f"the code has {len(code)} characters, over {limits.code}")
        program = _filter_for_this_machine()
        time = limits.seconds if seconds is None else min(seconds, limits.seconds)
        request = {
            "code": code.encode("utf-8", "replace").decode(),  # no lone surrogates
            "text": limits.output,
            "filter": program.hex(),
            "folders": self._folders,
            "limits": {
                "cpu": int(time) + 1,
                "memory": limits.memory,
                "scratch": limits.scratch,
                "scratch_files": 4096,
                "threads": limits.threads,
                "files": limits.files,
            },
        }
        async with self._slots:
            return await _Run(limits, call_tool, time).execute(request)


@dataclass(slots=True)
class _Run:
    """One process, from its start to its end."""

    limits: Limits
    call_tool: CallTool | None
    seconds: float
    calls: int = 0
    done: dict[str, Any] | None = None
    refused: dict[str, Any] | None = None
    broken: str | None = None
    out: "_Ends" = field(init=False)
    err: "_Ends" = field(init=False)

    def __post_init__(self) -> None:
        self.out, self.err = _Ends(self.limits.output), _Ends(self.limits.output)

    async def execute(self, request: dict[str, Any]) -> Ran:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-B", "-X", "utf8", str(_JAIL)),
                str(theirs.fileno()),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
                env={},
                cwd="/",
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
            theirs.close()
            if process.stdout is None or process.stderr is None:
                raise RuntimeError("the sandbox was started without pipes")
            words = asyncio.gather(self.out.read(process.stdout), self.err.read(process.stderr))
            in_time = True
            try:
                async with asyncio.timeout(self.seconds) as deadline:
                    await self._converse(ours, request, process, deadline)
                    if self.broken is None:
                        await process.wait()
            except TimeoutError:
                in_time = False
            finally:
                # Its three processes are one group, and the last two die with the first.
                if process.returncode is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                await asyncio.shield(asyncio.gather(process.wait(), words))
        return self._result(process.returncode or 0, in_time)

    async def _converse(
        self,
        channel: socket.socket,
        request: dict[str, Any],
        process: Process,
        deadline: asyncio.Timeout,
    ) -> None:
        """Answers calls until the run says that it is done, or hangs up."""
        channel.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=channel, limit=self.limits.message)
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            while (message := await self._next(reader)) is not None:
                answer = await self._answer(*message, process, deadline)
                writer.write(answer + b"\n")
                await writer.drain()
        except ConnectionError:
            return  # its exit status says why
        finally:
            writer.close()

    async def _next(self, reader: asyncio.StreamReader) -> tuple[str, dict[str, Any]] | None:
        """The next call; None once there are no more, for whatever reason."""
        try:
            message = _object(await reader.readuntil(b"\n"))
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError:
            self.broken = f"a call's arguments are over {self.limits.message} bytes"
            return None
        match message:
            case {"call": str(name), "arguments": dict(arguments)}:
                return name, arguments
            case {"done": dict(done)}:
                self.done = done
            case {"refused": dict(refused)} if not self.calls:
                self.refused = refused
            case _:
                self.broken = "the code wrote to the channel that calls of tools go through"
        return None

    async def _answer(
        self, name: str, arguments: dict[str, Any], process: Process, deadline: asyncio.Timeout
    ) -> bytes:
        """Calls the tool; the code's time stands still meanwhile.

        Raises:
            ConnectionResetError: the process is gone, so the call is given up.
        """
        self.calls += 1
        if self.call_tool is None:
            return _error("there are no tools to call from here")
        if self.calls > self.limits.calls:
            return _error(f"more than {self.limits.calls} calls")
        loop = asyncio.get_running_loop()
        left = (deadline.when() or loop.time()) - loop.time()
        deadline.reschedule(None)
        call = asyncio.ensure_future(self.call_tool(name, arguments))
        end = asyncio.create_task(process.wait())
        try:
            await asyncio.wait((call, end), return_when=asyncio.FIRST_COMPLETED)
            if not call.done():
                raise ConnectionResetError("the process ended during a call")
            result = await call
        except CallRefused as refusal:
            return _error(str(refusal))
        finally:
            for task in (call, end):
                task.cancel()
            await asyncio.wait((call, end))
            deadline.reschedule(loop.time() + left)
        answer = json.dumps({"result": result}).encode()
        if len(answer) > self.limits.message:
            return _error(f"the result is over {self.limits.message} bytes; ask for less")
        return answer

    def _result(self, status: int, in_time: bool) -> Ran:
        if self.refused is not None:
            raise _unavailable(str(self.refused.get("step")), self.refused.get("errno"))
        stdout, stderr = self.out.text(), self.err.text()
        value = error = None
        if not in_time:
            ending, error = Ending.TIME, f"stopped: it ran longer than {self.seconds:g} s"
        elif self.broken is not None:
            ending, error = Ending.KILLED, f"stopped: {self.broken}"
        elif self.done is not None:
            value = self._words(self.done.get("value"))
            error = self._words(self.done.get("error"))
            ending = Ending.DONE if error is None else Ending.RAISED
        else:
            ending, error = Ending.KILLED, _why_ended(status)
        return Ran(
            ending=ending,
            stdout=stdout,
            stderr=stderr,
            value=value,
            error=error,
            truncated=self.out.dropped + self.err.dropped > 0,
            calls=self.calls,
        )

    def _words(self, given: object) -> str | None:
        # `inside.py` cuts them, but the code may have spoken in its place.
        if not isinstance(given, str):
            return None
        return given[: self.limits.output + 100].encode("utf-8", "replace").decode()


class _Ends:
    """The first and the last half of a stream, as much as fits."""

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._head = bytearray()
        self._tail = bytearray()
        self.dropped = 0

    async def read(self, stream: asyncio.StreamReader) -> None:
        """Reads to the end; bytes in between are read and forgotten."""
        while piece := await stream.read(_PIECE):
            room = self._half - len(self._head)
            self._head += piece[:room]
            self._tail += piece[max(room, 0) :]
            if (over := len(self._tail) - self._half) > 0:
                del self._tail[:over]
                self.dropped += over

    def text(self) -> str:
        """What is kept, with a line that says how much is not."""
        if not self.dropped:
            return (self._head + self._tail).decode("utf-8", "replace")
        head, tail = (part.decode("utf-8", "replace") for part in (self._head, self._tail))
        return f"{head}\n[... {self.dropped} bytes left out ...]\n{tail}"


def _object(line: bytes) -> Any:
    """The value of a line; None where it has none."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _error(text: str) -> bytes:
    return json.dumps({"error": text}).encode()


def _why_ended(status: int) -> str:
    number = -status if status < 0 else status - 128
    if number == signal.SIGKILL:
        return "killed: it used up its processor time, or the machine's memory"
    if number > 0 and number in set(signal.Signals):
        return f"killed by {signal.Signals(number).name}; out of memory or of stack, perhaps"
    return f"it left with status {status} and said nothing"


def _filter_for_this_machine() -> bytes:
    if sys.platform != "linux":
        raise SandboxUnavailable("the Python sandbox needs Linux", hint=_HINT)
    system = os.uname()
    release = re.match(r"(\d+)\.(\d+)", system.release)
    if release is None or (int(release[1]), int(release[2])) < _OLDEST_KERNEL:
        raise SandboxUnavailable(
            f"the Python sandbox needs Linux {'.'.join(map(str, _OLDEST_KERNEL))} or newer; "
            f"this is {system.release}"
        )
    program = seccomp_filter(system.machine)
    if program is None:
        raise SandboxUnavailable(f"the Python sandbox does not know the machine {system.machine}")
    return program


_HINT = (
    "It needs unprivileged user namespaces: a container needs a seccomp profile that allows "
    "unshare and mount (docker run --security-opt seccomp=unconfined), and the host "
    "kernel.unprivileged_userns_clone=1, user.max_user_namespaces above 0 and, on Ubuntu, "
    "kernel.apparmor_restrict_unprivileged_userns=0."
)


def _unavailable(step: str, number: object) -> SandboxUnavailable:
    known = isinstance(number, int) and number in errno.errorcode
    reason = os.strerror(number) if known and isinstance(number, int) else "no reason given"
    return SandboxUnavailable(
        f"code is not run here, because the sandbox cannot be made: {step[:200]}: {reason}",
        hint=_HINT,
    )
