"""The decoder of this machine as the cheaper model of a cascade: a tiny one with random weights."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from rostra.core import (
    ChatMessage,
    Finish,
    GenerationOptions,
    Regex,
    Role,
    Settings,
    ToolSpec,
)
from rostra.models import Cascade, ScriptedModel, complete, confident
from rostra.runtime import open_runtime
from rostra.serving import Engine, EngineConfig, LocalChatModel, SamplingParams
from rostra.serving.engine.chat import chat_prompt
from tests.checkpoints import make_checkpoint

ASKED = [ChatMessage(Role.USER, "How heavy is a litre of water?")]
OPTIONS = GenerationOptions(max_tokens=12, temperature=1.0, seed=3)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder: Path = make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny", "llama3")
    with Engine(folder, EngineConfig(dtype="float32", kv_memory_bytes=8_000_000)) as made:
        yield made


async def test_confidence_is_the_mean_of_what_the_engine_tells(engine: Engine) -> None:
    prompt = chat_prompt(engine.front, ASKED)
    sampling = SamplingParams(max_tokens=12, temperature=1.0, seed=3, logprobs=0)
    ((sequence,),) = [one.sequences for one in engine.generate(prompt, sampling)]
    logprobs = [one.logprob for one in sequence.logprobs or ()]
    answer = await complete(LocalChatModel(engine, scored=True), ASKED, OPTIONS)
    assert answer.text == sequence.text
    assert answer.confidence is not None
    assert math.isclose(answer.confidence, math.exp(math.fsum(logprobs) / len(logprobs)))
    assert 0 < answer.confidence < 0.5  # Random weights find nothing likely.


async def test_an_answer_is_told_no_confidence_unasked(engine: Engine) -> None:
    *_, end = [event async for event in LocalChatModel(engine).stream(ASKED, OPTIONS)]
    assert isinstance(end, Finish)
    assert end.confidence is None


async def test_answers_of_a_grammar_and_calls_are_scored_too(engine: Engine) -> None:
    decoder = LocalChatModel(engine, scored=True)
    held = GenerationOptions(max_tokens=12, constraint=Regex("(yes|no), surely"))
    answer = await complete(decoder, ASKED, held)
    assert answer.text in ("yes, surely", "no, surely")
    assert answer.confidence is not None
    assert 0 < answer.confidence <= 1
    tool = ToolSpec("clock", "Tells the time.", {"type": "object", "properties": {}})
    called = await complete(decoder, ASKED, GenerationOptions(max_tokens=12, tools=(tool,)))
    assert called.confidence is not None


@pytest.mark.parametrize(("least", "sure"), [(0.0, True), (0.999999, False)])
async def test_the_endpoint_is_asked_where_the_decoder_is_unsure(
    engine: Engine, least: float, sure: bool
) -> None:
    endpoint = ScriptedModel(["One kilogram."])
    cascade = Cascade([LocalChatModel(engine, scored=True), endpoint], confident(least))
    # Two forms, neither forced: the answer is whole, and the weights have to choose.
    options = GenerationOptions(max_tokens=12, constraint=Regex("[ab]{3}"))
    answer = await complete(cascade, ASKED, options)
    assert bool(endpoint.seen) is not sure
    assert (answer.text == "One kilogram.") is not sure


async def test_settings_put_the_decoder_before_the_endpoints(settings: Settings) -> None:
    table = {"url": "http://127.0.0.1:9/v1", "model": "far"}
    given = settings.model_copy(
        update={
            "model": "/no/such/decoder",
            "chat_models": {"far": table},
            "chat_route": "cascade",
        }
    )
    async with open_runtime(given) as runtime:
        assert runtime.engine is not None
        assert runtime.generator is not None
        assert runtime.generator.name == f"{runtime.engine.name} > far"
    async with open_runtime(given.model_copy(update={"model": ""})) as runtime:
        assert runtime.engine is None
        assert runtime.generator is not None
        assert runtime.generator.name == "far"
