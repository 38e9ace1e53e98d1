"""Who answers and who runs agents, as doctor, the server's status and its refusals tell it."""

from pathlib import Path

import pytest
from litestar.testing import AsyncTestClient

from rostra.api import Pace, create_app
from rostra.cli.doctor_checks import Check
from rostra.cli.doctor_models import maker_checks
from rostra.core import Settings
from rostra.runtime import READER_NAME
from tests.fakes import FakeEmbedder
from tests.readers import ship_nothing, ship_reader


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"reader": "auto"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return ship_reader(tmp_path / "shipped", monkeypatch)


@pytest.fixture(autouse=True)
def embedder(monkeypatch: pytest.MonkeyPatch) -> FakeEmbedder:
    fake = FakeEmbedder()
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: fake)
    return fake


def damage(folder: Path) -> None:
    (folder / "config.json").unlink()


async def told(settings: Settings) -> dict[str, Check]:
    return {check.name: check for check in await maker_checks(settings)}


async def test_doctor_loads_the_reader_and_says_what_it_does(
    settings: Settings, folder: Path
) -> None:
    checks = await told(settings)
    assert list(checks) == ["answers", "agents"]
    assert [check.status for check in checks.values()] == ["ok", "ok"]
    assert "quote the documents" in checks["answers"].detail
    assert "measured" in checks["answers"].detail
    assert "run with the reader" in checks["agents"].detail
    assert "context of 2048 tokens" in checks["agents"].detail
    assert "ROSTRA_MODEL" in checks["agents"].hint


@pytest.mark.parametrize("reader", ["auto", "always"])
async def test_doctor_names_a_broken_file_and_what_restores_it(
    settings: Settings, folder: Path, reader: str
) -> None:
    damage(folder)
    checks = await told(settings.model_copy(update={"reader": reader}))
    assert checks["agents"].status == "warning"
    assert "config.json is missing" in checks["agents"].detail
    assert "Restore it" in checks["agents"].hint
    assert "quote the documents" in checks["answers"].detail
    assert checks["answers"].status == ("warning" if reader == "always" else "ok")
    assert ("Restore it" in checks["answers"].hint) == (reader == "always")


async def test_doctor_says_why_nobody_runs_agents(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship_nothing(tmp_path / "none", monkeypatch)
    for reader, why in (("auto", "ships no reader"), ("never", "ROSTRA_READER=never")):
        checks = await told(settings.model_copy(update={"reader": reader}))
        assert checks["agents"].status == "ok"
        assert why in checks["agents"].detail
    chats = {"chat_models": {"far": {"url": "http://127.0.0.1:9/v1", "model": "x"}}}
    checks = await told(settings.model_copy(update=chats))
    assert "none of them is the main one" in checks["agents"].detail
    far = settings.model_copy(update=chats | {"chat_roles": {"main": "far"}})
    checks = await told(far)
    assert "run with x" in checks["agents"].detail
    assert "x writes them" in checks["answers"].detail


async def test_the_server_tells_before_and_after_somebody_needs_it(
    settings: Settings, folder: Path, tmp_path: Path
) -> None:
    damage(folder)
    app = create_app(settings, pace=Pace(), static=tmp_path)
    async with AsyncTestClient(app, base_url="http://127.0.0.1") as client:
        status = (await client.get("/api/status")).json()
        assert (status["mode"], status["generator"], status["decoder"]) == ("quote", None, None)
        assert status["agents"] == READER_NAME
        reader = status["reader"]
        assert (reader["name"], reader["answers"]) == (READER_NAME, False)
        # At start its files are looked at in the background.
        assert reader["state"] in ("idle", "failed")
        refused = await client.post("/api/runs", json={"task": "Look around."})
        assert refused.status_code == 503
        assert refused.json()["code"] == "shipped_model_broken"
        assert "Restore it" in refused.json()["hint"]
        reader = (await client.get("/api/status")).json()["reader"]
        assert reader["state"] == "failed"
        assert "config.json is missing" in reader["failure"]
        assert "Restore it" in reader["hint"]
        # It is not for chat, so nobody is offered it as a chat model.
        models = (await client.get("/v1/models")).json()["data"]
        assert READER_NAME not in {model["id"] for model in models}
        assert (await client.get("/health/ready")).status_code == 200
