"""Runs compiled kernels on all cores, on torch's own threads.

A pool of our own would fight torch's threads, which spin between products; so a kernel runs as an
OpenMP parallel region of the runtime that torch has loaded (GOMP_parallel, libgomp's ABI). Where
that is not found (macOS), plain threads do the same, at a higher cost per launch.

A kernel is a numba function of one address, that of its arguments: an array of int64. Every thread
calls it with the same address and takes work from a counter in that array until none is left, so a
kernel is right on any number of threads, one included.

What always holds: `launch` returns when the work is done; kernels neither hold the GIL nor touch
Python objects.
"""

import ctypes
import importlib.util
import os
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numba
import torch
from numba import types

_SIGNATURE = types.void(types.int64)
_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_int64)


class Kernel:
    """A numba function `f(address: int64) -> None`, compiled when first launched.

    The code is kept on disk beside its source, or in the user's cache folder, and only in memory
    where neither can be written.
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
        try:
            return numba.cfunc(_SIGNATURE, nopython=True, cache=True)(self._function)
        except RuntimeError as error:  # numba's word for: no folder to write to
            if "cache" not in str(error):
                raise
            return numba.cfunc(_SIGNATURE, nopython=True)(self._function)


def kernel(function: Callable[[int], None]) -> Kernel:
    """Decorates a kernel."""
    return Kernel(function)


def launch(kernel: Kernel, *arguments: int, parallel: bool = True) -> None:
    """Runs a kernel to its end.

    Args:
        kernel: to run.
        arguments: what it finds at its address, from the third int64 on; the first two are
            counters that start at 0.
        parallel: on all of torch's threads; False for work that is not worth waking them.
    """
    block = array("q", (0, 0, *arguments))  # cheaper to make than a ctypes array
    address, _ = block.buffer_info()
    if parallel and (threads := torch.get_num_threads()) > 1:
        _runner()(kernel.address, address, threads)
    else:
        kernel.run(address)


_Runner = Callable[[int, int, int], None]


@cache
def _runner() -> _Runner:
    """Calls (code, arguments, threads) on so many threads and waits for all of them."""
    parallel = _gomp_parallel()
    if parallel is None:
        return _run_on_threads
    return lambda code, arguments, threads: parallel(code, arguments, threads, 0)


def _gomp_parallel() -> Any | None:
    """GOMP_parallel of the OpenMP runtime that torch runs on."""
    spec = importlib.util.find_spec("torch")
    no_load = getattr(os, "RTLD_NOLOAD", None)
    if spec is None or spec.origin is None or no_load is None:
        return None
    folder = Path(spec.origin).parent
    places = (folder / "lib", folder.parent / "torch.libs")
    for path in [file for place in places for file in sorted(place.glob("libgomp*.so*"))]:
        try:  # Another copy of the library would have threads of its own.
            function = ctypes.CDLL(str(path), mode=no_load | os.RTLD_NOW).GOMP_parallel
        except (OSError, AttributeError):
            continue
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        function.restype = None
        return function
    return None


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="rostra-kernel")


def _run_on_threads(code: int, arguments: int, threads: int) -> None:
    """Without OpenMP: ctypes lets go of the GIL while the code runs."""
    function = _FUNCTION(code)
    others = [_threads(threads - 1).submit(function, arguments) for _ in range(threads - 1)]
    function(arguments)
    for other in others:
        other.result()
