"""The command as a process: its address, its end, what survives it, and what it refuses."""

import signal
import socket
import sqlite3
from pathlib import Path

import httpx
import pytest

from rostra.cli.main import run
from rostra.core import Settings
from tests.integration.api.conftest import Served, command, serving
from tests.integration.api.test_server import LOCKS, QUESTION


def paragraphs(count: int) -> bytes:
    """A text that takes a while to embed."""
    return "\n\n".join(
        f"Paragraph {n} says that box {n * 7919 % 10007} holds {n * 104729 % 1009} green marbles."
        for n in range(count)
    ).encode()


def ended_well(served: Served, number: int) -> bool:
    """Whether the signal ends it with status 0, nothing said and its port free."""
    status = served.stop(number)
    assert served.process.stdout is not None
    with pytest.raises(httpx.ConnectError):
        httpx.get(served.url)
    return (status, served.process.stdout.read()) == (0, "")


def test_a_restart_keeps_everything_and_a_signal_ends_it_well(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home) as served:
        served.read("docs", ("locks.md", LOCKS))
        hits = served.search("index without blocking writes", "docs")
        asked = {"question": QUESTION, "collection": "docs"}
        chat_id = served.client.post("/api/ask", json=asked).json()["chat_id"]
        chat = served.client.get(f"/api/chats/{chat_id}").json()
        assert ended_well(served, signal.SIGTERM)
    with serving(home) as served:
        assert served.search("index without blocking writes", "docs") == hits
        assert served.client.get(f"/api/chats/{chat_id}").json() == chat
        more = served.client.post("/api/ask", json=asked | {"chat_id": chat_id})
        assert more.json()["chat_id"] == chat_id
        assert served.client.get(f"/api/chats/{chat_id}").json()["messages"] == 4
        assert ended_well(served, signal.SIGINT)


def test_a_job_outlives_a_shutdown_and_a_kill_of_its_server(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home) as served:
        job_id = served.upload("docs", ("one.txt", paragraphs(500)), ("two.md", LOCKS))
        served.job(job_id, "running")
        assert served.stop() == 0  # in mid-job, and quickly
    assert status_of(home) != "succeeded"
    with serving(home) as served:
        served.job(job_id, "running")
        assert served.stop(signal.SIGKILL) == -signal.SIGKILL
    assert status_of(home) == "running"
    with sqlite3.connect(home / "rostra.db") as database:
        database.execute("UPDATE jobs SET lease_expires_at = '2000-01-01 00:00:00.000000'")
    with serving(home) as served:
        job = served.job(job_id, "succeeded", "failed")
        assert job["status"] == "succeeded", job
        assert job["result"]["failed"] == []
        page = served.client.get("/api/collections/docs/documents").json()
        assert {item["title"] for item in page["items"]} == {"one.txt", "Locks"}
        assert served.stop() == 0
    assert list((home / "uploads").iterdir()) == []


def status_of(home: Path) -> str:
    """What the database says of its one job."""
    with sqlite3.connect(home / "rostra.db") as database:
        ((status,),) = database.execute("SELECT status FROM jobs").fetchall()
    return str(status)


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = command("--port", str(port), home=tmp_path / "home")
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output == ""
    assert f"127.0.0.1:{port}" in errors.splitlines()[0]
    assert "--port" in errors
    assert "Traceback" not in errors


# The rest ends before anything is served, and so can do without a process of its own.


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        (["--host", "no.such.host.invalid", "--port", "0"], {}),
        (["--host", "203.0.113.7", "--port", "0"], {}),
        (["--port", "0"], {"ROSTRA_DATABASE_URL": "sqlite:////dev/null/rostra.db"}),
        (["--port", "0"], {"ROSTRA_MAX_K": "none"}),
    ],
)
def test_what_cannot_be_served_is_said_without_a_traceback(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    options: list[str],
    settings: dict[str, str],
) -> None:
    for name, value in ({"ROSTRA_HOME": str(tmp_path / "home")} | settings).items():
        monkeypatch.setenv(name, value)
    assert run(["serve", *options]) == 1
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.startswith("error: ")
    assert "Traceback" not in errors


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there_is_refused_at_start(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    device: str,
) -> None:
    monkeypatch.setenv("ROSTRA_DEVICE", device)
    assert run(["serve", "--port", "0"]) == 1
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.startswith("error: device: ")
    assert device in errors
    assert "Traceback" not in errors
