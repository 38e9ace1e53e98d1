"""Readiness while the model loads, and when it cannot be loaded."""

import asyncio
import threading
from pathlib import Path

import pytest
from litestar.testing import AsyncTestClient

from rostra.api import create_app
from rostra.api.models import Models
from rostra.core import ConfigError, Embedder, ModelUnavailable, Settings
from rostra.runtime import open_runtime
from tests.fakes import FakeEmbedder

LOADER = "rostra.runtime.runtime.load_embedder"


async def test_not_ready_while_the_model_loads(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_load = threading.Event()

    def slow(_: Settings) -> Embedder:
        may_load.wait()
        return FakeEmbedder()

    monkeypatch.setattr(LOADER, slow)
    async with AsyncTestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        try:
            assert (await client.get("/health/live")).status_code == 200
            early = await client.get("/health/ready")
            assert early.status_code == 503
            assert early.json()["code"] == "not_ready"
            assert settings.embedding_model in early.json()["detail"]
        finally:
            may_load.set()
        await client.get("/api/status")  # waits for the model
        assert (await client.get("/health/ready")).status_code == 200


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ModelUnavailable("no such folder"), "no such folder"), (ValueError("boom"), "log")],
)
async def test_a_model_that_cannot_be_loaded_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def broken(_: Settings) -> Embedder:
        raise error

    monkeypatch.setattr(LOADER, broken)
    async with AsyncTestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        status = await client.get("/api/status")
        assert status.status_code == 200
        assert status.json()["dimensions"] is None
        ready = await client.get("/health/ready")
        assert ready.status_code == 503
        problem = ready.json()
        assert settings.embedding_model in problem["detail"]
        assert reason in problem["detail"] + problem.get("hint", "")
        assert (await client.get("/health/live")).status_code == 200


async def test_a_wrong_setting_is_not_tried_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Settings) -> Embedder:
        raise ConfigError("device: abacus is not on this machine")

    monkeypatch.setattr(LOADER, broken)
    async with open_runtime(settings) as runtime:
        models = Models(runtime)
        await models.load()
        assert isinstance(models.failure, ConfigError)


async def test_an_unreachable_database_is_a_503(settings: Settings, embedder: FakeEmbedder) -> None:
    app = create_app(settings)
    async with AsyncTestClient(app, base_url="http://127.0.0.1") as client:
        await app.state.services.runtime.database.close()
        for file in settings.home.glob("rostra.db*"):
            file.unlink()
        ready = await client.get("/health/ready")
        assert ready.status_code == 503
        assert ready.json()["code"] == "store_unavailable"


async def test_a_scorer_that_does_not_pick_is_told(
    settings: Settings, embedder: FakeEmbedder, tmp_path: Path
) -> None:
    update = {"evidence_picker": "auto", "evidence_model": tmp_path}
    app = create_app(settings.model_copy(update=update))
    async with AsyncTestClient(app, base_url="http://127.0.0.1") as client:
        scorer = (await client.get("/api/status")).json()["scorer"]
        assert "there is no evidence scorer" in scorer["failure"]
        assert "evidence_model" in scorer["hint"]
        (tmp_path / "model.safetensors").write_bytes(b"")
        scorer = (await client.get("/api/status")).json()["scorer"]
        assert scorer == {"failure": None, "hint": None}
        # Once it could not be loaded, similarity picks as long as the process runs.
        assert await asyncio.to_thread(app.state.services.runtime.scorer) is None
        scorer = (await client.get("/api/status")).json()["scorer"]
        assert "model.safetensors" in scorer["failure"]
        assert "log" in scorer["hint"]
