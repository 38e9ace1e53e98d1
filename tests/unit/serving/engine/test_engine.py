"""The engine in one's own process, over a scripted core."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rostra.core import ModelUnavailable
from rostra.serving.config import EngineConfig
from rostra.serving.engine.engine import Engine
from rostra.serving.errors import BrokenCheckpoint, EngineDied, InvalidParameter, NeverFits
from rostra.serving.request import FinishReason, SamplingParams
from tests.fakes_serving import RAISE, fake_front

CORE = "tests.fakes_serving:FakeCore"


def make(core: str = CORE, config: EngineConfig | None = None) -> Engine:
    return Engine("somewhere/fake", config, core=core, front=fake_front, locate=Path)


@pytest.fixture
def engine() -> Iterator[Engine]:
    with make() as made:
        yield made


def test_one_prompt(engine: Engine) -> None:
    (completion,) = engine.generate("abc", SamplingParams(max_tokens=5, logprobs=0))
    assert engine.name == "fake"
    assert completion.text == "abcab"
    assert completion.token_ids == [ord(c) for c in "abcab"]
    assert completion.finish_reason is FinishReason.LENGTH
    assert completion.usage.completion_tokens == 5
    assert completion.sequences[0].logprobs is not None
    assert len(completion.sequences[0].logprobs) == 5


def test_many_prompts_come_back_in_order() -> None:
    config = EngineConfig(max_running=3, max_waiting=2)
    prompts = [f"prompt {number} " for number in range(40)]
    params = [SamplingParams(max_tokens=1 + number % 13) for number in range(40)]
    with make(config=config) as engine:
        found = engine.generate(prompts, params, n=2)
        assert engine.stats().running == 0
    for prompt, one, completion in zip(prompts, params, found, strict=True):
        expected = (prompt * 3)[: one.max_tokens]
        assert [sequence.text for sequence in completion.sequences] == [expected] * 2
        assert completion.usage.completion_tokens == 2 * one.max_tokens


def test_prompts_as_token_ids(engine: Engine) -> None:
    assert [c.text for c in engine.generate([[97, 98], [99]], SamplingParams(max_tokens=3))] == [
        "aba",
        "ccc",
    ]
    assert [c.text for c in engine.generate([97, 98], SamplingParams(max_tokens=3))] == ["aba"]
    assert engine.generate([]) == []


def test_parameters_for_each_prompt_are_as_many(engine: Engine) -> None:
    with pytest.raises(InvalidParameter):
        engine.generate(["a", "b"], [SamplingParams()])


def test_a_stop_string_ends_a_sequence_in_the_core() -> None:
    with make("tests.fakes_serving:bursting_core") as engine:
        (completion,) = engine.generate("one two ", SamplingParams(max_tokens=1000, stop=("two",)))
        assert (completion.text, completion.sequences[0].stop) == ("one ", "two")
        assert completion.usage.completion_tokens == len("one two")
        assert engine.stats().generation_tokens < 30


def test_a_refused_prompt_ends_the_call_and_leaves_nothing_behind(engine: Engine) -> None:
    with pytest.raises(NeverFits):
        engine.generate(["fine", "refuse"], SamplingParams(max_tokens=5))
    assert engine.stats().running == 0
    assert engine.generate("fine", SamplingParams(max_tokens=4))[0].text == "fine"


def test_a_stream(engine: Engine) -> None:
    outputs = list(engine.stream("abc", SamplingParams(max_tokens=7), n=2))
    for index in range(2):
        mine = [output for output in outputs if output.index == index]
        assert "".join(output.text for output in mine) == "abcabca"
        assert [output.finish_reason for output in mine][-1] is FinishReason.LENGTH
    assert [output.usage is not None for output in outputs].count(True) == 1
    assert outputs[-1].usage is not None
    assert outputs[-1].usage.completion_tokens == 14


def test_a_stream_that_is_left_is_aborted(engine: Engine) -> None:
    stream = engine.stream("abc", SamplingParams(max_tokens=1000))
    next(stream)
    assert engine.stats().running == 1
    stream.close()
    assert engine.generate("x", SamplingParams(max_tokens=1))[0].text == "x"
    assert engine.stats().running == 0


def test_two_streams_are_batched(engine: Engine) -> None:
    first = engine.stream("abc", SamplingParams(max_tokens=50))
    second = engine.stream("xyz", SamplingParams(max_tokens=50))
    next(first), next(second)
    texts = ["".join(output.text for output in stream) for stream in (first, second)]
    assert texts == [("abc" * 17)[1:50], ("xyz" * 17)[1:50]]
    assert engine.stats().steps <= 52, "while one was read the other went on"


def test_threads_share_the_loop(engine: Engine) -> None:
    barrier = threading.Barrier(6)

    def ask(number: int) -> str:
        barrier.wait()
        prompts = [f"{number}.{which} " for which in range(5)]
        found = engine.generate(prompts, SamplingParams(max_tokens=20))
        assert [c.text for c in found] == [(prompt * 5)[:20] for prompt in prompts]
        return found[0].text

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(ask, range(6)))) == 6
    assert engine.stats().running == 0


def test_a_failing_loop_ends_everybody_and_the_engine(engine: Engine) -> None:
    other = engine.stream("fine", SamplingParams(max_tokens=1000))
    next(other)
    with pytest.raises(EngineDied, match="scripted"):
        engine.generate("ab" + RAISE, SamplingParams(max_tokens=9))
    with pytest.raises(EngineDied):
        list(other)
    with pytest.raises(EngineDied):
        engine.generate("fine", SamplingParams(max_tokens=9))


def test_a_closed_engine_says_so(engine: Engine) -> None:
    engine.close()
    engine.close()
    with pytest.raises(ModelUnavailable, match="closed"):
        engine.generate("fine", SamplingParams(max_tokens=9))


def test_what_cannot_be_loaded_says_why() -> None:
    with pytest.raises(BrokenCheckpoint, match="cut short"):
        make("tests.fakes_serving:broken_core")


def test_a_chat(engine: Engine) -> None:
    completion = engine.chat([{"role": "user", "content": "hi"}], SamplingParams(max_tokens=8))
    assert completion.text == "user: hi"
