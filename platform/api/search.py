"""Search: passages for a query."""

from litestar import Router, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from rostra.api.openapi import problems
from rostra.api.schemas import SearchBody, SearchView, view
from rostra.core import normalize_text
from rostra.retrieval import SearchRequest, narrowed
from rostra.runtime import Runtime


@post(
    "/search",
    operation_id="search",
    summary="Search",
    status_code=200,
    responses=problems(400, 404, 409, 413, 503),
)
async def search(data: JSONBody[SearchBody], runtime: NamedDependency[Runtime]) -> SearchView:
    """The passages that match best, with every partial score."""
    named = [data.collection] if isinstance(data.collection, str) else data.collection
    request = SearchRequest(
        query=normalize_text(data.query),
        collections=tuple(named),
        k=data.k,
        mode=data.mode,
        filters=data.filters,
        rerank=data.rerank,
        diversity=data.diversity,
        min_probability=data.min_probability,
        operators=True,
    )
    deep = runtime.graph.deep(request) if data.graph else request
    result = await runtime.expanded.search(deep, data.expand)
    if data.graph:
        result = await runtime.graph.extend(narrowed(request, result), result)
    found: SearchView = view(SearchView, result)
    return found


router = Router("/", route_handlers=[search], tags=["search"])
