"""The models served here: the decoder by both its names, the embedding model, the reranker.

What always holds: what is listed can be asked for, though it may still be loading.
"""

from typing import Literal

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct

from rostra.api.openai.errors import ModelNotFound
from rostra.api.openai.fields import DEFAULT_MODEL
from rostra.api.openai.model import check_model
from rostra.api.openai.streaming import json_response
from rostra.api.openai.surface import Surface

# Nobody knows when a checkpoint was made; clients only want a number.
_CREATED = 0


class ModelView(Struct):
    """A model."""

    id: str
    created: int = _CREATED
    object: Literal["model"] = "model"
    owned_by: str = "rostra"


class ModelList(Struct):
    """All models."""

    data: list[ModelView]
    object: Literal["list"] = "list"


@get("/")
async def list_all(surface: NamedDependency[Surface]) -> Response[bytes]:
    """All models."""
    return json_response(ModelList([ModelView(name) for name in _names(surface)]))


@get("/{model:path}")
async def show(model: FromPath[str], surface: NamedDependency[Surface]) -> Response[bytes]:
    """One model; a name may hold slashes, as a hub id does."""
    wanted = model.removeprefix("/")
    if wanted not in _names(surface):
        if surface.engine is not None:
            check_model(surface.engine, wanted)
        hint = "Set ROSTRA_MODEL to serve a decoder." if surface.engine is None else None
        raise ModelNotFound(f"there is no model {wanted[:200]!r}", hint=hint, field="model")
    return json_response(ModelView(wanted))


def _names(surface: Surface) -> list[str]:
    """Each name once."""
    settings = surface.runtime.settings
    decoder = [DEFAULT_MODEL, surface.engine.name] if surface.engine is not None else []
    return list(
        dict.fromkeys(
            name for name in (*decoder, settings.embedding_model, settings.reranker_model) if name
        )
    )


router = Router("/models", route_handlers=[list_all, show])
