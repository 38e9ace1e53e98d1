"""Servers as users run them: the `rostra serve` command in a process of its own, over HTTP.

What always holds: every server has a data directory of its own and is ended with the test, or with
the session for the one that tests share.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

START_SECONDS = 90.0


class Served:
    """A running server and a client of it."""

    def __init__(self, process: "subprocess.Popen[str]", url: str, home: Path) -> None:
        self.process = process
        self.url = url
        self.home = home
        self.client = httpx.Client(base_url=url, timeout=60)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal; returns the exit status."""
        self.client.close()
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def upload(self, collection: str, *files: tuple[str, bytes]) -> str:
        """Sends files; returns the job's id."""
        response = self.client.post(
            f"/api/collections/{collection}/documents",
            files=[("files", (name, data)) for name, data in files],
        )
        assert response.status_code == 202, response.text
        return str(response.json()["id"])

    def job(self, job_id: str, *statuses: str) -> dict[str, Any]:
        """The job once it has one of these statuses; the test's timeout is the limit."""
        while True:
            job: dict[str, Any] = self.client.get(f"/api/jobs/{job_id}").json()
            if job["status"] in statuses:
                return job

    def read(self, collection: str, *files: tuple[str, bytes]) -> dict[str, Any]:
        """Sends files and waits until they are read."""
        return self.job(self.upload(collection, *files), "succeeded", "failed")

    def search(self, query: str, collection: str) -> list[dict[str, Any]]:
        """The hits of a hybrid search."""
        response = self.client.post(
            "/api/search", json={"query": query, "collection": collection, "k": 5}
        )
        assert response.status_code == 200, response.text
        hits: list[dict[str, Any]] = response.json()["hits"]
        return hits


def command(*options: str, home: Path, **settings: str) -> "subprocess.Popen[str]":
    """Starts `rostra serve` on a free port."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ROSTRA_")}
    environment |= {"ROSTRA_HOME": str(home), **settings}
    return subprocess.Popen(
        [sys.executable, "-m", "rostra.cli", "serve", *options],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def serving(home: Path, **settings: str) -> Iterator[Served]:
    """A server that is ready; killed at the end if it still runs."""
    process = command("--port", "0", home=home, **settings)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Serving on http://127.0.0.1:"), line
        served = Served(process, line.removeprefix("Serving on ").strip(), home)
        with served.client:
            deadline = time.monotonic() + START_SECONDS
            # The status waits a while for the model's first try: fewer questions than by polling.
            while served.client.get("/health/ready").status_code != 200:
                assert time.monotonic() < deadline
                served.client.get("/api/status", timeout=START_SECONDS)
            yield served
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all tests that leave it running; each uses collections of its own."""
    home = tmp_path_factory.mktemp("served") / "home"
    # Any evidence is good enough: which answers are good is not tested here.
    settings = {"ROSTRA_MAX_UPLOAD_BYTES": str(2**20), "ROSTRA_ANSWER_THRESHOLD": "0"}
    with serving(home, **settings) as served:
        yield served
