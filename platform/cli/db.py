"""`rostra db`: the database's schema."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

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
def upgrade_(revision: str) -> None:
    """Apply missing migrations."""
    _with_database(lambda database: upgrade(database.writer, revision))


@command.command("downgrade")
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask.")
def downgrade_(revision: str, yes: bool) -> None:
    """Take migrations back to REVISION; `base` deletes everything."""
    if not yes:
        click.confirm("This can delete data. Go on?", abort=True, err=True)
    _with_database(lambda database: downgrade(database.writer, revision))


@command.command("check")
def check_() -> None:
    """Compare the database with what this version expects."""
    _with_database(lambda database: check(database.writer))
    console().print("as expected")


def _with_database(work: Callable[[Database], Awaitable[T]]) -> T:
    async def run() -> T:
        settings = settings_of_process()
        async with await open_database(settings.resolved_database_url, migrate=False) as database:
            return await work(database)

    return asyncio.run(run())
