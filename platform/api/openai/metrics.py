"""What Prometheus scrapes.

What always holds: without a decoder there is nothing to count and the page is empty, not missing.
"""

from litestar import Response, get
from litestar.di import NamedDependency

from rostra.api.openai.surface import Surface

# Prometheus' text format.
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@get("/metrics", include_in_schema=False)
async def metrics(surface: NamedDependency[Surface]) -> Response[bytes]:
    """All metrics in Prometheus' text format."""
    text = surface.engine.metrics.text() if surface.engine is not None else ""
    return Response(text.encode(), media_type=_CONTENT_TYPE)
