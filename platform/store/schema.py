"""Moves a database between schema versions, with Alembic.

What always holds: a fresh database and a migrated one have the same schema, which is that of
`tables.py` (`check` says so); two processes that start at once do not migrate twice.
"""

import io
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from rostra.core import StoreUnavailable
from rostra.store.faults import Translated

# Any constant will do, as long as every process takes the same lock.
_POSTGRES_LOCK = 0x526F7374


async def upgrade(engine: AsyncEngine, revision: str = "head") -> None:
    """Applies missing migrations; does nothing when there are none.

    Raises:
        StoreUnavailable: the database has a revision this program does not know.
    """
    with Translated():
        async with engine.begin() as connection:
            await connection.run_sync(_run, "upgrade", revision)


async def downgrade(engine: AsyncEngine, revision: str) -> None:
    """Takes migrations back; `base` empties the database."""
    with Translated():
        async with engine.begin() as connection:
            await connection.run_sync(_run, "downgrade", revision)


async def check(engine: AsyncEngine) -> None:
    """Compares the database with `tables.py`.

    Raises:
        StoreUnavailable: they differ; the message lists how.
    """
    with Translated():
        async with engine.begin() as connection:
            await connection.run_sync(_run, "check", "")


async def current(engine: AsyncEngine) -> str | None:
    """The revision the database is at; None when it is empty."""
    with Translated():
        async with engine.connect() as connection:
            return await connection.run_sync(_revision)


def head() -> str:
    """The newest revision this program knows."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise StoreUnavailable("this installation carries no migrations")
    return revision


def _config(connection: Connection | None = None) -> Config:
    config = Config(stdout=io.StringIO())  # ours carries results only
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _run(connection: Connection, verb: str, revision: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRES_LOCK})
    config = _config(connection)
    try:
        match verb:
            case "upgrade":
                command.upgrade(config, revision)
            case "downgrade":
                command.downgrade(config, revision)
            case "check":
                command.check(config)
    except CommandError as error:
        raise StoreUnavailable(
            f"database schema: {error}",
            hint="Check the revision's name; a database that a newer version wrote needs that one.",
        ) from error
