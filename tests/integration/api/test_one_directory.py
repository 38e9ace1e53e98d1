"""Several processes on one data directory: one does its jobs, any number read and add to it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.api.conftest import command, serving

SETTINGS = {"ROSTRA_ANSWER_THRESHOLD": "0"}


def run(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ROSTRA_")}
    return subprocess.run(
        [sys.executable, "-m", "rostra.cli", *arguments],
        env=environment | {"ROSTRA_HOME": str(home)} | SETTINGS,
        capture_output=True,
        text=True,
        check=False,
    )


def result(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_second_server_is_refused_and_readers_are_not(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home, **SETTINGS) as served:
        served.read("default", ("vacuum.txt", b"Vacuum removes dead rows from a table."))
        second = command("--port", "0", home=home)
        out, err = second.communicate(timeout=60)
        assert (second.returncode, out) == (2, "")
        assert f"process {served.process.pid} " in err
        assert str(home) in err
        worker = run(home, "worker")
        assert worker.returncode == 2
        assert f"process {served.process.pid} " in worker.stderr
        # Readers, and who adds documents, work beside it.
        hits = result(run(home, "search", "dead rows", "--json"))["hits"]
        assert [hit["uri"] for hit in hits] == ["upload:///vacuum.txt"]
        (tmp_path / "lock.md").write_text("A lock is waited for in a queue.")
        assert result(run(home, "ingest", str(tmp_path / "lock.md"), "--json"))["documents"] == 1
        assert {hit["title"] for hit in served.search("queue lock", "default")} >= {"lock.md"}
        jobs = result(run(home, "jobs", "list", "--json"))
        assert [job["status"] for job in jobs["items"]] == ["succeeded"]
        served.process.send_signal(signal.SIGKILL)
        served.process.wait()
    # The lock went with its holder, and there is a queue for whoever comes next.
    queued = result(run(home, "ingest", "--watch", str(tmp_path), "--job", "--json"))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ROSTRA_")}
    with subprocess.Popen(
        [sys.executable, "-m", "rostra.cli", "worker", "--poll", "0.1"],
        env=environment | {"ROSTRA_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            while (state := result(run(home, "jobs", "show", queued["job"], "--json")))[
                "stage"
            ] != "watching":
                assert state["status"] in ("queued", "running"), state
            assert run(home, "jobs", "cancel", queued["job"]).stdout == "cancelled\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
