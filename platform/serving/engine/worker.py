"""The engine's process: loads a core and runs its step loop.

What always holds: commands are read by a thread of their own and obeyed between steps; what a step
brought leaves before the next begins; a request that is refused gets its `RequestEnd`; whatever
else goes wrong ends the process. It ends, too, as soon as its client does, also in mid-step: then
the pipe ends, and on Linux the client's process is watched beside it.
"""

import gc
import importlib
import inspect
import logging
import os
import queue
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec

from rostra.core import RostraError, configure_logging
from rostra.serving.config import EngineConfig
from rostra.serving.engine.info import EngineInfo
from rostra.serving.engine.metrics import EngineStats
from rostra.serving.engine.wire import (
    HEADER,
    Abort,
    Add,
    Command,
    Crashed,
    Load,
    Loading,
    NotLoaded,
    Ready,
    Report,
    Shutdown,
    Stepped,
    frame,
    pack_error,
)
from rostra.serving.request import EngineEvent, EngineRequest, RequestEnd, Usage

# What makes the core of every engine, unless a test puts another in its place.
CORE = "rostra.serving.engine.core:EngineCore"

# Between two looks at the numbers while the loop is busy.
_STATS_SECONDS = 0.1
# Loading is told in so many parts.
_PROGRESS_PARTS = 100


class Core(Protocol):
    """What the loop drives: `EngineCore`, or a stand-in of the same manners."""

    @property
    def has_work(self) -> bool: ...

    def add(self, request: EngineRequest) -> None: ...

    def abort(self, request_id: str, index: int | None = None) -> None: ...

    def step(self) -> list[EngineEvent]: ...

    def stats(self) -> EngineStats: ...

    def describe(self) -> EngineInfo: ...

    def close(self) -> None: ...


def make_core(
    spec: str,
    folder: Path,
    config: EngineConfig,
    progress: Callable[[float], None] | None = None,
) -> Core:
    """Makes the core that `module:name` names.

    Args:
        spec: a class or function that takes the folder and the configuration, and `progress` if it
            has a parameter of that name.
        folder: the checkpoint's.
        config: how to set the engine up.
        progress: called with the part that is loaded, 0 to 1.

    Raises:
        RostraError: why it cannot be loaded.
    """
    module, _, name = spec.partition(":")
    factory: Callable[..., Core] = getattr(importlib.import_module(module), name)
    more: dict[str, Any] = {}
    if "progress" in inspect.signature(factory).parameters:
        more["progress"] = progress
    return factory(folder, config, **more)


def obey(core: Core, command: Command) -> list[EngineEvent]:
    """Carries out a command; what it refuses is an event."""
    match command:
        case Add(request):
            try:
                core.add(request)
            except RostraError as error:
                usage = Usage(prompt_tokens=len(request.prompt))
                return [RequestEnd(request.id, usage, pack_error(error))]
        case Abort(request_id, index):
            core.abort(request_id, index)
    return []


class Inbox:
    """Commands as they arrive.

    Args:
        connection: where they come from.
        parent: the client's process id.
    """

    def __init__(self, connection: socket.socket, parent: int) -> None:
        self._connection = connection
        self._parent = parent
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        with suppress(AttributeError, OSError):  # another system, or an older Linux
            # Readable once the client has ended; the descriptor lives as long as this process.
            self._poll.register(os.pidfd_open(parent), select.POLLIN)
        self._commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._decoder = msgspec.msgpack.Decoder(Command)
        threading.Thread(target=self._listen, name="commands", daemon=True).start()

    def next(self) -> Command:
        """Waits for a command."""
        return self._commands.get()

    def waiting(self) -> list[Command]:
        """Those that have arrived, without waiting."""
        found: list[Command] = []
        # No more than are here now, or a flood of commands would hold up the next step.
        for _ in range(self._commands.qsize()):
            found.append(self._commands.get())
        return found

    def _listen(self) -> None:
        try:
            while True:
                (length,) = HEADER.unpack(self._read(HEADER.size))
                self._commands.put(self._decoder.decode(self._read(length)))
        except (EOFError, OSError):
            # Nobody is left to work for; a step under way must not keep the memory for long.
            os._exit(0)
        except msgspec.DecodeError:
            traceback.print_exc()
            os._exit(1)

    def _read(self, count: int) -> bytes:
        buffer = bytearray(count)
        view = memoryview(buffer)
        while view:
            self._wait()
            got = self._connection.recv_into(view)
            if not got:
                raise EOFError
            view = view[got:]
        return bytes(buffer)

    def _wait(self) -> None:
        """Until there is something to read.

        Raises:
            EOFError: the client is gone; a child that it forked may still hold its end open.
        """
        self._poll.poll()
        if os.getppid() != self._parent:
            raise EOFError


def run(connection: socket.socket, parent: int) -> int:
    """Serves one client until it shuts us down; returns the exit status."""
    inbox = Inbox(connection, parent)

    def send(report: Report) -> None:
        connection.sendall(frame(report))

    load = inbox.next()
    if not isinstance(load, Load):
        return 1
    sys.path[:] = load.search_path
    configure_logging(logging.getLevelName(load.log_level))
    try:
        core = make_core(load.core, Path(load.folder), load.config, _Progress(send))
        info = core.describe()
    except RostraError as error:
        send(NotLoaded(pack_error(error)))
        return 1
    except Exception as error:  # the client must learn of any failure, and the log has the trace
        traceback.print_exc()
        send(Crashed(f"{type(error).__name__}: {error}"))
        return 1
    # What is loaded stays; collecting garbage need not look at it again.
    gc.collect()
    gc.freeze()
    # The loop makes little garbage with cycles, and many objects that live as long as a request.
    # At the default thresholds the passes over those pause the loop by up to 145 ms.
    gc.set_threshold(50_000, 20, 50)
    send(Ready(info))
    try:
        _loop(core, inbox, send)
    except Exception as error:  # as above
        traceback.print_exc()
        send(Crashed(f"{type(error).__name__}: {error}"))
        return 1
    return 0


def _loop(core: Core, inbox: Inbox, send: Callable[[Report], None]) -> None:
    """Obeys and steps until `Shutdown`."""
    looked = time.monotonic()
    while True:
        commands = inbox.waiting() if core.has_work else [inbox.next(), *inbox.waiting()]
        events: list[EngineEvent] = []
        for command in commands:
            if isinstance(command, Shutdown):
                return
            events += obey(core, command)
        events += core.step()
        now = time.monotonic()
        stats = None
        if now - looked >= _STATS_SECONDS or not core.has_work:
            stats, looked = core.stats(), now
        if events or stats:
            send(Stepped(events, stats))


class _Progress:
    """Tells of loading, in steps large enough to be worth a message."""

    def __init__(self, send: Callable[[Report], None]) -> None:
        self._send = send
        self._told = -1

    def __call__(self, done: float) -> None:
        part = int(done * _PROGRESS_PARTS)
        if part != self._told:
            self._told = part
            self._send(Loading(min(1.0, max(0.0, done))))


def main() -> None:
    """`python -m rostra.serving.engine.worker DESCRIPTOR PARENT`."""
    # Ctrl-C in a terminal reaches the whole group; whether to end is for the client to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = socket.socket(fileno=int(sys.argv[1]))
    status = run(connection, int(sys.argv[2]))
    sys.stderr.flush()
    # Taking torch apart would cost seconds, and frees what is gone anyway.
    os._exit(status)


if __name__ == "__main__":
    main()
