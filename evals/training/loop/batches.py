"""Which items a step takes, as a pure function of seed and step.

What always holds: nothing is remembered between steps, so that a training that was killed goes on
with the very items that it would have had; in each round over a kind every item of it comes once.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

_Item = TypeVar("_Item")


class Draws:
    """Endless draws of items of several kinds, each kind with its share.

    Args:
        sizes: items of each kind.
        weights: of each kind; those without items are left out.
        count: items of a draw.
        seed: of the order.

    Raises:
        ValueError: no kind has both items and a weight.
    """

    def __init__(
        self, sizes: Mapping[str, int], weights: Mapping[str, float], count: int, seed: int
    ) -> None:
        shares = {kind: weights.get(kind, 0.0) for kind in sorted(sizes) if sizes[kind] > 0}
        shares = {kind: weight for kind, weight in shares.items() if weight > 0}
        if not shares:
            raise ValueError("no kind of examples has both items and a weight")
        self._sizes = sizes
        self._seed = seed
        self._quotas = _quotas(shares, count)
        self._orders: dict[str, tuple[int, np.ndarray]] = {}  # of each kind the last round

    def draw(self, number: int) -> list[tuple[str, int]]:
        """(kind, place) of the items of a draw; the same for the same number."""
        found = []
        for kind, quota in self._quotas.items():
            for at in range(number * quota, (number + 1) * quota):
                size = self._sizes[kind]
                found.append((kind, int(self._order(kind, at // size)[at % size])))
        random.Random(f"{self._seed}-{number}").shuffle(found)
        return found

    def _order(self, kind: str, number: int) -> np.ndarray:
        known = self._orders.get(kind)
        if known is None or known[0] != number:
            seed = random.Random(f"{self._seed}-{kind}-{number}").getrandbits(64)
            known = number, np.random.default_rng(seed).permutation(self._sizes[kind])
            self._orders[kind] = known
        return known[1]


def _quotas(shares: Mapping[str, float], count: int) -> dict[str, int]:
    """Whole numbers that sum to `count`, in proportion; the largest remainders are rounded up."""
    total = sum(shares.values())
    exact = {kind: count * share / total for kind, share in shares.items()}
    quotas = {kind: int(value) for kind, value in exact.items()}
    by_remainder = sorted(exact, key=lambda kind: (quotas[kind] - exact[kind], kind))
    for kind in by_remainder[: count - sum(quotas.values())]:
        quotas[kind] += 1
    return {kind: quota for kind, quota in quotas.items() if quota}


def bucketed(
    items: Sequence[_Item], batch: int, length: Callable[[_Item], int], seed: str
) -> list[list[_Item]]:
    """Items in batches of about one length each, so that little is padded.

    A rest of fewer than `batch` items is left out. Batches come in an order drawn by the seed.
    """
    ordered = sorted(items, key=length)
    whole = len(ordered) - len(ordered) % batch
    rng = random.Random(seed)
    if whole < len(ordered):  # the longest are not always the ones left out
        left_out = set(rng.sample(range(len(ordered)), len(ordered) - whole))
        ordered = [item for at, item in enumerate(ordered) if at not in left_out]
    batches = [ordered[at : at + batch] for at in range(0, whole, batch)]
    rng.shuffle(batches)
    return batches
