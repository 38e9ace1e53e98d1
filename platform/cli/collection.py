"""`rostra collection`: collections, listed and deleted."""

import click
from rich.markup import escape

from rostra.cli.output import (
    console,
    json_option,
    offset_option,
    print_json,
    print_table,
    with_runtime,
)
from rostra.runtime import Runtime
from rostra.store import collection_size, delete_collection, list_collections


@click.group("collection")
def command() -> None:
    """List and delete collections."""


@command.command("list")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1000))
@offset_option
@json_option
def list_(limit: int, offset: int, as_json: bool) -> None:
    """List collections by name."""

    async def work(runtime: Runtime) -> None:
        async with runtime.database.read() as session:
            items, total = await list_collections(session, limit, offset)
            sizes = [await collection_size(session, item.id) for item in items]
        if as_json:
            rows = [
                {
                    "id": item.id,
                    "name": item.name,
                    "documents": size.documents,
                    "chunks": size.chunks,
                    "generation": item.generation,
                    "embedding": {
                        "model": item.space.model,
                        "dimensions": item.space.dimensions,
                    },
                }
                for item, size in zip(items, sizes, strict=True)
            ]
            print_json({"items": rows, "total": total})
            return
        print_table(
            ("name", "documents", "chunks", "embedding model", "dimensions"),
            (
                (item.name, size.documents, size.chunks, item.space.model, item.space.dimensions)
                for item, size in zip(items, sizes, strict=True)
            ),
        )

    with_runtime(work)


@command.command("delete")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def delete(name: str, yes: bool, as_json: bool) -> None:
    """Delete a collection with all its documents and chats."""
    if not yes:
        click.confirm(f"Delete collection {name} with everything in it?", abort=True, err=True)

    async def work(runtime: Runtime) -> None:
        async with runtime.database.write() as session:
            collection_id = await delete_collection(session, name)
        runtime.indexes.drop(collection_id)
        runtime.late.drop(collection_id)

    with_runtime(work)
    if as_json:
        print_json({"deleted": name})
    else:
        console().print(f"deleted {escape(name)}")
