"""Loops that numpy cannot run in one pass become machine code that releases the interpreter's lock.

Nothing is compiled at import: each kernel is on its first call, and its code is kept on disk beside
its source or in the user's cache folder. Whether that code is still good is seen from the kernel's
own file, this one, and those that are named as `sources`: so a kernel calls only kernels of its own
module, and takes constants of others as arguments, or names the files that it takes them from.

What always holds for kernels: numbers that come from files are compared with the bounds of what
they index before they do, so that a damaged file gives wrong results, not faults.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numba
from numba.core import cgutils, types
from numba.extending import intrinsic

from rostra.core import code_cache

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function, sources: Sequence[str] = (), **options: Any) -> Function:
    """Compiles on first call, and keeps the code where a folder for it can be written.

    Args:
        sources: files beside its own whose code comes into the function's.
        options: more of numba's.
    """
    kernel = numba.njit(nogil=True, **options)(function)
    cache = code_cache(function, [__file__, *sources])
    if cache is not None:
        kernel._cache = cache
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
