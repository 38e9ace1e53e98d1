"""Makes the interpreter's matrix product as regular as a matrix unit's."""

import os
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture(autouse=True)
def _regular_products(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Products summed over k in order.

    The interpreter asks BLAS, whose rounding of a row depends on where in the tile the row lies,
    and multiplies bfloat16 by its bits.
    """
    if os.environ.get("TRITON_INTERPRET") != "1":
        yield
        return
    import triton.language as tl
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    def numbers(handle: TensorHandle) -> NDArray[np.float32]:
        if handle.dtype == tl.bfloat16:
            return (handle.data.astype(np.uint32) << 16).view(np.float32)
        return handle.data.astype(np.float32)

    def dot(
        self: InterpreterBuilder, a: TensorHandle, b: TensorHandle, d: TensorHandle, *_: object
    ) -> TensorHandle:
        left, right, total = numbers(a), numbers(b), d.data.copy()
        for k in range(left.shape[1]):
            total += left[:, k, None] * right[None, k]
        return TensorHandle(total, d.dtype.scalar)

    monkeypatch.setattr(InterpreterBuilder, "create_dot", dot)
    yield
