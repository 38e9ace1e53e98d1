"""Seeds of the parts of one judgement, from the seed of the whole."""

import hashlib


def derived_seed(seed: int, *parts: int | str) -> int:
    """A seed that depends on all parts; 48 bits, which every model's interface takes."""
    told = "\0".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:6], "big")
