"""For indexes that cannot be told where they may look: ask for more, keep what is allowed.

What always holds: what is returned is allowed. When too little is left, whoever asked looks at
every vector; nothing is taken for "not there" only because an index could not say.
"""

from collections.abc import Callable

import numpy as np

from rostra.retrieval.dense.finder import Allowed
from rostra.retrieval.lexical import Positions

# More than the share of allowed rows asks for, since they are not spread evenly.
_ROOM = 1.25
_WIDER = 4


def oversampled(
    ask: Callable[[int], Positions], width: int, allowed: Allowed, held: int, most: int
) -> Positions:
    """Up to `width` or somewhat more allowed positions.

    Args:
        ask: gives the best so many positions, whether allowed or not.
        width: how many are wanted.
        allowed: which may be returned.
        held: how many rows the index holds.
        most: what `ask` can give at once.
    """
    most = min(most, held)
    asked = min(most, int(np.ceil(_ROOM * width * held / max(allowed.count, 1))))
    while True:
        kept = allowed.among(ask(asked))
        if len(kept) >= width or asked >= most:
            return kept
        asked = min(most, asked * _WIDER)
