"""A server as a child process, one JSON-RPC message a line (MCP, Transports: stdio).

What always holds: the child has its own process group, a minimal environment and bounded lines;
what it writes to stderr goes to the log, and its end is kept for who asks why the child died; when
the transport is left, by whatever way, the child and what it started are gone, after it was asked
to go (stdin closed, then SIGTERM, then SIGKILL).
"""

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage

from rostra.agents.mcp.config import ServerConfig
from rostra.agents.mcp.messages import read_message
from rostra.agents.mcp.text import Tail, one_line
from rostra.agents.tools.tool import ToolFailure
from rostra.core import get_logger

log = get_logger(__name__)

Incoming = SessionMessage | Exception
Streams = tuple[MemoryObjectReceiveStream[Incoming], MemoryObjectSendStream[SessionMessage]]

# Seconds for the child to go by itself, after SIGTERM, and for its death to be seen.
_LEAVE = 2.0
_TERMINATE = 2.0
_REAP = 2.0
_POLL = 0.01
# Seconds from the end of a child's pipe to the news of its death, which a busy machine brings late,
# and from there to the ends of its pipes.
_SETTLE = 2.0
_DRAIN = 1.0
_MAX_LOG_LINE = 4096
_MAX_JUNK = 200


@dataclass(slots=True)
class _Heard:
    """What a child has said so far, for whoever tells of its end: its reader, or its writer.

    Attributes:
        all_of_stdout, all_of_stderr: set at the end of each.
        spoke: it has sent a message.
        junk: the first line of what it printed instead.
    """

    all_of_stdout: anyio.Event = field(default_factory=anyio.Event)
    all_of_stderr: anyio.Event = field(default_factory=anyio.Event)
    spoke: bool = False
    junk: bytes = b""

    @property
    def wrote(self) -> str:
        """Words on a child that may be no server at all: what it prints then says what it is."""
        if self.spoke or not self.junk:
            return ""
        return f"; it wrote {_shown(self.junk[:_MAX_JUNK])!r} to stdout"


@asynccontextmanager
async def stdio_transport(
    config: ServerConfig, on_end: Callable[[str], None], stderr: Tail
) -> AsyncGenerator[Streams, None]:
    """Starts the command and gives the streams of its messages.

    Args:
        on_end: told why, when the child ends or can no longer be talked to; what a dead child had
            written to stderr is kept before that.
        stderr: takes what the child writes there.

    Raises:
        ToolFailure: the command cannot be started.
        ConfigError: a variable that it is to be handed is not set.
    """
    process = await _started(config)
    # No await until the task group is entered, or a cancellation here would leak the child.
    to_session, incoming = anyio.create_memory_object_stream[Incoming](0)
    outgoing, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    heard = _Heard()
    async with anyio.create_task_group() as group:
        group.start_soon(_read, process, config, to_session, on_end, heard)
        group.start_soon(_write, process, from_session, to_session, on_end, heard)
        group.start_soon(_hear_errors, process, config.name, stderr, heard)
        try:
            yield incoming, outgoing
        finally:
            with anyio.CancelScope(shield=True):
                incoming.close()  # the reader goes on without delivering, so the child can finish
                outgoing.close()
                if process.returncode is not None:  # by itself, whether or not that was told yet
                    on_end(await _fate(process, heard) or "")
                await _stop(process)
            group.cancel_scope.cancel()


