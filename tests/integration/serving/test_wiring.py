"""A decoder set by ROSTRA_MODEL, as the runtime, the server and the commands see it."""

import json
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from rostra.api import Pace, create_app
from rostra.cli.main import run
from rostra.core import (
    ChatMessage,
    Finish,
    GenerationOptions,
    ModelUnavailable,
    Role,
    Settings,
)
from rostra.runtime import open_runtime
from rostra.serving import EngineState, engine_config
from tests.checkpoints import make_checkpoint
from tests.fakes import FakeEmbedder, ScriptedChatModel

HELLO = [ChatMessage(Role.USER, "hello")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("model"), "llama3")


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> FakeEmbedder:
    fake = FakeEmbedder()
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: fake)
    return fake


async def settled_status(client: AsyncTestClient[Litestar]) -> dict[str, Any]:
    """The server's status once the decoder is loaded or has failed; the timeout is the limit."""
    while True:
        status: dict[str, Any] = (await client.get("/api/status")).json()
        if status["decoder"]["state"] not in ("idle", "loading"):
            return status


def with_model(settings: Settings, model: Path | str, **more: Any) -> Settings:
    update = {"model": str(model), "dtype": "float32", "kv_memory_bytes": 2_000_000} | more
    return settings.model_copy(update=update)


async def test_without_a_model_there_is_no_engine(settings: Settings) -> None:
    async with open_runtime(settings) as runtime:
        assert runtime.engine is None
        assert runtime.generator is None


async def test_a_given_generator_wins(settings: Settings, folder: Path) -> None:
    given = ScriptedChatModel([])
    async with open_runtime(with_model(settings, folder), given) as runtime:
        assert runtime.engine is None
        assert runtime.generator is given


async def test_the_decoder_loads_at_first_need_and_ends_with_the_runtime(
    settings: Settings, folder: Path
) -> None:
    async with open_runtime(with_model(settings, folder)) as runtime:
        engine, generator = runtime.engine, runtime.generator
        assert engine is not None
        assert generator is not None
        assert (engine.state, engine.pid) == (EngineState.IDLE, None)
        assert generator.name == engine.name == folder.name
        events = [e async for e in generator.stream(HELLO, GenerationOptions(max_tokens=5))]
        assert isinstance(events[-1], Finish)
        assert events[-1].usage["completion_tokens"] == 5
        assert engine.info is not None
        assert (engine.info.dtype, engine.info.architecture) == ("float32", "LlamaForCausalLM")
    assert engine.state is EngineState.CLOSED
    assert engine.pid is None


async def test_a_decoder_that_cannot_be_loaded_says_why(settings: Settings) -> None:
    async with open_runtime(with_model(settings, "./no-such-folder")) as runtime:
        assert runtime.generator is not None
        with pytest.raises(ModelUnavailable, match="no-such-folder"):
            await anext(aiter(runtime.generator.stream(HELLO, GenerationOptions())))


def test_settings_reach_the_engine(settings: Settings) -> None:
    asked = {
        "device": "cpu",
        "weights": "int8",
        "max_context": 100,
        "max_running": 3,
        "max_step_tokens": 64,
        "max_waiting": 5,
        "max_wait_seconds": 2.5,
        "prefix_cache": False,
        "batch_invariant": True,
    }
    config = engine_config(with_model(settings, "x", **asked))
    assert config.kv_memory_bytes == 2_000_000
    assert {name: getattr(config, name) for name in asked} == asked


async def test_the_server_loads_it_and_tells(
    settings: Settings, folder: Path, embedder: FakeEmbedder, tmp_path: Path
) -> None:
    app = create_app(with_model(settings, folder), pace=Pace(), static=tmp_path)
    async with AsyncTestClient(app, base_url="http://127.0.0.1") as client:
        engine = app.state.services.runtime.engine
        status = await settled_status(client)
        assert (status["mode"], status["generator"]) == ("generate", folder.name)
        decoder = status["decoder"]
        assert (decoder["state"], decoder["progress"], decoder["failure"]) == ("ready", 1.0, None)
        assert (decoder["context"], decoder["device"]) == (1024, "cpu")
        assert 0 < decoder["kv_bytes"] <= 2_000_000
        assert decoder["weight_bytes"] > 0
    assert engine.state is EngineState.CLOSED


async def test_the_server_tells_why_it_cannot(
    settings: Settings, embedder: FakeEmbedder, tmp_path: Path
) -> None:
    app = create_app(with_model(settings, tmp_path), pace=Pace(), static=tmp_path)
    async with AsyncTestClient(app, base_url="http://127.0.0.1") as client:
        decoder = (await settled_status(client))["decoder"]
        assert decoder["state"] == "failed"
        assert "config.json" in decoder["failure"]
        assert decoder["context"] is None
        # Quote mode answers all the same; the status waited for what it needs.
        assert (await client.get("/health/ready")).status_code == 200


def test_doctor_loads_it(
    settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("ROSTRA_MODEL", str(folder))
    monkeypatch.setenv("ROSTRA_DTYPE", "float32")
    assert run(["doctor", "--json"]) == 0
    found = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert found["generator"]["status"] == "ok"
    for fact in ("LlamaForCausalLM", "float32", "cpu", "1024 tokens"):
        assert fact in found["generator"]["detail"]


def test_plan_prints_what_fits(
    settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert run(["plan", str(folder), "--context", "200", "--weights", "int4", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert (planned["fits"], planned["max_context"], planned["weights"]) == (True, 200, "int4")
    assert planned["sequences"] > 0
    assert planned["kv_bytes"] == planned["blocks"] * 16 * planned["kv_bytes_per_token"]
    monkeypatch.setenv("ROSTRA_MODEL", str(folder))
    assert run(["plan"]) == 0
    assert "LlamaForCausalLM" in capsys.readouterr().out


def test_plan_says_that_it_does_not_fit(
    settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("ROSTRA_KV_MEMORY_BYTES", str(10**15))
    assert run(["plan", str(folder), "--json"]) == 1
    planned = json.loads(capsys.readouterr().out)
    assert not planned["fits"]
    assert "free" in planned["problem"]


@pytest.mark.parametrize(("model", "code"), [("./nowhere", 1), (None, 2)])
def test_plan_needs_a_model(
    settings: Settings, model: str | None, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", *([model] if model else []), "--json"]) == code
    assert "error" in json.loads(capsys.readouterr().out)
