"""The command as a process: its address, its end, what survives it, and what it refuses."""

import signal
import socket
import sqlite3
from pathlib import Path

import httpx
import pytest

from tests.integration.api.conftest import command, serving
from tests.integration.api.test_server import LOCKS, QUESTION


def paragraphs(count: int) -> bytes:
    """A text that takes a while to embed."""
    return "\n\n".join(
        f"Paragraph {n} says that box {n * 7919 % 10007} holds {n * 104729 % 1009} green marbles."
        for n in range(count)
    ).encode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(tmp_path: Path, number: int) -> None:
    with serving(tmp_path / "home") as served:
        address = served.url
        assert served.stop(number) == 0
        assert served.process.stdout is not None
        assert served.process.stdout.read() == ""
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)


def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home) as served:
        served.read("docs", ("locks.md", LOCKS))
        hits = served.search("index without blocking writes", "docs")
        asked = {"question": QUESTION, "collection": "docs"}
        chat_id = served.client.post("/api/ask", json=asked).json()["chat_id"]
        chat = served.client.get(f"/api/chats/{chat_id}").json()
        served.stop()
    with serving(home) as served:
        assert served.search("index without blocking writes", "docs") == hits
        assert served.client.get(f"/api/chats/{chat_id}").json() == chat
        more = served.client.post("/api/ask", json=asked | {"chat_id": chat_id})
        assert more.json()["chat_id"] == chat_id
        assert served.client.get(f"/api/chats/{chat_id}").json()["messages"] == 4


def test_a_killed_servers_job_is_resumed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    files = [("one.txt", paragraphs(1500)), ("two.md", LOCKS)]
    with serving(home) as served:
        job_id = served.upload("docs", *files)
        served.job(job_id, "running")
        assert served.stop(signal.SIGKILL) == -signal.SIGKILL
    with sqlite3.connect(home / "rostra.db") as database:
        (status,) = database.execute("SELECT status FROM jobs").fetchone()
        assert status == "running"
        database.execute("UPDATE jobs SET lease_expires_at = '2000-01-01 00:00:00.000000'")
    with serving(home) as served:
        job = served.job(job_id, "succeeded", "failed")
        assert job["status"] == "succeeded", job
        assert job["result"]["failed"] == []
        page = served.client.get("/api/collections/docs/documents").json()
        assert {item["title"] for item in page["items"]} == {"one.txt", "Locks"}
        assert served.stop() == 0
    assert list((home / "uploads").iterdir()) == []


def test_a_shutdown_in_mid_job_is_quick_and_the_next_start_goes_on(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home) as served:
        job_id = served.upload("docs", ("one.txt", paragraphs(1500)))
        served.job(job_id, "running")
        assert served.stop() == 0
    with serving(home) as served:
        assert served.job(job_id, "succeeded", "failed")["status"] == "succeeded"


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
    tmp_path: Path, options: list[str], settings: dict[str, str]
) -> None:
    process = command(*options, home=tmp_path / "home", **settings)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output == ""
    assert errors.startswith("error: ")
    assert "Traceback" not in errors


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there_is_refused_at_start(tmp_path: Path, device: str) -> None:
    process = command("--port", "0", home=tmp_path / "home", ROSTRA_DEVICE=device)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output == ""
    assert errors.startswith("error: device: ")
    assert device in errors
    assert "Traceback" not in errors
