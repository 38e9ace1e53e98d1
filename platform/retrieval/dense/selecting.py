"""What FAISS may return, in its own terms."""

from typing import Any

import faiss
import numpy as np

from rostra.retrieval.dense.finder import Allowed
from rostra.retrieval.lexical import Mask


def bitmap(mask: Mask) -> Any:
    """A selector of the positions where a mask is true; none beyond its end."""
    return faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))


def selector(allowed: Allowed, held: int) -> Any:
    """A selector for an index that holds `held` rows; None where it may return every one."""
    if allowed.mask is not None:
        return bitmap(allowed.mask)
    return faiss.IDSelectorRange(0, allowed.total) if allowed.total < held else None
