"""How much of their wording two texts share, and the keys under which texts that share much meet.

A text's shingles are its runs of three words, whatever their case and punctuation; resemblance is
the Jaccard index of two texts' shingles (Broder, "On the resemblance and containment of documents",
1997). MinHash with banding finds pairs without comparing all: texts of resemblance s have a key in
common with probability 1 - (1 - s^5)^8, which is 0.96 at 0.8, 0.999 at 0.9 and 0.03 at 0.3.

What always holds: keys depend on the words alone, on every machine and in every version; texts with
equal words share all keys; resemblance is exact up to collisions of 64-bit hashes.
"""

import re
import zlib

import numpy as np
import numpy.typing as npt

Shingles = npt.NDArray[np.uint64]

BANDS = 8
_ROWS = 5
_WORDS = 3
_WORD = re.compile(r"\w+")
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def shingles(text: str) -> Shingles:
    """The hashes of a text's shingles, uint64 [distinct shingles], sorted; at least one.

    A text of fewer words is one shingle; one without words goes by its characters.
    """
    words = _WORD.findall(text.casefold()) or [text.strip()]
    hashed = np.array([zlib.crc32(word.encode()) for word in words], np.uint64)
    length = min(_WORDS, len(hashed))
    count = len(hashed) - length + 1
    mixed = np.full(count, length, np.uint64)
    for at in range(length):
        mixed = _mix(mixed * _GOLDEN + hashed[at : at + count])
    return np.unique(mixed)


def resemblance(one: Shingles, other: Shingles) -> float:
    """Jaccard index of two texts' shingles, 0 to 1."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)


def band_keys(of: Shingles) -> list[int]:
    """Eight keys, signed 64-bit; texts that share one are worth comparing."""
    hashed = _mix(of[None, :] ^ _SEEDS[:, None]).min(axis=1).reshape(BANDS, _ROWS)
    keys = np.arange(1, BANDS + 1, dtype=np.uint64)
    for row in range(_ROWS):
        keys = _mix(keys * _GOLDEN + hashed[:, row])
    return [int(key) for key in keys.view(np.int64)]


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finalizer of splitmix64; wraps around."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_SEEDS = _mix(np.arange(1, BANDS * _ROWS + 1, dtype=np.uint64) * _GOLDEN)