async def _started(config: ServerConfig) -> Process:
    command = config.command or ""
    try:
        return await asyncio.create_subprocess_exec(
            command,
            *config.args,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=get_default_environment() | config.environment(),
            cwd=config.cwd,
            limit=config.max_result_bytes,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # the latter for a NUL
        why = error.strerror if isinstance(error, OSError) else None
        in_folder = isinstance(error, OSError) and error.filename == config.cwd is not None
        what = f"its folder {str(config.cwd)!r}" if in_folder else f"its command {command!r}"
        raise ToolFailure(
            f"Server {config.name!r} cannot be used: {what}: {why or one_line(str(error))}.",
            began=False,
        ) from None


async def _read(
    process: Process,
    config: ServerConfig,
    to_session: MemoryObjectSendStream[Incoming],
    on_end: Callable[[str], None],
    heard: _Heard,
) -> None:
    """Hands on messages until the child's stdout ends."""
    lines = process.stdout
    if lines is None:
        raise RuntimeError("the child was started without stdout")
    async with to_session:
        while True:
            try:
                line = await lines.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                heard.all_of_stdout.set()
                on_end(await _fate(process, heard) or f"closed its stdout{heard.wrote}")
                return
            except asyncio.LimitOverrunError:
                on_end(f"sent a message of more than {config.max_result_bytes:,} bytes")
                break
            message = read_message(line)
            if message is None:
                # Some servers print to stdout; one line of that is no reason to give up.
                if line.strip():
                    heard.junk = heard.junk or line
                    log.warning("no_message", server=config.name, line=_shown(line))
                continue
            heard.spoke = True
            try:
                await to_session.send(SessionMessage(message))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                break
    # Nobody reads any more; a child that cannot write would not see that it is to go.
    with suppress(OSError):
        while await lines.read(65_536):
            pass


async def _write(
    process: Process,
    from_session: MemoryObjectReceiveStream[SessionMessage],
    to_session: MemoryObjectSendStream[Incoming],
    on_end: Callable[[str], None],
    heard: _Heard,
) -> None:
    """Writes messages to the child's stdin."""
    pipe = process.stdin
    if pipe is None:
        raise RuntimeError("the child was started without stdin")
    async with from_session:
        async for item in from_session:
            text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
            try:
                pipe.write(text.encode() + b"\n")
                await pipe.drain()
            except (OSError, RuntimeError):  # the latter when its transport is closing
                on_end(await _fate(process, heard) or f"closed its stdin{heard.wrote}")
                await to_session.aclose()  # wakes whoever waits for an answer
                return


async def _hear_errors(process: Process, server: str, stderr: Tail, heard: _Heard) -> None:
    """Keeps what the child writes to stderr and logs it, line by line."""
    if process.stderr is None:
        raise RuntimeError("the child was started without stderr")
    rest = b""
    while chunk := await process.stderr.read(_MAX_LOG_LINE):
        stderr.add(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > _MAX_LOG_LINE:
            lines.append(rest)
            rest = b""
        for line in lines:
            if line.strip():
                log.info("stderr", server=server, line=_shown(line))
    if rest.strip():
        log.info("stderr", server=server, line=_shown(rest))
    heard.all_of_stderr.set()


async def _fate(process: Process, heard: _Heard) -> str | None:
    """How the child ended, once its last words are heard; None where it lives on.

    Whoever asks is told the same, so that it does not matter who notices the end first.
    """
    if not await _settle(process, _SETTLE):
        return None
    # Somebody else may hold its pipes, so their ends are not waited for in any case.
    with anyio.move_on_after(_DRAIN):
        await heard.all_of_stdout.wait()
        await heard.all_of_stderr.wait()
    return _ended(process.returncode or 0) + heard.wrote


def _ended(code: int) -> str:
    if code >= 0:
        return f"exited with status {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


async def _stop(process: Process) -> None:
    """Ends the child and everything in its process group; every wait is bounded."""
    if process.stdin is not None:
        process.stdin.close()
    if not await _settle(process, _LEAVE):
        _signal(process, signal.SIGTERM)
        await _settle(process, _TERMINATE)
    # Also what it has left behind, when it went by itself.
    _signal(process, signal.SIGKILL)
    if not await _settle(process, _REAP):
        log.warning("not_killed", pid=process.pid)
    # A grandchild in a session of its own may hold the pipes open for ever; nothing public closes
    # our ends of them.
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()


async def _settle(process: Process, seconds: float) -> bool:
    """Whether the child is dead within so many seconds.

    Not `Process.wait`: that waits for its pipes too, which a grandchild may hold.
    """
    with anyio.move_on_after(seconds):
        while process.returncode is None:  # noqa: ASYNC110 - no event tells of a death alone
            await anyio.sleep(_POLL)
    return process.returncode is not None


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _shown(line: bytes) -> str:
    return one_line(line[:_MAX_LOG_LINE].decode(errors="replace"))
