"""`rostra document`: stored documents, listed, printed, deleted."""

import sys

import click

from rostra.cli.ids import document_id as read_id
from rostra.cli.output import (
    collection_option,
    console,
    json_option,
    offset_option,
    print_json,
    print_table,
    printable,
    with_runtime,
)
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
@offset_option
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
        print_table(
            ("id", "title", "chunks", "uri"),
            ((item.id, item.title, item.chunks, item.uri) for item in items),
        )
        console().print(f"[dim]{len(items)} of {total}[/]")

    with_runtime(work)


@command.command("show")
@click.argument("document_id")
@json_option
def show(document_id: str, as_json: bool) -> None:
    """Say what is stored of a document."""

    async def work(runtime: Runtime) -> None:
        async with runtime.database.read() as session:
            document = await get_document(session, read_id(document_id))
        if as_json:
            print_json(document)
            return
        rows = (
            ("id", document.id),
            ("collection", document.collection),
            ("uri", document.uri),
            ("title", document.title),
            ("media_type", document.media_type),
            ("bytes", document.bytes),
            ("length", document.length),
            ("chunks", document.chunks),
            ("metadata", document.metadata),
        )
        print_table(("field", "value"), rows, header=False)

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
            return await get_text(session, read_id(document_id), start, end)

    stored = with_runtime(work)
    if as_json:
        print_json({"document_id": document_id, "start": start, "text": stored})
    else:
        # Bytes: the terminal's encoding must not change what is cited.
        shown = printable(stored) if sys.stdout.isatty() else stored
        sys.stdout.buffer.write(shown.encode())
        sys.stdout.buffer.flush()


@command.command("delete")
@click.argument("document_ids", nargs=-1, required=True)
@json_option
def delete(document_ids: tuple[str, ...], as_json: bool) -> None:
    """Delete documents with everything indexed of them: all of these, or none if one is unknown."""
    ids = {read_id(given) for given in document_ids}

    async def work(runtime: Runtime) -> None:
        async with runtime.database.write() as session:
            # Ids sort by age: two writers take the same locks in the same order.
            touched = {(await get_document(session, id_)).collection for id_ in sorted(ids)}
            for id_ in sorted(ids):
                await delete_document(session, id_)
        for collection in touched:
            await runtime.indexes.save(collection)

    with_runtime(work)
    if as_json:
        print_json({"deleted": len(ids)})
    else:
        console().print(f"{len(ids)} deleted")
