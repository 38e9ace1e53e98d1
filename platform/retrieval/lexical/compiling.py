"""Loops that numpy cannot run in one pass become machine code that releases the interpreter's lock.

Nothing is compiled at import: each kernel is on its first call, and its code is kept on disk beside
its source or in the user's cache folder. numba looks only at a kernel's own file to see whether
that code is still good, so a kernel calls only kernels of its own module and takes constants of
others as arguments.

What always holds for kernels: numbers that come from files are compared with the bounds of what
they index before they do, so that a damaged file gives wrong results, not faults.
"""

import contextlib
import glob
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeVar, cast

import numba
from numba.core import cgutils, types
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])


class _Kept(FunctionCache):  # type: ignore[misc] # numba ships no types
    """Code on disk that is never why a call fails: a disk may be full, a file cut short."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except (OSError, EOFError, ValueError, UnpicklingError):
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(OSError):
            try:
                self._drop_older()
                super().save_overload(sig, data)
            except (EOFError, ValueError, UnpicklingError):
                self.flush()
                self._drop_older()
                super().save_overload(sig, data)

    def _drop_older(self) -> None:
        """Removes code of another source.

        numba gives its names to the new source's before it writes those: whoever reads in between,
        or after a process that was killed there, would take the one for the other.
        """
        if not self._cache_file._load_index():
            name = glob.escape(self._impl.filename_base)
            for path in Path(self._cache_path).glob(f"{name}.*.nbc"):
                path.unlink(missing_ok=True)


def compiled(function: Function, **options: Any) -> Function:
    """Compiles on first call, and keeps the code where a folder for it can be written.

    Args:
        options: more of numba's.
    """
    kernel = numba.njit(nogil=True, **options)(function)
    try:
        kernel._cache = _Kept(function)
    except RuntimeError as error:  # numba's word for: no folder to write to
        if "cache" not in str(error):
            raise
    return cast("Function", kernel)


def inlined(function: Function) -> Function:
    """Copies a function into its callers: passing an array to one costs more than a few loads."""
    return cast("Function", numba.njit(inline="always")(function))


@intrinsic  # type: ignore[untyped-decorator] # numba ships no types
def pointer(context: Any, address: Any) -> Any:
    """In kernels: the address of an array, for `carray`. Whoever calls them keeps the array."""

    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), build
