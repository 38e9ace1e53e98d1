"""A PostgreSQL database through the server's eyes: a role that may write, and cannot."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql as compose

from mcp_servers.sql.limits import Limits
from mcp_servers.sql.postgres import PostgresDatabase
from mcp_servers.sql.server import open_database
from rostra.core import ConfigError, InvalidRequest, NotFound, StoreUnavailable

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def server(postgres_url: str) -> Iterator[tuple[str, str]]:
    """URLs of a database with tables, for a role that owns them and for the superuser."""
    name = f"shop_{uuid4().hex}"
    owner = f"owner_{uuid4().hex[:8]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(compose.SQL("CREATE ROLE {} LOGIN").format(compose.Identifier(owner)))
        connection.execute(
            compose.SQL("CREATE DATABASE {} OWNER {}").format(
                compose.Identifier(name), compose.Identifier(owner)
            )
        )
    root = postgres_url.replace("/postgres?", f"/{name}?")
    url = root.replace("rostra@", f"{owner}@")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            """
            CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, note jsonb);
            CREATE TABLE orders (
                number bigint PRIMARY KEY, customer int REFERENCES customers, total numeric(10, 2)
            );
            CREATE SCHEMA "Other";
            CREATE TABLE "Other"."Odd ""name" (x int);
            CREATE SEQUENCE counter;
            CREATE FUNCTION sneak() RETURNS int LANGUAGE plpgsql AS
                $$ BEGIN DELETE FROM orders; RETURN 1; END $$;
            CREATE FUNCTION reopen() RETURNS int LANGUAGE plpgsql AS
                $$ BEGIN
                    PERFORM set_config('transaction_read_only', 'off', false);
                    DELETE FROM orders; RETURN 1;
                END $$;
            INSERT INTO customers VALUES (1, 'Ada', NULL), (2, 'Bob', '{"vip": true}');
            INSERT INTO orders VALUES (10, 1, 5.50), (11, 1, 20), (12, 2, 30);
            """
        )
    yield url, root
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            compose.SQL("DROP DATABASE {} WITH (FORCE)").format(compose.Identifier(name))
        )
        connection.execute(compose.SQL("DROP ROLE {}").format(compose.Identifier(owner)))


@pytest.fixture
def database(server: tuple[str, str]) -> PostgresDatabase:
    return PostgresDatabase(server[0], Limits(seconds=60, size=2_000, cell=100))


def orders(server: tuple[str, str]) -> list[tuple[object, ...]]:
    with psycopg.connect(server[0]) as connection:
        return connection.execute("SELECT * FROM orders ORDER BY 1").fetchall()


async def test_tables_and_columns(database: PostgresDatabase) -> None:
    tables = await database.tables()
    assert [table.name for table in tables.tables] == [
        '"Other"."Odd ""name"',
        "customers",
        "orders",
    ]
    for table in tables.tables:
        assert (await database.describe(table.name)).columns
    described = await database.describe("orders")
    assert [(c.name, c.type, c.primary_key, c.references) for c in described.columns] == [
        ("number", "bigint", True, None),
        ("customer", "integer", False, "customers.id"),
        ("total", "numeric(10,2)", False, None),
    ]
    with pytest.raises(NotFound, match="no table 'nobody'"):
        await database.describe("nobody")
    with pytest.raises((NotFound, InvalidRequest)):
        await database.describe("orders'; DROP TABLE orders; --")


async def test_a_query_gives_rows(database: PostgresDatabase) -> None:
    found = await database.query(
        "WITH sums AS (SELECT customer, sum(total) FROM orders GROUP BY 1)\n"
        "SELECT name, sum, sum > 25.6 AS big, note, number, number"
        " FROM sums JOIN customers ON id = customer"
        " JOIN orders USING (customer) WHERE number <> 11 ORDER BY 1 -- done;",
        10,
    )
    assert found.columns == ["name", "sum", "big", "note", "number", "number"]
    assert found.rows == [
        ["Ada", "25.50", False, None, 10, 10],
        ["Bob", "30.00", True, '{"vip": true}', 12, 12],
    ]
    assert (await database.query("VALUES (1), (2)", 10)).rows == [[1], [2]]
    assert (await database.query("TABLE customers", 1)).truncated
    assert (await database.query("SELECT 'a%s{}%'", 1)).rows == [["a%s{}%"]]


async def test_rows_cells_and_sizes_are_bounded(database: PostgresDatabase) -> None:
    some = await database.query("SELECT generate_series(1, 1000000000)", 3)
    assert (some.rows, some.truncated) == ([[1], [2], [3]], True)
    long = await database.query("SELECT repeat('é', 10000000), repeat('x', 100)", 1)
    assert (long.rows, long.cut_cells) == ([["é" * 100, "x" * 100]], 1)
    large = await database.query("SELECT repeat('x', 90) FROM generate_series(1, 1000)", 1_000)
    assert large.truncated
    assert len(large.rows) == 2_000 // 90


async def test_values_that_json_has_not_come_as_text(database: PostgresDatabase) -> None:
    found = await database.query(
        r"SELECT 'NaN'::float8, 9223372036854775807, '\x00ff'::bytea, NULL::bytea, NULL, 1.5::real,"
        " DATE '2026-03-31', ARRAY[1, NULL], true, 'x'::name, 0.1::numeric",
        1,
    )
    assert found.rows == [
        [
            *("nan", "9223372036854775807", "<2 bytes>", None, None, 1.5),
            *("2026-03-31", "{1,NULL}", True, "x", "0.1"),
        ]
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM orders",
        "UPDATE orders SET total = 0",
        "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone",
        "WITH x AS (INSERT INTO orders VALUES (99, 1, 1) RETURNING *) SELECT * FROM x",
        "SELECT * INTO copy FROM orders",
        "SELECT * FROM orders FOR UPDATE",
        "SELECT sneak()",
        "SELECT reopen()",
        "SELECT nextval('counter')",
        "SELECT set_config('transaction_read_only', 'off', false), sneak()",
        "SELECT query_to_xml('DELETE FROM orders RETURNING 1', true, true, '')",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('/')",
        "SELECT lo_import('/etc/passwd')",
        "COPY orders TO STDOUT",
        "COPY orders TO PROGRAM 'true'",
        "COPY orders FROM '/dev/null'",
        "SELECT 1; DELETE FROM orders",
        "SELECT 1) AS q; DELETE FROM orders; SELECT * FROM (SELECT 1",
        "SELECT 1) AS q (c0); DELETE FROM orders; --",
        "SELECT 1; COMMIT; DELETE FROM orders",
        "COMMIT",
        "ROLLBACK",
        "BEGIN READ WRITE",
        "SET TRANSACTION READ WRITE",
        "SET default_transaction_read_only = off",
        "DO $$ BEGIN DELETE FROM orders; END $$",
        "CREATE TABLE x (y int)",
        "DROP TABLE orders",
        "TRUNCATE orders",
        "CALL sneak()",
        "PREPARE p AS DELETE FROM orders",
        "EXPLAIN ANALYZE DELETE FROM orders",
        "LISTEN x",
        "VACUUM",
        "LOCK TABLE orders",
        "",
        "-- nothing",
        "SELECT * FROM nowhere",
        "SELECT $1",
        "SELECT 1 /* open",
    ],
)
async def test_nothing_but_reading(
    server: tuple[str, str], database: PostgresDatabase, sql: str
) -> None:
    before = orders(server)
    with pytest.raises(InvalidRequest, match=r"only reading is allowed|the query failed"):
        await database.query(sql, 10)
    assert orders(server) == before
    assert [table.name for table in (await database.tables()).tables][1:] == ["customers", "orders"]


async def test_what_the_server_does_not_refuse_is_rolled_back(
    server: tuple[str, str], database: PostgresDatabase
) -> None:
    await database.query("SELECT lo_from_bytea(0, 'x'), pg_notify('x', 'y')", 1)
    await database.query("SELECT pg_advisory_lock(7)", 1)
    with psycopg.connect(server[1]) as watcher:
        left = "SELECT (SELECT count(*) FROM pg_largeobject_metadata), pg_try_advisory_lock(7)"
        assert watcher.execute(left).fetchone() == (0, True)


async def test_what_a_query_sets_is_gone_with_it(database: PostgresDatabase) -> None:
    await database.query("SELECT set_config('statement_timeout', '0', false)", 1)
    await database.query("SELECT set_config('default_transaction_read_only', 'off', false)", 1)
    found = await database.query("SELECT current_setting('transaction_read_only')", 1)
    assert found.rows == [["on"]]


async def test_a_query_ends_when_its_time_is_over(server: tuple[str, str]) -> None:
    database = PostgresDatabase(server[0], Limits(seconds=0.3))
    for sql in (
        "SELECT pg_sleep(60)",
        "SELECT set_config('statement_timeout', '0', false), pg_sleep(60)",
        "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n FROM r) SELECT count(*) FROM r",
    ):
        with pytest.raises(InvalidRequest, match=r"longer than 0\.3 seconds"):
            await database.query(sql, 10)


async def test_a_query_ends_when_its_caller_is_gone(server: tuple[str, str]) -> None:
    database = PostgresDatabase(server[0], Limits(seconds=3_600))
    mark = f"gone {uuid4().hex}"
    task = asyncio.create_task(database.query(f"SELECT pg_sleep(3000), '{mark}'", 1))
    with psycopg.connect(server[1], autocommit=True) as watcher:
        seen = (
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
            f" AND query LIKE '%{mark}%' AND pid <> pg_backend_pid() AND query LIKE '%c0%'"
        )
        while watcher.execute(seen).fetchone() != (1,):
            assert not task.done()
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while watcher.execute(seen).fetchone() != (0,):
            pass


async def test_roles_that_can_do_more_are_refused(server: tuple[str, str]) -> None:
    owner, root = server
    assert await open_database(owner.replace("postgresql://", "postgresql+psycopg://"), Limits())
    with pytest.raises(ConfigError, match="can do more than read"):
        await open_database(root, Limits())
    name = psycopg.conninfo.conninfo_to_dict(owner)["user"]
    with psycopg.connect(root, autocommit=True) as connection:
        grant = compose.SQL("GRANT pg_write_server_files TO {}").format(
            compose.Identifier(str(name))
        )
        connection.execute(grant)
        try:
            with pytest.raises(ConfigError, match="pg_write_server_files"):
                await open_database(owner, Limits())
        finally:
            connection.execute(
                compose.SQL("REVOKE pg_write_server_files FROM {}").format(
                    compose.Identifier(str(name))
                )
            )


async def test_a_server_that_is_not_there_is_told_without_its_address() -> None:
    with pytest.raises(StoreUnavailable) as failure:
        await open_database("postgresql://user:secret@127.0.0.1:1/db", Limits())
    assert "secret" not in str(failure.value)
    assert "127.0.0.1" not in str(failure.value)
