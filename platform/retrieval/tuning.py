"""How one collection's hits are ranked, where `rostra tune` found something better.

What always holds: what was tuned for one embedding space is not used in another; a search over
several collections is ranked by the settings alone, since one ranking has one set of weights.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from rostra.core import FusionKind, get_logger
from rostra.retrieval.calibration import Calibration
from rostra.store import Collection

log = get_logger(__name__)

Share = Annotated[float, Meta(ge=0, le=1)]


class Tuning(msgspec.Struct, frozen=True):
    """What was tuned.

    Attributes:
        space: fingerprint of the embedding space it was tuned in.
        fusion: how two rankings become one.
        dense_weight: of the dense side.
        rerank_weight: of late interaction beside the fused score; None leaves it to the settings.
        calibration: how likely a hit is relevant, from its raw scores.
        queries: how many it was tuned on.
    """

    space: str
    fusion: FusionKind
    dense_weight: Share
    rerank_weight: Share | None = None
    calibration: Calibration | None = None
    queries: int = 0


def tuning_of(collections: Sequence[Collection]) -> Tuning | None:
    """What was tuned for the one collection that is searched; None where nothing serves."""
    if len(collections) != 1 or collections[0].tuning is None:
        return None
    (collection,) = collections
    try:
        tuning = msgspec.convert(collection.tuning, Tuning)
    except msgspec.ValidationError as error:
        log.warning("tuning not used", collection=collection.name, reason=str(error))
        return None
    return tuning if tuning.space == collection.space.fingerprint else None
