"""`rostra chats`: conversations, listed, shown, deleted."""

import click
from rich.markup import escape

from rostra.cli.ids import chat_id as read_id
from rostra.cli.output import (
    console,
    json_option,
    offset_option,
    print_json,
    print_table,
    with_runtime,
)
from rostra.runtime import Runtime
from rostra.store import delete_chat, get_chat, get_turns, list_chats


@click.group("chats")
def command() -> None:
    """List, show and delete conversations."""


@command.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@offset_option
@json_option
def list_(limit: int, offset: int, as_json: bool) -> None:
    """List conversations, the last used first."""

    async def work(runtime: Runtime) -> None:
        async with runtime.database.read() as session:
            items, total = await list_chats(session, limit, offset)
        if as_json:
            print_json({"items": items, "total": total})
            return
        print_table(
            ("id", "title", "messages", "last used"),
            (
                (item.id, item.title, item.messages, item.updated_at.isoformat(" ", "minutes"))
                for item in items
            ),
        )

    with_runtime(work)


@command.command("show")
@click.argument("chat_id")
@json_option
def show(chat_id: str, as_json: bool) -> None:
    """Print a conversation."""

    async def work(runtime: Runtime) -> None:
        async with runtime.database.read() as session:
            chat = await get_chat(session, read_id(chat_id))
            turns = await get_turns(session, chat.id)
        if as_json:
            print_json({"chat": chat, "turns": turns})
            return
        out = console()
        for turn in turns:
            out.print(f"[bold]{'You' if turn.role == 'user' else 'Rostra'}[/]")
            out.print(escape(turn.text))
            for number, citation in enumerate(turn.citations, 1):
                out.print(
                    f"  [cyan]\\[{number}][/] {escape(citation['title'])} "
                    f"[dim]{escape(citation['uri'])} {citation['start']}-{citation['end']}[/]"
                )
            out.print()

    with_runtime(work)


@command.command("delete")
@click.argument("chat_id")
@json_option
def delete(chat_id: str, as_json: bool) -> None:
    """Delete a conversation."""

    async def work(runtime: Runtime) -> None:
        async with runtime.database.write() as session:
            await delete_chat(session, read_id(chat_id))

    with_runtime(work)
    if as_json:
        print_json({"deleted": chat_id})
    else:
        console().print("deleted")
