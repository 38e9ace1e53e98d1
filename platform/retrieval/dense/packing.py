"""Named arrays as bytes, and back."""

import io

import numpy as np
import numpy.typing as npt


def packed(**arrays: npt.ArrayLike) -> bytes:
    """Arrays in numpy's own format."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def unpacked(body: bytes) -> dict[str, npt.NDArray[np.generic]]:
    """What `packed` made."""
    with np.load(io.BytesIO(body), allow_pickle=False) as saved:
        return {name: saved[name] for name in saved.files}
