"""The reader that ships, here a tiny random one: it runs agents where no model is set."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from rostra.agents import (
    CallContext,
    Decided,
    Record,
    RunEnded,
    RunRequest,
    RunStarted,
    Status,
    ToolStarted,
    read_log,
)
from rostra.agents.strategies.steps import step_constraint
from rostra.answer import AnswerMode, Question
from rostra.core import InvalidRequest, ModelUnavailable, Settings
from rostra.ingest import ParsedDocument, ReadySource
from rostra.models import ScriptedModel
from rostra.runtime import READER_NAME, READER_TOOLS, Maker, Reader, Runtime, open_runtime
from rostra.runtime.reader import READER_STEPS, READER_TOKENS, reader_config
from rostra.serving import EngineState, read_config
from rostra.shipped import ShippedModelBroken
from tests.fakes import FakeEmbedder, ScriptedChatModel
from tests.readers import CONTEXT, ship_nothing, ship_reader

# Of few tokens for a reader that knows them, of many for any other.
PAGE = "Вакуум очищает мёртвые строки таблицы, и место их снова свободно. " * 60

# A server takes a while to start.
NO_SERVERS = {"servers": {"calculator": {"command": "none", "enabled": False}}}


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("ROSTRA_READER", "auto")
    return settings.model_copy(update={"reader": "auto"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return ship_reader(tmp_path / "shipped", monkeypatch)


@pytest.fixture(autouse=True)
def embedder(monkeypatch: pytest.MonkeyPatch) -> FakeEmbedder:
    fake = FakeEmbedder()
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: fake)
    return fake


async def with_pages(runtime: Runtime) -> None:
    pages = [ParsedDocument(f"{at}. {PAGE}", f"Page {at}", "text/plain", (), {}) for at in range(2)]
    sources = [ReadySource(f"page-{at}", page) for at, page in enumerate(pages)]
    await runtime.ingester.ingest(sources, "default")


async def run(runtime: Runtime, task: str) -> tuple[UUID, list[Record]]:
    request = RunRequest(task=task, budget=runtime.workshop.budget)
    run_id = await runtime.agents.start(request)
    await runtime.agents.wait(run_id)
    return run_id, await read_log(runtime.database, run_id)


def of(kind: type[Any], records: list[Record]) -> list[Any]:
    return [record.event for record in records if isinstance(record.event, kind)]


async def test_nothing_is_loaded_before_somebody_asks_it(settings: Settings, folder: Path) -> None:
    async with open_runtime(settings) as runtime:
        assert (runtime.choice.answers, runtime.choice.agents) == (Maker.QUOTES, Maker.READER)
        assert (runtime.generator, runtime.writer, runtime.engine) == (None, None, None)
        assert isinstance(runtime.runner, Reader)
        await with_pages(runtime)
        answer = await runtime.answerer.answer(Question("Вакуум очищает строки?"))
        assert answer.mode is AnswerMode.QUOTE
        assert runtime.reader is not None
        assert runtime.reader.engine is None


@pytest.mark.timeout(400)  # of a busy machine; it loads a decoder and a compiler of grammars
async def test_runs_with_it_end_and_no_prompt_is_too_long(settings: Settings, folder: Path) -> None:
    few = settings.model_copy(update={"mcp": NO_SERVERS})
    async with open_runtime(few) as runtime:
        await with_pages(runtime)
        run_id, records = await run(runtime, "Вакуум?")
        assert of(RunStarted, records)[0].model == READER_NAME
        end = records[-1].event
        assert isinstance(end, RunEnded)
        assert (end.status is Status.FAILED, end.error) == (False, None)
        decided = of(Decided, records)
        assert [one.error for one in decided] == [None] * len(decided)
        assert len(decided) <= READER_STEPS
        assert len(of(ToolStarted, records)) < READER_STEPS
        called = {one.call.tool for one in of(ToolStarted, records)}
        assert called <= set(READER_TOOLS)
        replayed = await runtime.agents.replay(run_id)
        assert replayed.difference is None
        engine = runtime.reader.engine if runtime.reader is not None else None
        assert engine is not None
        assert engine.state is EngineState.READY
        assert engine.info is not None
        assert engine.info.max_context == CONTEXT
        assert engine.info.kv_bytes < 64 << 20
    assert engine.state is EngineState.CLOSED


async def test_results_are_cut_to_its_context_and_its_calculator_computes(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship_reader(tmp_path / "shipped", monkeypatch, max_context=1536)
    async with open_runtime(settings) as runtime:
        await with_pages(runtime)
        context = CallContext(run="r", call="c")
        for task, expression, said in (
            ("What is 6 times 7?", "6 * 7", "6 * 7 = 42"),
            ("2 ^ 0.5", "2 ** 0.5", "2 ** 0.5 ≈ 1.4142135623731"),
            ("6 / 0", "6 / 0", "division by zero"),
        ):
            request = RunRequest(task=task, budget=runtime.workshop.budget)
            async with runtime.workshop.open(request) as given:
                assert given.limits.observation == 2 * (1536 - READER_TOKENS)
                assert [tool.name for tool in given.tools.tools] == ["calculate"]
                result = await given.tools.call("calculate", {"expression": expression}, context)
                assert said in result.text
                # As the grammar of a step takes it over.
                schema = step_constraint(given.tools.tools, []).schema
                assert json.dumps({"const": expression}) in schema
        for task, asked, known in (
            ("What is 6/7?", ["search"], ["search"]),
            ("What is 6/7?", ["search", "calculator"], list(READER_TOOLS)),
            ("What is 6/7?", None, list(READER_TOOLS)),
            ("What is row 42?", None, ["search"]),
            ("What is row 6 * 7?", None, ["search"]),
            ("What is six times seven?", None, ["search"]),
            ("What is 6 * 7?", None, ["calculate"]),
            ("What is 6 * 7?", ["search"], ["search"]),
        ):
            request = RunRequest(task=task, tools=asked, budget=runtime.workshop.budget)
            async with runtime.workshop.open(request) as given:
                assert [tool.name for tool in given.tools.tools] == known
                if "search" in known:
                    schema = step_constraint(given.tools.tools, []).schema
                    assert json.dumps({"const": task}) in schema


async def test_its_search_gives_what_an_answer_would_quote(
    settings: Settings, folder: Path
) -> None:
    own = settings.model_copy(update={"mcp": NO_SERVERS})
    asked = "Вакуум очищает строки?"
    async with open_runtime(own) as runtime:
        request = RunRequest(task=asked, budget=runtime.workshop.budget)
        context = CallContext(run="r", call="c")
        async with runtime.workshop.open(request) as given:
            await runtime.ingester.ingest([], "default")
            nothing = await given.tools.call("search", {"query": asked}, context)
            assert (nothing.documents, nothing.citable) == ((), False)
            await with_pages(runtime)
            found = await given.tools.call("search", {"query": asked}, context)
        answer = await runtime.answerer.answer(Question(asked))
        assert [(one.document_id, one.start, one.end) for one in found.documents] == [
            (str(one.document_id), one.start, one.end) for one in answer.citations
        ]
        quoted = [found.text[one.at : one.at + one.end - one.start] for one in found.documents]
        assert quoted == [one.quote for one in answer.citations] != []
        wide = RunRequest(task=asked, tools=["search"], budget=runtime.workshop.budget)
    # Other models choose by themselves.
    async with (
        open_runtime(own, ScriptedChatModel([])) as runtime,
        runtime.workshop.open(wide) as given,
    ):
        passages = await given.tools.call("search", {"query": asked, "k": 1}, context)
    assert len(passages.documents) == 1
    assert passages.documents[0].end - passages.documents[0].start > len(quoted[0])


async def test_a_model_that_is_given_or_set_wins(settings: Settings, folder: Path) -> None:
    given = ScriptedChatModel([])
    async with open_runtime(settings, given) as runtime:
        assert (runtime.reader, runtime.writer, runtime.runner) == (None, given, given)
    always = settings.model_copy(
        update={"reader": "always", "chat_url": "http://127.0.0.1:9/v1", "chat_model": "x"}
    )
    async with open_runtime(always) as runtime:
        assert runtime.reader is None
        assert runtime.writer is runtime.runner is runtime.generator is not None


async def test_another_models_run_is_replayed_as_it_was(settings: Settings, folder: Path) -> None:
    search = {"tool": "search", "args": {"query": "Вакуум"}}
    steps = [
        {"thought": "look", "action": [search] * 4},
        {"thought": "look", "action": [search]},
        {"thought": "so", "final": {"claims": []}},
    ]
    script = [json.dumps(step, ensure_ascii=False) for step in steps]
    own = settings.model_copy(update={"mcp": NO_SERVERS})
    async with open_runtime(own, ScriptedModel(script)) as runtime:
        await with_pages(runtime)
        run_id, _ = await run(runtime, "Вакуум?")
    async with open_runtime(own) as runtime:
        assert (await runtime.agents.replay(run_id)).difference is None
        assert runtime.reader is not None
        assert runtime.reader.engine is None
        with pytest.raises(ModelUnavailable, match="none is set"):
            await runtime.agents.replay(run_id, ask_models=True)


async def test_never_and_nothing_shipped_leave_agents_without_a_model(
    settings: Settings, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = settings.model_copy(update={"reader": "never"})
    async with open_runtime(never) as runtime:
        assert (runtime.reader, runtime.runner) == (None, None)
        with pytest.raises(ModelUnavailable, match="none is set"):
            await runtime.agents.start(RunRequest(task="x"))
    ship_nothing(tmp_path / "none", monkeypatch)
    always = settings.model_copy(update={"reader": "always"})
    async with open_runtime(always) as runtime:
        assert (runtime.reader, runtime.writer) == (None, None)
        assert "ships no reader" in runtime.choice.why_agents


async def test_what_it_was_not_trained_for_is_refused(settings: Settings, folder: Path) -> None:
    async with open_runtime(settings) as runtime:
        for more in (
            {"strategy": "plan"},
            {"options": {"native": True}},
            {"options": {"samples": 2}},
        ):
            with pytest.raises(InvalidRequest, match="not trained for"):
                await runtime.agents.start(
                    RunRequest(task="x", budget=runtime.workshop.budget, **more)  # type: ignore[arg-type]
                )


def damage(folder: Path) -> Path:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    return weights


async def test_a_broken_file_refuses_runs_and_says_what_restores_it(
    settings: Settings, folder: Path
) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    weights = damage(folder)
    async with open_runtime(settings) as runtime:
        request = RunRequest(task="x", budget=runtime.workshop.budget)
        with pytest.raises(ShippedModelBroken, match="truncated") as told:
            await runtime.agents.start(request)
        assert "`rostra ask` quotes the documents without it. Restore it" in (told.value.hint or "")
        assert told.value.details["file"] == str(weights)
        assert runtime.reader is not None
        assert isinstance(runtime.reader.failure, ShippedModelBroken)
        # Once it is restored the same process takes it.
        weights.write_bytes(whole)
        assert runtime.reader.check() == folder
        assert runtime.reader.failure is None


@pytest.mark.parametrize("what", ["manifest", "weights"])
async def test_answers_fall_back_to_quotes_when_it_is_broken(
    settings: Settings, folder: Path, what: str
) -> None:
    if what == "weights":
        damage(folder)
    else:
        (folder.parent.parent / "manifest.json").write_text("{")
    always = settings.model_copy(update={"reader": "always"})
    async with open_runtime(always) as runtime:
        assert runtime.choice.answers is Maker.READER
        await with_pages(runtime)
        answer = await runtime.answerer.answer(Question("Вакуум очищает строки?"))
        assert answer.mode is AnswerMode.QUOTE
        assert runtime.reader is not None
        assert isinstance(runtime.reader.failure, ShippedModelBroken)


async def test_where_it_is_to_answer_it_points(settings: Settings, folder: Path) -> None:
    for style, used in (("write", "point"), ("copy", "copy")):
        update = {"reader": "always", "answer_style": style}
        async with open_runtime(settings.model_copy(update=update)) as runtime:
            assert runtime.reader is not None
            assert runtime.writer is runtime.runner is runtime.reader
            assert runtime.generator is None
            assert runtime.answer_settings.answer_style == used


def test_it_is_set_up_small_whatever_is_set_for_others(settings: Settings, folder: Path) -> None:
    theirs = settings.model_copy(
        update={"weights": "int4", "max_context": 100, "kv_memory_bytes": 1, "max_running": 3}
    )
    config = reader_config(theirs, folder)
    model = read_config(folder)
    a_token = 2 * model.layers * model.kv_heads * model.head_dim * 4
    assert (config.weights, config.max_context, config.max_running) == ("none", None, 3)
    assert config.kv_memory_bytes == 2 * CONTEXT * a_token
