"""Vectors against numpy, in float64."""

import numba
import numpy as np

from rostra.serving.kernels.cpu_vector import (
    FLOAT32,
    exponential,
    lane_max,
    lane_sum,
    load,
    store,
    tanh,
)


@numba.njit  # type: ignore[untyped-decorator]
def _apply(source, target, count, which):  # type: ignore[no-untyped-def]
    for at in range(0, 4 * count, 64):
        x = load(FLOAT32, source + at)
        store(FLOAT32, target + at, exponential(x) if which == 0 else tanh(x))


@numba.njit  # type: ignore[untyped-decorator]
def _fold(source):  # type: ignore[no-untyped-def]
    x = load(FLOAT32, source)
    return lane_sum(x), lane_max(x)


def applied(x: np.ndarray, which: int) -> np.ndarray:
    x = np.ascontiguousarray(x, dtype=np.float32)
    out = np.empty_like(x)
    _apply(x.ctypes.data, out.ctypes.data, x.size, which)
    return out


def test_exponential() -> None:
    x = np.linspace(-87, 88.7, 160_000).astype(np.float32)
    exact = np.exp(x.astype(np.float64))
    assert (np.abs(applied(x, 0) / exact - 1) < 3e-7).all()
    edges = np.array([0.0, -0.0, -np.inf, np.inf, np.nan, -200.0, 200.0, -87.5] * 2)
    out = applied(edges, 0)
    assert out[:2].tolist() == [1.0, 1.0]
    assert out[2] == 0 and out[3] == np.inf and np.isnan(out[4])
    assert out[5] == 0 and out[6] == np.inf and out[7] == 0


def test_tanh() -> None:
    x = np.linspace(-60, 60, 16_000).astype(np.float32)
    assert (np.abs(applied(x, 1) - np.tanh(x.astype(np.float64))) < 3e-7).all()


def test_folds() -> None:
    x = np.random.default_rng(0).normal(size=16).astype(np.float32)
    total, highest = _fold(x.ctypes.data)
    assert abs(total - x.astype(np.float64).sum()) < 1e-5
    assert highest == x.max()
