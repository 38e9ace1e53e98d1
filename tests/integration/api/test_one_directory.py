"""Several processes on one data directory: one does its jobs, any number read and add to it."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rostra.cli.main import run
from tests.fakes import packaged_embedder
from tests.integration.api.conftest import command, serving

Invoke = Callable[..., dict[str, Any]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROSTRA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def invoke(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Invoke:
    """Runs a command line in this process, which is another one than the server's."""
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: packaged_embedder("auto"))

    def call(*arguments: str | Path) -> dict[str, Any]:
        assert run([*map(str, arguments), "--json"]) == 0
        found: dict[str, Any] = json.loads(capfd.readouterr().out)
        return found

    return call


def working(home: Path) -> "subprocess.Popen[str]":
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ROSTRA_")}
    return subprocess.Popen(
        [sys.executable, "-m", "rostra.cli", "worker", "--poll", "0.1"],
        env=environment | {"ROSTRA_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def job(home: Path) -> tuple[str, str]:
    """Status and stage of the newest job."""
    with closing(sqlite3.connect(f"file:{home / 'rostra.db'}?mode=ro", uri=True)) as connection:
        statement = "SELECT status, stage FROM jobs ORDER BY id DESC LIMIT 1"
        status, stage = connection.execute(statement).fetchone()
        return status, stage


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_second_server_is_refused_and_readers_are_not(
    home: Path, invoke: Invoke, tmp_path: Path
) -> None:
    with serving(home) as served:
        refused = command("--port", "0", home=home), working(home)
        served.read("default", ("vacuum.txt", b"Vacuum removes dead rows from a table."))
        # Readers, and who adds documents, work beside it.
        hits = invoke("search", "dead rows")["hits"]
        assert [hit["uri"] for hit in hits] == ["upload:///vacuum.txt"]
        (tmp_path / "lock.md").write_text("A lock is waited for in a queue.")
        assert invoke("ingest", tmp_path / "lock.md")["documents"] == 1
        assert {hit["title"] for hit in served.search("queue lock", "default")} >= {"lock.md"}
        assert [item["status"] for item in invoke("jobs", "list")["items"]] == ["succeeded"]
        for process in refused:
            out, err = process.communicate()
            assert (process.returncode, out) == (2, "")
            assert f"process {served.process.pid} " in err
            assert str(home) in err
        served.process.send_signal(signal.SIGKILL)
        served.process.wait()
    # The lock went with its holder.
    folder = tmp_path / "notes"
    folder.mkdir()
    queued = invoke("ingest", "--watch", folder, "--job")
    with working(home) as worker:
        try:
            while job(home) != ("running", "watching"):
                assert worker.poll() is None, worker.communicate()
                time.sleep(0.02)
            worker.send_signal(signal.SIGTERM)
            worker.communicate()
            assert worker.returncode == 0
        finally:
            worker.kill()
    assert invoke("jobs", "show", queued["job"])["status"] == "queued"
