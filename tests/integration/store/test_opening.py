"""What cannot be opened: each way is a typed error that says what to do, never a traceback."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from rostra.core import ConfigError, Settings, StoreUnavailable
from rostra.store import list_collections, open_database


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "rostra.db",
        "postgresql://host:port/name",
        "mysql://host/name",
        "oracle+cx://host/name",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///x.db?timeout=1",
        "sqlite:///a%00b",
    ],
)
async def test_a_url_that_cannot_work_is_a_wrong_setting(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^database_url: "):
        await open_database(url)
    assert list(tmp_path.iterdir()) == []


async def test_a_password_is_not_in_the_message() -> None:
    for url in ["mysql://user:s3cret@host/name", "postgresql://user:s3cret@host:port/name"]:
        with pytest.raises(ConfigError) as caught:
            await open_database(url)
        assert "s3cret" not in str(caught.value.to_dict())
    with pytest.raises(StoreUnavailable) as unreachable:
        await open_database("postgresql://user:s3cret@127.0.0.1:1/name")
    assert "s3cret" not in str(unreachable.value.to_dict())


async def test_a_server_that_is_not_there() -> None:
    with pytest.raises(StoreUnavailable, match="does not answer") as caught:
        await open_database("postgresql://127.0.0.1:1/rostra")
    assert caught.value.hint is not None


@pytest.mark.postgres
async def test_a_database_that_the_server_does_not_have(postgres_url: str) -> None:
    with pytest.raises(StoreUnavailable, match="does not exist"):
        await open_database(postgres_url.replace("/postgres?", "/nowhere?"))


async def test_the_folder_is_made(settings: Settings) -> None:
    async with await open_database(settings.resolved_database_url):
        assert (settings.home / "rostra.db").is_file()


@pytest.mark.parametrize("name", ["a b", "50%41", "what?x=1", "é\U0001f600#@:"])
async def test_a_home_of_any_name(name: str, tmp_path: Path) -> None:
    home = tmp_path / name
    async with await open_database(Settings(home=home).resolved_database_url):
        assert (home / "rostra.db").is_file()
    assert list(tmp_path.iterdir()) == [home]


async def test_the_file_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "rostra.db").mkdir()
    with pytest.raises(StoreUnavailable, match="unable to open"):
        await open_database(f"sqlite:///{tmp_path / 'rostra.db'}")


async def test_the_folder_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(StoreUnavailable, match="cannot create the data directory"):
        await open_database(f"sqlite:///{tmp_path / 'home' / 'rostra.db'}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreUnavailable):
            await open_database(f"sqlite:///{tmp_path / 'rostra.db'}")
        with pytest.raises(StoreUnavailable, match="cannot create the data directory"):
            await open_database(f"sqlite:///{tmp_path / 'home' / 'rostra.db'}")
    finally:
        tmp_path.chmod(0o700)


async def test_a_place_where_nothing_can_be_written() -> None:
    for folder in ["/proc", "/proc/rostra"]:
        with pytest.raises(StoreUnavailable):
            await open_database(f"sqlite:///{folder}/rostra.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    file = tmp_path / "rostra.db"
    async with await open_database(f"sqlite:///{file}"):
        pass
    file.chmod(0)
    with pytest.raises(StoreUnavailable):
        await open_database(f"sqlite:///{file}")


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "rostra.db"
    file.write_bytes(b"This is a text, and a longer one than any header.\n" * 100)
    with pytest.raises(StoreUnavailable, match="not a database"):
        await open_database(f"sqlite:///{file}")
    assert file.read_bytes().startswith(b"This is a text")


async def test_a_damaged_database(tmp_path: Path) -> None:
    file = tmp_path / "rostra.db"
    async with await open_database(f"sqlite:///{file}"):
        pass
    content = file.read_bytes()
    file.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
    with pytest.raises(StoreUnavailable, match="malformed"):
        await open_database(f"sqlite:///{file}")


async def test_damage_that_is_met_later(tmp_path: Path) -> None:
    file = tmp_path / "rostra.db"
    async with await open_database(f"sqlite:///{file}") as database, database.write() as session:
        await session.execute(text("CREATE TABLE big AS SELECT randomblob(1000000) AS b"))
    with file.open("r+b") as raw:
        raw.seek(500_000)
        raw.write(b"\xff" * 100_000)
    async with await open_database(f"sqlite:///{file}") as database:
        with pytest.raises(StoreUnavailable, match="malformed"):
            async with database.read() as session:
                await session.execute(text("SELECT sum(length(hex(b))) FROM big"))


async def test_a_database_without_our_schema(tmp_path: Path) -> None:
    async with await open_database(f"sqlite:///{tmp_path / 'x.db'}", migrate=False) as database:
        with pytest.raises(StoreUnavailable, match="no such table"):
            async with database.read() as session:
                await list_collections(session)


async def test_a_database_that_another_process_keeps_locked(tmp_path: Path) -> None:
    file = tmp_path / "rostra.db"
    async with await open_database(f"sqlite:///{file}"):
        pass
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with await open_database(f"sqlite:///{file}", busy_timeout=0.01) as database:
            with pytest.raises(StoreUnavailable, match="locked"):
                async with database.write() as session:
                    await list_collections(session)
            async with database.read() as session:
                assert await list_collections(session) == ([], 0)
            other.execute("COMMIT")
            async with database.write() as session:
                await session.execute(text("DELETE FROM jobs"))


async def test_a_fresh_file_that_another_process_keeps_locked(tmp_path: Path) -> None:
    file = tmp_path / "rostra.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable, match="locked"):
            await open_database(f"sqlite:///{file}", busy_timeout=0.01)


async def test_a_migration_that_another_process_keeps_waiting(tmp_path: Path) -> None:
    file = tmp_path / "rostra.db"
    async with await open_database(f"sqlite:///{file}", migrate=False):
        pass
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            await open_database(f"sqlite:///{file}", busy_timeout=0.01)
