"""`rostra db`: the database's schema."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
from sqlalchemy.ext.asyncio import AsyncEngine

from rostra.cli.output import console, json_option, print_json, settings_of_process
from rostra.store import Database, check, current, downgrade, head, open_database, upgrade

T = TypeVar("T")


@click.group("db")
def command() -> None:
    """Look after the database's schema.

    Other commands bring it up to date by themselves.
    """


@command.command("status")
@json_option
def status(as_json: bool) -> None:
    """Say at which revision the database is."""
    revision = _with_database(lambda database: current(database.writer))
    if as_json:
        print_json({"revision": revision, "head": head()})
    else:
        console().print(f"at {revision or 'nothing'}, newest is {head()}")


@command.command("upgrade")
@click.argument("revision", default="head")
@json_option
def upgrade_(revision: str, as_json: bool) -> None:
    """Apply missing migrations, up to REVISION or all of them."""
    _move(upgrade, revision, as_json)


@command.command("downgrade")
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def downgrade_(revision: str, yes: bool, as_json: bool) -> None:
    """Take migrations back to REVISION; `base` deletes everything."""
    if not yes:
        click.confirm("This can delete data. Go on?", abort=True, err=True)
    _move(downgrade, revision, as_json)


@command.command("check")
@json_option
def check_(as_json: bool) -> None:
    """Compare the database with what this version expects."""
    _with_database(lambda database: check(database.writer))
    if as_json:
        print_json({"ok": True})
    else:
        console().print("as expected")


def _move(
    change: Callable[[AsyncEngine, str], Awaitable[None]], revision: str, as_json: bool
) -> None:
    """Changes the schema, and says from which revision to which."""

    async def work(database: Database) -> tuple[str | None, str | None]:
        before = await current(database.writer)
        await change(database.writer, revision)
        return before, await current(database.writer)

    before, after = _with_database(work)
    if as_json:
        print_json({"before": before, "revision": after, "head": head()})
    elif before == after:
        console().print(f"nothing to do, at {after or 'nothing'}")
    else:
        console().print(f"from {before or 'nothing'} to {after or 'nothing'}")


def _with_database(work: Callable[[Database], Awaitable[T]]) -> T:
    async def run() -> T:
        settings = settings_of_process()
        async with await open_database(settings.resolved_database_url, migrate=False) as database:
            return await work(database)

    return asyncio.run(run())
