"""Scores of int8 codes, as machine code that releases the interpreter's lock.

Compiled on the first call and kept where a folder for it can be written. One pass over memory is
what it
costs: 128 MB for a million codes of 128 dimensions.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


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


def _compiled(function: Any) -> Any:
    # Sums may be taken in any order, the same for every row: equal codes have equal scores. Only
    # that, since infinities are meant.
    options = {"nogil": True, "fastmath": {"reassoc", "contract"}}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError as error:  # numba's word for: no folder to write to
        if "cache" not in str(error):
            raise
        return numba.njit(**options)(function)


score_codes = _compiled(_score_codes)
