"""`rostra search`: passages for a query."""

import json
from typing import Any

import click
from rich.markup import escape

from rostra.cli.expansion import expand_option, print_expansion
from rostra.cli.output import console, json_option, print_json, with_runtime
from rostra.core import InvalidFilter, QueryStrategyName, collapse_whitespace
from rostra.retrieval import (
    ExpandedResult,
    Hit,
    SearchMode,
    SearchRequest,
    SearchResult,
    narrowed,
)
from rostra.runtime import Runtime

_PREVIEW_CHARS = 320


@click.command("search")
@click.argument("query")
@click.option("-k", default=10, show_default=True, help="Most hits.")
@click.option(
    "-c",
    "--collection",
    "collections",
    multiple=True,
    default=("default",),
    show_default=True,
    help="Collection to search; may be given more than once.",
)
@click.option(
    "--mode",
    type=click.Choice([str(mode) for mode in SearchMode]),
    default="hybrid",
    show_default=True,
    help="Which index finds candidates.",
)
@click.option("--filter", "filters", default="{}", help="""Metadata, as JSON: '{"year": 2024}'.""")
@click.option(
    "--rerank/--no-rerank", default=None, help="Read the best hits again; see docs/search.md."
)
@click.option("--diversity", type=float, help="Put back hits that resemble better ones, 0 to 1.")
@click.option(
    "--min-probability",
    type=float,
    help="Leave out hits that are less likely relevant, 0 to 1.",
)
@expand_option
@click.option("--graph", is_flag=True, help="Use the graph of entities; see `rostra graph`.")
@json_option
def command(
    query: str,
    k: int,
    collections: tuple[str, ...],
    mode: str,
    filters: str,
    rerank: bool | None,
    diversity: float | None,
    min_probability: float | None,
    expand: tuple[QueryStrategyName, ...] | None,
    graph: bool,
    as_json: bool,
) -> None:
    """Find the passages that match QUERY best."""
    request = SearchRequest(
        query,
        collections,
        k,
        SearchMode(mode),
        _filters(filters),
        rerank,
        diversity=diversity,
        min_probability=min_probability,
        operators=True,
    )

    async def work(runtime: Runtime) -> SearchResult:
        if not graph:
            return await runtime.expanded.search(request, expand)
        found = await runtime.expanded.search(runtime.graph.deep(request), expand)
        return await runtime.graph.extend(narrowed(request, found), found)

    result = with_runtime(work)
    if as_json:
        print_json(result.to_dict())
    else:
        for rank, hit in enumerate(result.hits, 1):
            _print(rank, hit)
        if not result.hits:
            console().print("nothing found")
        if result.probability is not None:
            console().print(f"[dim]likeliest to be relevant: {result.probability:.0%}[/]")
        if isinstance(result, ExpandedResult):
            print_expansion(result.expansion)


def _filters(text: str) -> dict[str, Any]:
    try:
        filters = json.loads(text)
    except ValueError as error:
        raise InvalidFilter(f"--filter is no JSON: {error}") from None
    except RecursionError:
        raise InvalidFilter("--filter is JSON of too many levels") from None
    if not isinstance(filters, dict):
        raise InvalidFilter("--filter takes a JSON object")
    return filters


def _print(rank: int, hit: Hit) -> None:
    out = console()
    page = f", page {hit.page}" if hit.page is not None else ""
    title = collapse_whitespace(hit.title)
    out.print(f"[bold]{rank}. {escape(title)}[/]{page}  [dim]{hit.score:.3f}[/]")
    out.print(f"   [dim]{escape(hit.uri)} {hit.start}-{hit.end}[/]")
    preview = collapse_whitespace(hit.text)
    short = preview[:_PREVIEW_CHARS] + ("…" if len(preview) > _PREVIEW_CHARS else "")
    out.print(f"   {escape(short)}")
    if hit.near_duplicates:
        out.print(f"   [dim]and {len(hit.near_duplicates):,} more like this[/]")
    out.print()
