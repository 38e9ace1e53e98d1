"""The application in this process, over a fake embedder and an empty data directory."""

import io
import shutil
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from rostra.api import Pace, create_app
from rostra.core import Settings
from tests.fakes import FakeEmbedder

Client = AsyncTestClient[Litestar]
LOCAL = "http://127.0.0.1"


@pytest.fixture
def settings(settings: Settings, _sqlite_template: Path) -> Settings:
    """The shared fixture's, with the database migrated already."""
    settings.home.mkdir()
    shutil.copyfile(_sqlite_template, settings.home / "rostra.db")
    return settings


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> FakeEmbedder:
    """What every runtime of the test loads as its embedding model."""
    fake = FakeEmbedder()
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: fake)
    return fake


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """A built page."""
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>page</title>")
    (folder / "assets" / "index-abc123.js").write_text("export {}")
    (folder / "favicon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
def app(settings: Settings, embedder: FakeEmbedder, static: Path) -> Litestar:
    return create_app(settings, pace=Pace(poll=0.05, beat=0.05), static=static)


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[Client]:
    async with AsyncTestClient(app, base_url=LOCAL) as opened:
        yield opened


@pytest.fixture
def finish(client: Client) -> Callable[[str], Awaitable[dict[str, Any]]]:
    """Waits for a job's end; the test's own timeout is the limit."""

    async def wait(job_id: str) -> dict[str, Any]:
        while True:
            job: dict[str, Any] = (await client.get(f"/api/jobs/{job_id}")).json()
            if job["status"] in ("succeeded", "failed"):
                return job

    return wait


@pytest.fixture
def upload(
    client: Client, finish: Callable[[str], Awaitable[dict[str, Any]]]
) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Uploads (name, content) pairs into a collection and waits until they are read."""

    async def send(*files: tuple[str, bytes], collection: str = "docs") -> dict[str, Any]:
        response = await client.post(
            f"/api/collections/{collection}/documents",
            files=[("files", (name, data)) for name, data in files],
        )
        assert response.status_code == 202, response.text
        return await finish(response.json()["id"])

    return send


@pytest.fixture
def zipped() -> Callable[[dict[str, bytes]], bytes]:
    """Makes a zip archive."""

    def make(members: dict[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return buffer.getvalue()

    return make
