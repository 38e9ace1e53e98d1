"""Everything under /v1 put together.

What always holds: it is described by OpenAI's own document and by docs/openai.md, so it is no part
of the one at /schema.
"""

from litestar import Router
from litestar.di import Provide

from rostra.api.openai import (
    batches,
    chat,
    completions,
    embeddings,
    files,
    models,
    rerank,
    responses,
)
from rostra.api.openai.errors import PREFIX, handle_any_error
from rostra.api.openai.metrics import metrics
from rostra.api.openai.surface import open_surface, provide_surface

__all__ = ["PREFIX", "handle_any_error", "metrics", "open_surface", "provide", "router"]

provide = Provide(provide_surface, sync_to_thread=False)

router = Router(
    PREFIX,
    route_handlers=[
        module.router
        for module in (
            chat,
            completions,
            responses,
            models,
            embeddings,
            rerank,
            files,
            batches,
        )
    ],
    include_in_schema=False,
)
