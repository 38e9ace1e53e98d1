"""Shipped: the model files that come with the package, and whether they are whole.

Whoever uses one asks for its folder here, never by a path of its own.
"""

from rostra.shipped.errors import ShippedModelBroken
from rostra.shipped.manifest import (
    Manifest,
    SealedFile,
    ShippedName,
    model_folder,
    read_manifest,
    seal,
)
from rostra.shipped.whole import (
    ShippedModel,
    check_shipped,
    is_shipped,
    shipped_folder,
)

__all__ = [
    "Manifest",
    "SealedFile",
    "ShippedModel",
    "ShippedModelBroken",
    "ShippedName",
    "check_shipped",
    "is_shipped",
    "model_folder",
    "read_manifest",
    "seal",
    "shipped_folder",
]
