"""A PostgreSQL database, read only.

What always holds: a query runs as a subquery of ours, so it is one SELECT and nothing else can
stand there; it is sent as a single statement, in a READ ONLY transaction with a time limit, and is
rolled back; the server cuts each value before it is sent. A role that is a superuser, or may write
files or run programs on the server, is refused: functions would do for it what statements may not.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import sql as compose

from mcp_servers.sql.limits import MAX_LISTED, Collector, Limits
from mcp_servers.sql.results import Cell, Column, Description, Rows, Table, Tables
from rostra.core import ConfigError, InvalidRequest, NotFound, StoreUnavailable

_CONNECT_SECONDS = 5
_GRACE_SECONDS = 5.0  # for a server that does not keep its own time limit
_LOCK_MILLISECONDS = 2_000
_BOOLEAN, _INTEGERS, _FLOATS, _BYTES = 16, {20, 21, 23, 26}, {700, 701}, 17
_WIDEST_INTEGER = 2**53  # what JSON readers take without rounding

_TABLES: LiteralString = """
SELECT n.nspname, c.relname, CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END,
       pg_catalog.pg_table_is_visible(c.oid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_' AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
ORDER BY 1, 2 LIMIT %s"""
_COLUMNS: LiteralString = """
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = a.attrelid
               AND k.contype = 'p' AND a.attnum = ANY (k.conkey)),
       (SELECT min(k.confrelid::regclass::text || '.' || t.attname)
        FROM pg_catalog.pg_constraint k
        JOIN pg_catalog.pg_attribute t ON t.attrelid = k.confrelid
             AND t.attnum = k.confkey[pg_catalog.array_position(k.conkey, a.attnum)]
        WHERE k.conrelid = a.attrelid AND k.contype = 'f' AND a.attnum = ANY (k.conkey))
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = pg_catalog.to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum LIMIT %s"""
# Membership counts as well: functions look at what a role may use, not at its name.
_POWERS: LiteralString = """
SELECT r.rolname FROM pg_catalog.pg_roles r
WHERE (r.rolsuper OR r.rolname IN ('pg_write_server_files', 'pg_execute_server_program'))
  AND pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER') ORDER BY r.rolsuper DESC LIMIT 1"""


class PostgresDatabase:
    """Connects anew for each call, so that nothing a query sets outlives it.

    Args:
        url: `postgresql://...`, as libpq takes it.
        limits: of one query.
    """

    def __init__(self, url: str, limits: Limits) -> None:
        self._url = url
        self._limits = limits
        self._places = asyncio.Semaphore(4)

    async def check(self) -> None:
        """Sees whether the database answers, and as whom.

        Raises:
            ConfigError: the role can do more than read.
            StoreUnavailable: it does not answer.
        """
        async with self._connected() as connection:
            found = await (await connection.execute(_POWERS)).fetchone()
        if found is not None:
            raise ConfigError(
                f"the database role is a member of {found[0]!r}, which can do more than read",
                hint="Make a role that may connect and SELECT, and name it in the URL.",
            )

    async def tables(self) -> Tables:
        """See `Database.tables`."""
        async with self._connected() as connection:
            cursor = await connection.execute(_TABLES, (MAX_LISTED + 1,))
            found = await cursor.fetchall()
            tables = [
                Table(name=_qualified(schema, name, visible), kind=kind)
                for schema, name, kind, visible in found[:MAX_LISTED]
            ]
        return Tables(tables=tables, truncated=len(found) > MAX_LISTED)

    async def describe(self, table: str) -> Description:
        """See `Database.describe`."""
        async with self._connected() as connection:
            cursor = await connection.execute(_COLUMNS, (table, MAX_LISTED + 1))
            found = await cursor.fetchall()
        if not found:
            raise NotFound(f"there is no table {table[:200]!r}", hint="list_tables names them.")
        columns = [
            Column(name=name, type=kind, nullable=nullable, primary_key=key, references=target)
            for name, kind, nullable, key, target in found[:MAX_LISTED]
        ]
        return Description(name=table, columns=columns, truncated=len(found) > MAX_LISTED)

    async def query(self, sql: str, most: int) -> Rows:
        """See `Database.query`."""
        # The brackets decide what can stand there; the line's end closes a comment.
        inner = compose.SQL("({}\n)").format(compose.SQL(sql.rstrip("; \n\t")))
        async with self._connected() as connection, connection.cursor() as cursor:
            columns = await _described(connection, inner)
            aliases = [compose.Identifier(f"c{place}") for place in range(len(columns))]
            cells = [
                cell
                for alias, (_, kind) in zip(aliases, columns, strict=True)
                for cell in _cut_cells(alias, kind, self._limits.cell)
            ]
            statement = compose.SQL("SELECT {} FROM {} AS q ({}) LIMIT {}").format(
                compose.SQL(", ").join(cells), inner, compose.SQL(", ").join(aliases), most + 1
            )
            collector = Collector(self._limits, most)
            # A stream is sent the same way, and keeps no more rows than are read.
            async for row in cursor.stream(statement):
                told = [
                    _cell(kind, row[2 * place], row[2 * place + 1], self._limits.cell)
                    for place, (_, kind) in enumerate(columns)
                ]
                if not collector.add(told):
                    break
            return collector.result([name for name, _ in columns])

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[psycopg.AsyncConnection[tuple[Any, ...]]]:
        """A connection in a read-only transaction.

        Raises:
            InvalidRequest: the server refuses or stops the statement.
            StoreUnavailable: it does not answer.
        """
        async with self._places:
            try:
                connection = await psycopg.AsyncConnection.connect(
                    self._url, connect_timeout=_CONNECT_SECONDS
                )
            except psycopg.Error as error:
                # Not the reason: it can hold the address, which may be nobody's business.
                raise StoreUnavailable(
                    f"the database cannot be reached ({type(error).__name__})"
                ) from None
            try:
                async with asyncio.timeout(self._limits.seconds + _GRACE_SECONDS):
                    await connection.set_read_only(True)
                    for name, value in (
                        ("statement_timeout", round(self._limits.seconds * 1000)),
                        ("lock_timeout", _LOCK_MILLISECONDS),
                    ):
                        await connection.execute(
                            "SELECT pg_catalog.set_config(%s, %s, false)", (name, str(value))
                        )
                    yield connection
            except (TimeoutError, psycopg.errors.QueryCanceled):
                raise _too_long(self._limits.seconds) from None
            except psycopg.Error as error:
                if connection.closed:
                    raise StoreUnavailable("the database ended the connection") from None
                raise _explained(error) from None
            finally:
                # Closing rolls back. Cancelling ends what a caller who is gone has left running.
                await asyncio.shield(_end(connection))


