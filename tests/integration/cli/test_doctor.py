"""`rostra doctor` on a sound and on a broken installation."""

import json

import pytest

from rostra.cli.main import run
from rostra.core import Settings


def test_a_sound_installation(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["ok"] is True
    found = {check["name"]: check["status"] for check in body["checks"]}
    for name in ("python", "torch", "faiss", "database", "embedding model", "data folder"):
        assert found[name] == "ok"


def test_what_is_missing_comes_with_advice(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROSTRA_EMBEDDING_MODEL", "./no-such-folder")
    monkeypatch.setenv("ROSTRA_RERANKER_MODEL", "./no-such-folder")
    monkeypatch.setenv("ROSTRA_DATABASE_URL", "postgresql://127.0.0.1:1/none")
    assert run(["doctor", "--json"]) == 1
    body = json.loads(capsys.readouterr().out)
    assert body["ok"] is False
    failed = {check["name"]: check for check in body["checks"] if check["status"] == "error"}
    assert set(failed) == {"embedding model", "reranker", "database"}
    assert all(check["detail"] for check in failed.values())


def test_settings_are_listed_without_secrets(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROSTRA_DATABASE_URL", "postgresql://someone:hush@127.0.0.1/none")
    monkeypatch.setenv("ROSTRA_CHAT_API_KEY", "hush-hush")
    monkeypatch.setenv("ROSTRA_MCP_TOKEN", "hush-hush")
    assert run(["doctor", "--settings"]) == 0
    out = capsys.readouterr().out
    assert "ROSTRA_CHUNK_TOKENS" in out
    assert "hush" not in out
