"""`rostra eval set`: made, checked and told, for people and for programs."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from rostra.cli.main import run
from rostra.core import Settings
from rostra.runtime import open_runtime
from rostra.store import (
    NewTurn,
    RatingValue,
    append_turns,
    create_chat,
    ensure_collection,
    put_rating,
)
from tests.fakes import FakeEmbedder
from tests.integration.pipeline.conftest import Library

TEXT = (
    "The harbour pilot boards every ship that arrives. In winter the harbour is closed by ice for "
    "many weeks, and the pilot lives in the tower of the old customs house on the island."
)


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> FakeEmbedder:
    fake = FakeEmbedder()
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: fake)
    return fake


@pytest.fixture
def home(settings: Settings, embedder: FakeEmbedder) -> Settings:
    """A collection `docs`, and a chat with an answer rated down."""

    async def fill() -> None:
        async with open_runtime(settings) as runtime:
            library = Library(runtime.database, settings, embedder)
            await library.put("ships.md", TEXT, collection="docs")
            async with runtime.database.write() as session:
                collection = await ensure_collection(session, "docs", embedder.space)
                chat = await create_chat(session, collection.id)
                turns = [NewTurn("user", "Who boards?"), NewTurn("assistant", "Ann", "quote", True)]
                answer = (await append_turns(session, chat, turns))[1]
                await put_rating(session, chat, answer, RatingValue.DOWN, "the pilot \x1b[31m")

    asyncio.run(fill())
    return settings


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(capsys.readouterr().out)
    return value


def test_rated_questions_become_a_set_that_is_checked(
    home: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "down.jsonl")
    command = ["eval", "set", "from-chats", "--out", out, "--rated", "down"]
    assert run([*command, "--since", "2020-01-01", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["down"] == 1
    assert "what people wrote" in told.err
    assert run([*command, "--json"]) == 2
    assert printed(capsys)["error"]["code"] == "set_exists"
    assert run([*command, "--replace"]) == 0
    assert "down.jsonl" in capsys.readouterr().out
    assert run(["eval", "set", "check", out, "--json"]) == 0
    assert printed(capsys)["sets"][0]["rating"] == {"down": 1}
    assert (
        run(["eval", "set", "from-chats", "--out", out, "--since", "2999-01-01", "--replace"]) == 2
    )
    assert "no chat has such a question" in capsys.readouterr().err


def test_check_says_what_is_wrong_and_exits_with_1(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"question": "Who?", "difficulty": "\\u001b[31mhard"}\n{"question": 3}\n'
    )
    (tmp_path / "b.csv").write_text("question\n")
    assert run(["eval", "set", "check", str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "1: a record without a question (a.jsonl, line 2)" in told
    assert "cannot be used" in told
    assert "\x1b" not in told
    assert run(["eval", "set", "check", str(tmp_path / "nothing"), "--json"]) == 2
    assert printed(capsys)["error"]["code"] == "invalid_dataset"


def test_making_needs_a_model_and_says_so(
    home: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "made.jsonl")
    command = ["eval", "set", "synthesize", "--collection", "docs", "--n", "1", "--out", out]
    assert run([*command, "--json"]) == 1
    error = printed(capsys)["error"]
    assert error["code"] == "no_model"
    assert "ROSTRA_MODEL" in error["hint"]
    assert run([*command, "--two-passages", "0.9", "--json"]) == 2
    assert printed(capsys)["error"]["code"] == "invalid_request"


def test_questions_are_made_by_the_model_that_is_set(
    home: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = {
        "question": "Who goes aboard each vessel that comes in?",
        "answer": "The harbour pilot",
        "quotes": [{"passage": 1, "quote": "The harbour pilot boards every ship"}],
    }
    script = tmp_path / "script.jsonl"
    script.write_text('"nonsense"\n' + json.dumps(json.dumps(said)) + "\n")
    monkeypatch.setenv("ROSTRA_CHAT_SCRIPT", str(script))
    out = tmp_path / "made.jsonl"
    shares = ["--unanswerable", "0", "--two-passages", "0", "--paraphrase", "0"]
    command = ["eval", "set", "synthesize", "-c", "docs", "--n", "1", "--out", str(out), *shares]
    assert run([*command, "--parallel", "1", "--json"]) == 0
    report = printed(capsys)
    assert (report["questions"], report["dropped"]) == (1, {"no JSON object": 1})
    span = json.loads(out.read_text())["spans"][0]
    assert (
        TEXT[span["start"] : span["end"]] == span["quote"] == "The harbour pilot boards every ship"
    )
    assert run(command) == 0
    assert "1 of 1, 1 made before" in capsys.readouterr().out
