"""`python -m benchmarks [NAME ...] [--json] [--docs FOLDER]`: runs benchmarks, prints tables."""

import asyncio
import json
import os
import platform
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks import agents, evals, gpu_search, ingest, many_chunks, retrieval_peers, search
from rostra.core import configure_logging, load_settings

_BENCHMARKS: dict[str, Callable[..., Awaitable[list[dict[str, Any]]]]] = {
    "agents": agents.run,
    "evals": evals.run,
    "gpu_search": gpu_search.run,
    "ingest": ingest.run,
    "many_chunks": many_chunks.run,
    "retrieval_peers": retrieval_peers.run,
    "search": search.run,
}
# Debian's postgresql-doc-15 and python3.11-doc: about 1,700 pages.
_DEFAULT_DOCS = ("/usr/share/doc/postgresql-doc-15/html", "/usr/share/doc/python3.11/html")


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(sorted(_BENCHMARKS)))
@click.option("--docs", multiple=True, type=click.Path(path_type=Path, exists=True))
@click.option("--json", "as_json", is_flag=True)
def main(names: tuple[str, ...], docs: tuple[Path, ...], as_json: bool) -> None:
    """Run the benchmarks NAMES, or all, over the pages in --docs."""
    folders = docs or tuple(path for path in map(Path, _DEFAULT_DOCS) if path.is_dir())
    if not folders:
        folders = (Path("README.md"), Path("docs"))
        click.echo("no documentation packages here: benchmarking over the project's docs", err=True)
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    results: dict[str, Any] = {
        "device": f"{platform.machine()}, {os.cpu_count()} cores",
        "documents": [str(folder) for folder in folders],
    }
    for name in names or sorted(_BENCHMARKS):
        click.echo(f"running {name} ...", err=True)
        rows = asyncio.run(_BENCHMARKS[name](settings, folders))
        results[name] = rows
        if not as_json:
            _print(name, rows)
    if as_json:
        click.echo(json.dumps(results))


def _print(name: str, rows: list[dict[str, Any]]) -> None:
    table = Table(*rows[0], title=name, title_justify="left", box=None)
    for row in rows:
        table.add_row(
            *(
                f"{v:,.3f}" if isinstance(v, float) else f"{v:,}" if isinstance(v, int) else str(v)
                for v in row.values()
            )
        )
    Console().print(table)


main()
