"""A SQLite file through the server's eyes: read, described, never changed."""

import asyncio
import hashlib
import sqlite3
from pathlib import Path

import pytest

from mcp_servers.sql.limits import Limits
from mcp_servers.sql.server import open_database
from mcp_servers.sql.sqlite import SqliteDatabase
from rostra.core import ConfigError, InvalidRequest, NotFound, StoreUnavailable

ENDLESS = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r)"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small shop; the file's name looks like options of a URI."""
    path = tmp_path / "shop?mode=rwc&x=#1%20.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            """
            CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, note TEXT);
            CREATE TABLE orders (
                number INTEGER PRIMARY KEY, customer INT REFERENCES customers(id), total REAL
            );
            CREATE VIEW big AS SELECT * FROM orders WHERE total > 10;
            INSERT INTO customers VALUES (1, 'Ada', NULL), (2, 'Bob', 'called ''Bobby''');
            INSERT INTO orders VALUES (10, 1, 5.5), (11, 1, 20), (12, 2, 30);
            """
        )
    connection.close()
    return path


@pytest.fixture
def database(file: Path) -> SqliteDatabase:
    return SqliteDatabase(file, Limits(seconds=60, size=2_000, cell=100))


async def test_tables_and_columns(database: SqliteDatabase) -> None:
    tables = await database.tables()
    assert [(table.name, table.kind) for table in tables.tables] == [
        ("big", "view"),
        ("customers", "table"),
        ("orders", "table"),
    ]
    described = await database.describe("orders")
    assert [(c.name, c.type, c.primary_key, c.references) for c in described.columns] == [
        ("number", "INTEGER", True, None),
        ("customer", "INT", False, "customers.id"),
        ("total", "REAL", False, None),
    ]
    with pytest.raises(NotFound, match="no table 'nobody'"):
        await database.describe("nobody")
    with pytest.raises(NotFound):
        await database.describe("orders'); DROP TABLE orders; --")


async def test_a_query_gives_rows(database: SqliteDatabase) -> None:
    found = await database.query(
        "SELECT name, sum(total) AS sum, max(note) FROM orders JOIN customers ON id = customer"
        " GROUP BY 1 ORDER BY 1;",
        10,
    )
    assert found.columns == ["name", "sum", "max(note)"]
    assert found.rows == [["Ada", 25.5, None], ["Bob", 30.0, "called 'Bobby'"]]
    assert (found.truncated, found.cut_cells) == (False, 0)


async def test_rows_cells_and_sizes_are_bounded(database: SqliteDatabase) -> None:
    exactly = await database.query("SELECT number FROM orders", 3)
    assert (len(exactly.rows), exactly.truncated) == (3, False)
    some = await database.query(f"{ENDLESS} SELECT n FROM r", 3)
    assert (some.rows, some.truncated) == ([[1], [2], [3]], True)
    long = await database.query("SELECT printf('%.*c', 500, 'x'), 1", 1)
    assert (long.rows, long.cut_cells) == ([["x" * 100, 1]], 1)
    large = await database.query(f"{ENDLESS} SELECT printf('%.*c', 90, 'x') FROM r", 1_000)
    assert large.truncated
    assert len(large.rows) == 2_000 // 90
    wide = await database.query(f"SELECT {', '.join(['hex(zeroblob(45))'] * 100)}", 1)
    assert sum(len(str(cell)) for cell in wide.rows[0]) == 2_000
    assert wide.cut_cells == 100 - 2_000 // 90


async def test_values_that_json_has_not_come_as_text(database: SqliteDatabase) -> None:
    found = await database.query(
        "SELECT 9e999, -9e999, 9223372036854775807, x'00ff', CAST(x'ff' AS TEXT), NULL, 1.5", 1
    )
    replaced = "\N{REPLACEMENT CHARACTER}"
    assert found.rows == [["inf", "-inf", "9223372036854775807", "<2 bytes>", replaced, None, 1.5]]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM orders",
        "UPDATE orders SET total = 0",
        "INSERT INTO orders VALUES (1, 1, 1)",
        "REPLACE INTO orders VALUES (10, 1, 1)",
        "WITH d AS (SELECT 1) DELETE FROM orders",
        "WITH d AS (SELECT 1) INSERT INTO customers SELECT 9, 'x', 'y' RETURNING *",
        "DROP TABLE orders",
        "ALTER TABLE orders ADD COLUMN x",
        "CREATE TABLE x(y)",
        "CREATE TEMP TABLE x(y)",
        "CREATE TEMP TRIGGER t AFTER INSERT ON orders BEGIN SELECT 1; END",
        "CREATE VIRTUAL TABLE f USING fts5(x)",
        "ATTACH 'other.db' AS other",
        "ATTACH ':memory:' AS other",
        "DETACH main",
        "VACUUM",
        "VACUUM INTO 'copy.db'",
        "PRAGMA writable_schema = ON",
        "PRAGMA query_only = OFF",
        "PRAGMA journal_mode = WAL",
        "PRAGMA database_list",
        "SELECT * FROM pragma_database_list",
        "SELECT * FROM pragma_journal_mode",
        "BEGIN IMMEDIATE",
        "COMMIT",
        "SAVEPOINT s",
        "ANALYZE",
        "SELECT load_extension('evil')",
        "SELECT fts3_tokenizer('simple')",
        "EXPLAIN DELETE FROM orders",
        "SELECT 1; DELETE FROM orders",
        "SELECT 1; -- \n; DELETE FROM orders",
        "SELECT 1 /* ; */; DROP TABLE orders",
    ],
)
async def test_nothing_but_reading(database: SqliteDatabase, file: Path, sql: str) -> None:
    before = hashlib.sha256(file.read_bytes()).digest()
    with pytest.raises(
        InvalidRequest, match=r"only reading|only one statement|failed: (no such|unsafe)"
    ):
        await database.query(sql, 10)
    assert hashlib.sha256(file.read_bytes()).digest() == before
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    "sql",
    ["", "-- nothing", "REINDEX", "SELECT * FROM nowhere", "SELEC 1", "SELECT ?", "SELECT '\0'"],
)
async def test_mistakes_are_told(database: SqliteDatabase, sql: str) -> None:
    with pytest.raises(InvalidRequest, match=r"failed:|gives no rows"):
        await database.query(sql, 10)


async def test_a_query_ends_when_its_time_is_over(file: Path) -> None:
    database = SqliteDatabase(file, Limits(seconds=0.2))
    for sql in (
        f"{ENDLESS} SELECT count(*) FROM r",
        f"{ENDLESS} SELECT max(n) FROM r ORDER BY n",
        f"{ENDLESS} SELECT n FROM r WHERE n < 0",
    ):
        with pytest.raises(InvalidRequest, match=r"longer than 0\.2 seconds"):
            await database.query(sql, 10)


async def test_a_query_ends_when_its_caller_is_gone(file: Path) -> None:
    database = SqliteDatabase(file, Limits(seconds=3_600))
    # As many as places: if one went on, the next query would have none.
    tasks = [
        asyncio.create_task(database.query(f"{ENDLESS} SELECT count(*) FROM r", 1))
        for _ in range(4)
    ]
    await asyncio.wait(tasks, timeout=0.1)
    for task in tasks:
        task.cancel()
    assert await asyncio.gather(*tasks, return_exceptions=True)
    assert (await database.query("SELECT 1", 1)).rows == [[1]]
    # The interpreter waits for these threads at its end, so a test that hangs is one that failed.
    await asyncio.get_running_loop().shutdown_default_executor()


async def test_values_are_bounded_before_they_are_made(database: SqliteDatabase) -> None:
    for sql in (
        "SELECT zeroblob(1000000000)",
        "SELECT randomblob(1000000000)",
        f"{ENDLESS} SELECT group_concat(x) FROM"
        " (SELECT hex(zeroblob(1000000)) AS x FROM r LIMIT 10)",
        "SELECT replace(hex(zeroblob(1000000)), '0', hex(zeroblob(1000)))",
        f"SELECT 1 WHERE 'a' LIKE '{'%a' * 400}'",
    ):
        with pytest.raises(InvalidRequest):
            await database.query(sql, 10)


async def test_a_hostile_file_is_an_error_and_no_more(tmp_path: Path) -> None:
    junk = tmp_path / "junk.db"
    junk.write_bytes(b"no database at all" * 1000)
    with pytest.raises(InvalidRequest, match="not a database"):
        await SqliteDatabase(junk, Limits()).tables()
    trap = tmp_path / "trap.db"
    with sqlite3.connect(trap) as connection:
        connection.execute("CREATE VIEW v AS SELECT load_extension('evil')")
    connection.close()
    with pytest.raises(InvalidRequest):
        await SqliteDatabase(trap, Limits()).query("SELECT * FROM v", 1)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite:///missing.db", "no database file"),
        ("sqlite://", "not read"),
        ("sqlite:///", "not read"),
        ("mysql://host/db", "not read"),
        ("nonsense", "cannot be read"),
    ],
)
async def test_urls_that_cannot_work_are_refused(url: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        await open_database(url, Limits())


async def test_a_file_that_goes_away_is_said_to_be_unavailable(file: Path) -> None:
    database = SqliteDatabase(file, Limits())
    file.unlink()
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        await database.query("SELECT 1", 1)
    assert not file.exists()
