"""Scores of int8 codes, as machine code that releases the interpreter's lock.

Compiled on the first call and kept where a folder for it can be written. One pass over memory is
what it costs: 128 MB for a million codes of 128 dimensions.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from rostra.retrieval.lexical import compiling

Array = npt.NDArray[Any]

# The C library's: bytes read, of a descriptor, to an address, so many, from an offset.
_pread = types.ExternalFunction(
    "pread", types.int64(types.int32, types.uintp, types.uint64, types.int64)
)


def _score_codes(codes: Array, scales: Array, query: Array, mask: Array, scores: Array) -> None:
    """Inner products; minus infinity where the mask is false.

    Args:
        codes: int8 [rows, dimensions].
        scales: float32 [rows], what a unit of each row's codes is worth.
        query: float32 [dimensions].
        mask: bool [rows], or empty.
        scores: float32 [rows], written.
    """
    for row in range(len(codes)):
        if len(mask) and not mask[row]:
            scores[row] = -np.inf
            continue
        total = np.float32(0)
        code = codes[row]
        for at in range(len(query)):
            total += query[at] * np.float32(code[at])
        scores[row] = total * scales[row]


def compiled(function: Any, assumed: Iterable[str] = (), sources: Sequence[str] = ()) -> Any:
    """Machine code of a function, kept for the next process where there is a folder for it.

    Args:
        assumed: LLVM's words for what else holds of its floats.
        sources: see `compiling.compiled`.
    """
    # Sums may be taken in any order, the same for every row: equal codes have equal scores. Only
    # that, since infinities are meant.
    own = [__file__, *sources]
    return compiling.compiled(function, own, fastmath={"reassoc", "contract", *assumed})


def _read_rows(files: Array, capacity: int, positions: Array, taken: Array) -> int:
    """Reads rows of files.

    Args:
        files: int32, descriptors.
        capacity: rows in a file.
        positions: int64 [rows], all within the files.
        taken: uint8 [rows, width], written.

    Returns:
        The first of `positions` that could not be read as a whole; -1 where all could.
    """
    width = taken.shape[1]
    start = taken.ctypes.data
    for at in range(len(positions)):
        file = positions[at] // capacity
        offset = (positions[at] - file * capacity) * width
        if _pread(files[file], start + at * width, width, offset) != width:
            return at
    return -1


read_rows = compiled(_read_rows)
score_codes = compiled(_score_codes)
