"""`rostra doctor` on a sound and on a broken installation."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rostra.cli import doctor_checks
from rostra.cli.main import run
from rostra.core import Settings
from rostra.shipped import ShippedModel, ShippedModelBroken


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


def test_a_dense_index_that_cannot_be_made_is_told_of(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for kind, status in (("gpu_flat", "warning"), ("two_stage", "ok")):
        monkeypatch.setenv("ROSTRA_DENSE_INDEX", kind)
        assert run(["doctor", "--json"]) == 0
        checks = json.loads(capsys.readouterr().out)["checks"]
        (check,) = (check for check in checks if check["name"] == "dense index")
        assert (check["status"], kind in check["detail"]) == (status, True)


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


@contextmanager
def listing(*models: str) -> Iterator[str]:
    """An endpoint that lists models and does nothing else; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            there = self.path == "/v1/models" and self.headers["Authorization"] == "Bearer hush"
            body = json.dumps({"data": [{"id": name} for name in models]}).encode()
            self.send_response(200 if there else 404)
            self.end_headers()
            self.wfile.write(body if there else b"")

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_endpoints_and_servers_are_asked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with listing("here") as url:
        models = {
            name: {"url": f"{url}{path}", "model": name, "key_env": "SOME_KEY"}
            for name, path in (("here", "/v1"), ("missing", "/v1"), ("astray", ""))
        }
        models["gone"] = {"url": "http://127.0.0.1:1/v1", "model": "gone"}
        servers = {"broken": {"command": "/no/such/program"}}
        monkeypatch.setenv("SOME_KEY", "hush")
        monkeypatch.setenv("ROSTRA_CHAT_MODELS", json.dumps(models))
        monkeypatch.setenv("ROSTRA_MCP", json.dumps({"servers": servers}))
        assert run(["doctor", "--json"]) == 1
    out = capsys.readouterr().out
    found = {check["name"]: check for check in json.loads(out)["checks"]}
    statuses = {name: found[f"chat model {name}"]["status"] for name in models}
    assert statuses == {"here": "ok", "missing": "warning", "astray": "warning", "gone": "error"}
    assert found["mcp calculator"]["status"] == "ok"
    assert "5 tools" in found["mcp calculator"]["detail"]
    assert found["mcp broken"]["status"] == "warning"
    assert "hush" not in out


def test_a_role_without_a_model_is_said(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROSTRA_CHAT_ROLES", json.dumps({"planner": "huge"}))
    assert run(["doctor", "--json"]) == 1
    checks = json.loads(capsys.readouterr().out)["checks"]
    (said,) = [check["detail"] for check in checks if check["name"] == "chat models"]
    assert "chat_roles.planner" in said


def test_models_that_ship_are_listed_and_a_broken_one_comes_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ShippedModelBroken.at(tmp_path / "model.safetensors", "is missing")
    models = [ShippedModel("evidence", 21_300_000, None), ShippedModel("reader", 2, broken)]
    monkeypatch.setattr(doctor_checks, "check_shipped", lambda: models)
    whole, missing = doctor_checks.shipped_checks()
    assert (whole.name, whole.status) == ("shipped evidence", "ok")
    assert "21.3 MB" in whole.detail
    assert (missing.name, missing.status) == ("shipped reader", "warning")
    assert "model.safetensors is missing" in missing.detail
    assert missing.hint == broken.hint

    def damaged() -> list[ShippedModel]:
        raise ShippedModelBroken.at(tmp_path / "manifest.json", "is missing")

    monkeypatch.setattr(doctor_checks, "check_shipped", damaged)
    (said,) = doctor_checks.shipped_checks()
    assert (said.status, "manifest.json is missing" in said.detail) == ("error", True)
    assert "pip install --force-reinstall" in said.hint