async def _end(connection: psycopg.AsyncConnection[Any]) -> None:
    if connection.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
        await connection.cancel_safe(timeout=_GRACE_SECONDS)
    await connection.close()


async def _described(
    connection: psycopg.AsyncConnection[Any], inner: compose.Composed
) -> list[tuple[str, int]]:
    """Name and type of each column that a query gives, without running it."""
    async with connection.cursor() as cursor:
        statement = compose.SQL("SELECT * FROM {} AS q LIMIT 0").format(inner)
        # Prepared, because only the protocol for that takes no more than one statement.
        await cursor.execute(statement, prepare=True)
        if not cursor.description:
            raise InvalidRequest("the query gives no columns")
        return [(column.name, column.type_code) for column in cursor.description]


def _cut_cells(
    alias: compose.Identifier, kind: int, most: int
) -> tuple[compose.Composed, compose.Composed]:
    """A column's text, cut where it is long, and how long it is."""
    if kind == _BYTES:
        return (
            compose.SQL("NULL").format(),
            compose.SQL("pg_catalog.octet_length({})").format(alias),
        )
    text = compose.SQL("pg_catalog.left(({})::text, {})").format(alias, most + 1)
    return text, compose.SQL("({} IS NOT NULL)::int").format(alias)


def _cell(kind: int, text: str | None, present: int | None, most: int) -> tuple[Cell, bool]:
    if kind == _BYTES:
        return (None if present is None else f"<{present} bytes>"), False
    if text is None:
        return None, False
    if kind == _BOOLEAN:
        return text == "true", False
    if kind in _INTEGERS and abs(int(text)) <= _WIDEST_INTEGER:
        return int(text), False
    if kind in _FLOATS:
        return float(text), False
    return text[:most], len(text) > most


def _qualified(schema: str, name: str, visible: bool) -> str:
    """A table's name as SQL takes it."""
    return ".".join(_quoted(part) for part in ([name] if visible else [schema, name]))


def _quoted(name: str) -> str:
    # Without quotes where PostgreSQL reads it back the same, keywords left aside.
    plain = name.isascii() and name.isidentifier() and name == name.lower()
    return name if plain else '"' + name.replace('"', '""') + '"'


def _explained(error: psycopg.Error) -> InvalidRequest:
    if isinstance(
        error, psycopg.errors.ReadOnlySqlTransaction | psycopg.errors.InsufficientPrivilege
    ):
        return InvalidRequest(f"only reading is allowed here: {_told(error)}")
    hint = "Send one SELECT, without a semicolon; use list_tables and describe."
    return InvalidRequest(f"the query failed: {_told(error)}", hint=hint)


def _told(error: psycopg.Error) -> str:
    message = error.diag.message_primary or type(error).__name__
    hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
    return (message + hint)[:500]


def _too_long(seconds: float) -> InvalidRequest:
    return InvalidRequest(
        f"the query took longer than {seconds:g} seconds", hint="Narrow it, or look at fewer rows."
    )
