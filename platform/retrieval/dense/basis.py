"""Few dimensions instead of many: the directions in which a sample varies most.

For vectors that were rotated or trained for truncation these are nearly their first coordinates;
for others truncation works all the same. Scaled to unit length afterwards: that shortlists better
than inner products with what is left (measured on MiniLM passages with noise: recall@10 of 200 at
128 of 384 dimensions is 0.993 against 0.983).
"""

import numpy as np

from rostra.core import FloatMatrix


def fit_basis(sample: FloatMatrix, dimensions: int) -> FloatMatrix:
    """Eigenvectors of the centred covariance, the largest first, float32 [dimensions, width].

    Args:
        sample: float32 [rows, width].
        dimensions: how many; the whole width is left as it is.
    """
    width = sample.shape[1]
    if dimensions >= width:
        return np.eye(width, dtype=np.float32)
    return fit_rotation(sample)[:dimensions].copy()


def fit_rotation(sample: FloatMatrix) -> FloatMatrix:
    """All of them, float32 [width, width]."""
    centred = sample - sample.mean(axis=0)
    _, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    return np.ascontiguousarray(directions.T[::-1], np.float32)


def reduced(rows: FloatMatrix, basis: FloatMatrix) -> FloatMatrix:
    """Rows in a basis, scaled to unit length; float32 [rows, dimensions]."""
    cut = rows @ basis.T if len(basis) < basis.shape[1] else rows
    norms = np.linalg.norm(cut, axis=1, keepdims=True)
    return np.ascontiguousarray(cut / np.where(norms > 0, norms, 1), np.float32)
