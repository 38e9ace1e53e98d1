"""Runs compiled kernels on several cores, without waiting for a core that is busy elsewhere.

A kernel is a numba function of one address, that of its arguments: an array of int64. Every thread
calls it with the same address and takes work from a counter in that array until none is left, so a
kernel is right on any number of threads, one included.

A launch offers the kernel to helper threads and runs it on its own thread at once. Helpers that
look up find work if any is left; at the end the launch takes the offer back and waits only for
those that are inside. An OpenMP region would wait for every thread, for a time slice of several
milliseconds where another program holds its core, two hundred times a step.

Helpers look for work for a fraction of a millisecond after the last, then sleep.

What always holds: when `launch` returns, the work is done and nobody reads its arguments; kernels
neither hold the GIL nor touch Python objects.
"""

import ctypes
import os
import threading
from array import array
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from numba import types
from numba.core import sigutils
from numba.core.ccallback import CFunc

from rostra.core import code_cache
from rostra.serving.kernels.cpu_vector import (
    call_code,
    compiled,
    fetch_add,
    pause,
    read_int,
    read_shared,
    write_int,
)

_SIGNATURE = types.void(types.int64)
_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_int64)


class Kernel:
    """A numba function `f(address: int64) -> None`, compiled when first launched.

    The code is kept on disk beside its source, or in the user's cache folder, and only in memory
    where neither can be written; it is made anew when a file of this folder changes.
    """

    def __init__(self, function: Callable[[int], None]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    @cached_property
    def address(self) -> int:
        """Of the machine code, a C function `void (*)(int64_t)`."""
        return int(self._compiled.address)

    @cached_property
    def run(self) -> Callable[[int], None]:
        """Calls the code with an address, on this thread."""
        return _FUNCTION(self.address)

    @cached_property
    def _compiled(self) -> Any:
        signature = sigutils.normalize_signature(_SIGNATURE)
        made: Any = CFunc(self._function, signature, locals={}, options={"nopython": True})
        # Kernels are put together from all files of this folder.
        cache = code_cache(self._function, _sources())
        if cache is not None:
            made._cache = cache
        made.compile()
        return made


@cache
def _sources() -> list[str]:
    """Where kernels' code comes from."""
    return sorted(map(str, Path(__file__).parent.glob("*.py")))


def kernel(function: Callable[[int], None]) -> Kernel:
    """Decorates a kernel."""
    return Kernel(function)


class Recorder(Protocol):
    """Is told of every launch in its context; see `cpu_replay`."""

    def add(self, kernel: Kernel, block: "array[int]", counters: int, parallel: bool) -> None: ...


RECORDER: ContextVar[Recorder | None] = ContextVar("rostra_kernel_recorder", default=None)


def launch(kernel: Kernel, *arguments: int, counters: int = 2, parallel: bool = True) -> None:
    """Runs a kernel to its end, on as many threads as torch is set to use.

    Args:
        kernel: to run.
        arguments: what it finds at its address, after the counters.
        counters: int64s that come first and start at 0.
        parallel: False for work that is not worth the others' attention.
    """
    block = array("q", _ZEROS[counters] + arguments)  # cheaper to make than a ctypes array
    if (recorder := RECORDER.get()) is not None:
        recorder.add(kernel, block, counters, parallel)
    address, _ = block.buffer_info()
    if parallel and (threads := torch.get_num_threads()) > 1:
        helpers().run(kernel.address, address, threads - 1)
    else:
        kernel.run(address)


_ZEROS = ((), (0,), (0, 0), (0, 0, 0))


# The board that an offer stands on: int64s at these bytes, those that several threads write each
# in a cache line of its own.
_OFFER, _CODE, _ARGUMENTS, _TICKET, _INSIDE = 0, 64, 72, 80, 128
_BOARD_WORDS = 256 // 8
# Looks without finding an offer before a helper sleeps; some hundred microseconds.
_LOOKS = 10_000


@compiled
def _take_part(board: int) -> None:
    """A helper's work until there has been none for a while."""
    seen, looks = 0, 0
    while looks < _LOOKS:
        ticket = read_shared(board + _OFFER)
        if ticket in (0, seen):
            looks += 1
            pause()
            continue
        fetch_add(board + _INSIDE, 1)
        # Taken back meanwhile? After this look the one who offers waits for us.
        if fetch_add(board + _OFFER, 0) == ticket:
            call_code(read_int(board + _CODE), read_int(board + _ARGUMENTS))
        fetch_add(board + _INSIDE, -1)
        seen, looks = ticket, 0


@compiled
def _offer(board: int, code: int, arguments: int) -> None:
    """Offers a kernel, runs it here too, and takes the offer back."""
    ticket = read_int(board + _TICKET) + 1
    write_int(board + _TICKET, ticket)
    write_int(board + _CODE, code)
    write_int(board + _ARGUMENTS, arguments)
    fetch_add(board + _OFFER, ticket)
    call_code(code, arguments)
    fetch_add(board + _OFFER, -ticket)
    while fetch_add(board + _INSIDE, 0) != 0:
        pause()


@kernel
def _helping(board: int) -> None:
    _take_part(board)


# Of a program: the board, or 0 to run alone; the number of launches; then for each its code, its
# arguments' address, its number of counters and whether it is parallel.
LAUNCH_WORDS = 4


@kernel
def _running(program: int) -> None:
    board = read_int(program)
    for number in range(read_int(program + 8)):
        place = program + 16 + 8 * LAUNCH_WORDS * number
        code, arguments = read_int(place), read_int(place + 8)
        for counter in range(read_int(place + 16)):
            write_int(arguments + 8 * counter, 0)
        if board and read_int(place + 24):
            _offer(board, code, arguments)
        else:
            call_code(code, arguments)


class Helpers:
    """The helper threads of this process and the board that offers stand on."""

    def __init__(self) -> None:
        self._room = array("q", bytes(8 * (_BOARD_WORDS + 8)))
        start, _ = self._room.buffer_info()
        self._board = start + -start % 64  # aligned to a cache line
        self._busy = threading.Lock()
        self._asleep: list[bool] = []
        self._wake: list[threading.Semaphore] = []
        # Compiled now: helpers must not wait for the compiler while others wait for them.
        self._help, self._run = _helping.run, _running.run

    def run(self, code: int, address: int, helpers: int) -> None:
        """Runs a kernel here, with the help of so many threads."""
        self.run_program(array("q", (0, 1, code, address, 0, 1)), helpers)

    def run_program(self, program: "array[int]", helpers: int) -> None:
        """Runs launches one after the other; the program's first word is written here."""
        address, _ = program.buffer_info()
        if helpers < 1 or not self._busy.acquire(blocking=False):
            program[0] = 0  # Another thread has the helpers.
            self._run(address)
            return
        try:
            while len(self._asleep) < helpers:
                self._hire()
            for number in range(helpers):
                if self._asleep[number]:
                    self._asleep[number] = False
                    self._wake[number].release()
            program[0] = self._board
            self._run(address)
        finally:
            self._busy.release()

    def _hire(self) -> None:
        number = len(self._asleep)
        self._asleep.append(True)
        self._wake.append(threading.Semaphore(0))
        name = f"rostra-kernel-{number}"
        threading.Thread(target=self._serve, args=(number,), name=name, daemon=True).start()

    def _serve(self, number: int) -> None:
        while True:
            self._wake[number].acquire()
            self._help(self._board)
            self._asleep[number] = True


@cache
def helpers() -> Helpers:
    """Those of this process."""
    # A forked child has none of its parent's threads.
    os.register_at_fork(after_in_child=helpers.cache_clear)
    return Helpers()
