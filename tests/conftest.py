"""Shared fixtures: settings in a temporary home, and fresh databases on both engines.

What always holds: no test sees the developer's ROSTRA_* variables or reaches a model hub; each
test draws the same numbers whatever ran before it, and in CI hypothesis the same examples; each
test has a database of its own; the PostgreSQL server is ours, in a temporary folder, on a socket
there, and is stopped at the end of the session.
"""

import asyncio
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import hypothesis
import numpy
import psycopg
import pytest
from psycopg import sql

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports the hub's client
if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the cores: more threads of one, or of what it starts, would only wait.
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch

from rostra.core import Settings
from rostra.store import Database, open_database

# A commit that passed CI passes it again; new examples are looked for on developers' machines.
# A busy machine is no fault of a test: nothing depends on how long examples take.
hypothesis.settings.register_profile(
    "rostra",
    deadline=None,
    print_blob=True,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("rostra")


@pytest.fixture(autouse=True)
def _seeds() -> None:
    random.seed(0)
    numpy.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("ROSTRA_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def settings(_clean_environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Defaults with an empty data directory, which ROSTRA_HOME names for child processes too.

    Without the reader and the evidence scorer that ship: a test that wants a reader brings a tiny
    one (`tests/readers.py`), one that wants the scorer sets `ROSTRA_EVIDENCE_PICKER`.
    """
    monkeypatch.setenv("ROSTRA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ROSTRA_READER", "never")
    monkeypatch.setenv("ROSTRA_EVIDENCE_PICKER", "similarity")
    return Settings()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of the empty database `postgres` on a server that this session started."""
    programs = _postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server programs initdb and pg_ctl are not installed")
    # The server refuses to run as root. Short, because a socket's path has at most 107 bytes.
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="rostra-pg-", dir="/tmp"))
    try:
        if user is not None:
            try:
                shutil.chown(folder, user)
            except LookupError:
                pytest.skip("PostgreSQL does not run as root and there is no user postgres")
        data = folder / "data"
        _as_user(
            user,
            [programs / "initdb", *f"-D {data} -U rostra -A trust -E UTF8 --no-sync".split()],
        )
        (data / "postgresql.auto.conf").write_text(
            "listen_addresses = ''\n"
            f"unix_socket_directories = '{folder}'\n"
            "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"
            "wal_level = minimal\nmax_wal_senders = 0\n"
            "max_connections = 100\nshared_buffers = 32MB\nautovacuum = off\n"
        )
        control: list[str | Path] = [programs / "pg_ctl", "-D", data, "-w", "-t", "60"]
        _as_user(user, [*control, "-l", folder / "log", "start"])
        try:
            yield f"postgresql://rostra@/postgres?host={folder}"
        finally:
            _as_user(user, [*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_programs() -> Path | None:
    """The newest folder with both initdb and pg_ctl."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: [int(part) for part in folder.parent.name.split(".") if part.isdigit()],
        reverse=True,
    )
    if config := shutil.which("pg_config"):
        found = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        folders.insert(0, Path(found.stdout.strip()))
    if initdb := shutil.which("initdb"):
        folders.append(Path(initdb).resolve().parent)
    return next((f for f in folders if (f / "initdb").is_file() and (f / "pg_ctl").is_file()), None)


def _as_user(user: str | None, command: list[str | Path]) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database without a schema, on each engine in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'rostra.db'}"
        return
    with _postgres_database(request.getfixturevalue("postgres_url")) as url:
        yield url


@contextmanager
def _postgres_database(server: str) -> Iterator[str]:
    """A new database on this server, dropped at the end."""
    name = sql.Identifier(f"test_{uuid4().hex}")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
    try:
        yield server.replace("/postgres?", f"/{name.as_string()[1:-1]}?")
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file without rows; to copy is quicker than to migrate for each test."""
    file = tmp_path_factory.mktemp("template") / "rostra.db"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def _postgres_migrated(postgres_url: str) -> Iterator[str]:
    """URL of a migrated database; to empty is quicker than to make one for each test."""
    with _postgres_database(postgres_url) as url:
        _migrate(url)
        yield url


@pytest.fixture
def postgres_database_url(_postgres_migrated: str) -> Iterator[str]:
    """URL of a migrated database on PostgreSQL without rows, for tests that open it themselves."""
    yield _postgres_migrated
    _empty(_postgres_migrated)


def _migrate(url: str) -> None:
    async def run() -> None:
        await (await open_database(url)).close()

    # In a thread, so as not to meet the event loop of the test that asks first.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, run()).result()


def _empty(url: str) -> None:
    """Deletes every row that a test left."""
    with psycopg.connect(url, autocommit=True) as connection:
        # A task that was cancelled within a transaction may leave its connection, and its locks.
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename <> 'alembic_version'"
        ).fetchall()
        names = sql.SQL(", ").join(sql.Identifier(table) for (table,) in tables)
        connection.execute(sql.SQL("TRUNCATE {}").format(names))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A migrated database without rows, on each engine in turn.

    A test that changes the schema takes `database_url` and migrates that.
    """
    if request.param == "sqlite":
        file = tmp_path / "rostra.db"
        shutil.copyfile(request.getfixturevalue("_sqlite_template"), file)
        url = f"sqlite:///{file}"
    else:
        url = request.getfixturevalue("_postgres_migrated")
    async with await open_database(url) as opened:
        yield opened
    if request.param == "postgresql":
        _empty(url)
