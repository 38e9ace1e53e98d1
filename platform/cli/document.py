"""`rostra document`: stored documents, listed, printed, deleted."""

import sys
from uuid import UUID

import click
from rich.table import Table

from rostra.cli.output import collection_option, console, json_option, print_json, with_runtime
from rostra.core import DocumentNotFound, parse_id
from rostra.runtime import Runtime
from rostra.store import (
    delete_document,
    get_collection,
    get_document,
    get_text,
    list_documents,
)


@click.group("document")
def command() -> None:
    """List, print and delete documents."""


@command.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@click.option("--offset", default=0, type=click.IntRange(0))
@click.option("--contains", default="", help="Only those whose uri or title contains this.")
@collection_option
@json_option
def list_(limit: int, offset: int, contains: str, collection: str, as_json: bool) -> None:
    """List a collection's documents by uri."""

    async def work(runtime: Runtime) -> None:
        async with runtime.database.read() as session:
            target = await get_collection(session, collection)
            items, total = await list_documents(
                session, target.id, limit=limit, offset=offset, contains=contains
            )
        if as_json:
            print_json({"items": items, "total": total})
            return
        table = Table("id", "title", "chunks", "uri", box=None)
        for item in items:
            table.add_row(str(item.id), item.title, str(item.chunks), item.uri)
        console().print(table)
        console().print(f"[dim]{len(items)} of {total}[/]")

    with_runtime(work)


@command.command("show")
@click.argument("document_id")
@json_option
def show(document_id: str, as_json: bool) -> None:
    """Say what is stored of a document."""

    async def work(runtime: Runtime) -> None:
        async with runtime.database.read() as session:
            document = await get_document(session, _id(document_id))
        if as_json:
            print_json(document)
            return
        table = Table(box=None, show_header=False)
        for name in ("id", "collection", "uri", "title", "media_type", "bytes", "length", "chunks"):
            table.add_row(name, str(getattr(document, name)))
        table.add_row("metadata", str(document.metadata))
        console().print(table)

    with_runtime(work)


@command.command("text")
@click.argument("document_id")
@click.option("--start", default=0, type=click.IntRange(0), help="First code point.")
@click.option("--end", default=None, type=click.IntRange(0), help="One past the last.")
@json_option
def text(document_id: str, start: int, end: int | None, as_json: bool) -> None:
    """Print a document's stored text, or a slice of it, as it is."""

    async def work(runtime: Runtime) -> str:
        async with runtime.database.read() as session:
            return await get_text(session, _id(document_id), start, end)

    stored = with_runtime(work)
    if as_json:
        print_json({"document_id": document_id, "start": start, "text": stored})
    else:
        # Bytes: the terminal's encoding must not change what is cited.
        sys.stdout.buffer.write(stored.encode())
        sys.stdout.buffer.flush()


@command.command("delete")
@click.argument("document_ids", nargs=-1, required=True)
@json_option
def delete(document_ids: tuple[str, ...], as_json: bool) -> None:
    """Delete documents with everything indexed of them."""

    async def work(runtime: Runtime) -> None:
        ids = [_id(given) for given in document_ids]
        touched = set()
        for document_id in ids:
            async with runtime.database.write() as session:
                touched.add((await get_document(session, document_id)).collection)
                await delete_document(session, document_id)
        for collection in touched:
            await runtime.indexes.save(collection)

    with_runtime(work)
    if as_json:
        print_json({"deleted": len(document_ids)})
    else:
        console().print(f"{len(document_ids)} deleted")


def _id(given: str) -> UUID:
    document_id = parse_id(given)
    if document_id is None:
        raise DocumentNotFound(
            f"{given[:64]!r} is no document id", hint="`rostra document list` shows them."
        )
    return document_id
