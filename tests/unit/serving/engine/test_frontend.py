"""Requests made and refused; events turned into what callers see."""

import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.core import Regex as RegexConstraint
from rostra.core import RostraError
from rostra.serving.engine.frontend import OutputStream, RequestBuilder
from rostra.serving.engine.wire import pack_error
from rostra.serving.errors import InvalidGrammar, InvalidParameter, NeverFits, PromptTooLong
from rostra.serving.request import (
    MAX_SEQUENCES,
    EngineRequest,
    FinishReason,
    Output,
    RequestEnd,
    SamplingParams,
    TokenLogprobs,
    Tokens,
    Usage,
)
from tests.fakes_serving import VOCAB_SIZE, FakeCompiler, FakeDecoder, FakeTokenizer

CONTEXT = 64


@pytest.fixture
def builder() -> RequestBuilder:
    return RequestBuilder(
        FakeTokenizer(), FakeCompiler(), vocab_size=VOCAB_SIZE, max_context=CONTEXT
    )


async def test_a_request_is_the_same_however_it_is_built(builder: RequestBuilder) -> None:
    sampling = SamplingParams(max_tokens=5, seed=7, top_k=10**30, stop=("x",))
    options: dict[str, Any] = {
        "n": 3,
        "namespace": "space",
        "tenant": "who",
        "priority": -4,
        "request_id": "one",
    }
    now = builder.build_now("hello", sampling, **options)
    assert now == await builder.build("hello", sampling, **options)
    assert now.prompt == [ord(c) for c in "hello"]
    assert (now.n, now.seed, now.eos_token_ids, now.priority) == (3, 7, (0,), -4)
    assert now.sampling.top_k == VOCAB_SIZE, "an endless integer crosses no pipe"


def test_requests_differ_in_id_and_seed(builder: RequestBuilder) -> None:
    made = [builder.build_now("hello", SamplingParams(max_tokens=5)) for _ in range(20)]
    assert len({request.id for request in made}) == 20
    assert len({request.seed for request in made}) == 20


def test_the_end_token_is_ignored_on_demand(builder: RequestBuilder) -> None:
    sampling = SamplingParams(max_tokens=5, ignore_eos=True)
    assert builder.build_now([1, 2], sampling).eos_token_ids == ()


@pytest.mark.parametrize(
    ("prompt", "sampling", "more", "field"),
    [
        ("", {}, {}, "prompt"),
        ([], {}, {}, "prompt"),
        ([1, -1], {}, {}, "prompt"),
        ([VOCAB_SIZE], {}, {}, "prompt"),
        ([10**40], {}, {}, "prompt"),
        ([True], {}, {}, "prompt"),
        (["a"], {}, {}, "prompt"),
        ("half \ud800", {}, {}, "prompt"),
        ("ok", {"stop": ("half \udfff",)}, {}, "stop"),
        ("ok", {"stop": ("",)}, {}, "stop"),
        ("ok", {"max_tokens": 0}, {}, "max_tokens"),
        ("ok", {"temperature": float("nan")}, {}, "temperature"),
        ("ok", {}, {"n": 0}, "n"),
        ("ok", {}, {"n": MAX_SEQUENCES + 1}, "n"),
        ("ok", {}, {"n": 10**9}, "n"),
        ("ok", {}, {"n": True}, "n"),
        ("ok", {}, {"priority": 2**40}, "priority"),
    ],
)
async def test_what_is_wrong_is_named(
    builder: RequestBuilder,
    prompt: Any,
    sampling: dict[str, Any],
    more: dict[str, Any],
    field: str,
) -> None:
    params = SamplingParams(**({"max_tokens": 5} | sampling))
    with pytest.raises(InvalidParameter) as now:
        builder.build_now(prompt, params, **more)
    with pytest.raises(InvalidParameter):
        await builder.build(prompt, params, **more)
    assert now.value.details["field"] == field


def test_a_prompt_that_fills_the_context_can_be_scored(builder: RequestBuilder) -> None:
    scored = SamplingParams(max_tokens=0, prompt_logprobs=0)
    assert len(builder.build_now("a" * CONTEXT, scored).prompt) == CONTEXT
    with pytest.raises(PromptTooLong):
        builder.build_now("a" * (CONTEXT + 1), scored)
    held = SamplingParams(max_tokens=0, prompt_logprobs=0, constraint=RegexConstraint("a?"))
    with pytest.raises(InvalidParameter, match="max_tokens must be at least 1"):
        builder.build_now("a", held)


def test_half_a_pair_is_told_with_its_place(builder: RequestBuilder) -> None:
    with pytest.raises(InvalidParameter, match=r"\\ud83d, at character 3"):
        builder.build_now("abc\ud83d", SamplingParams(max_tokens=5))


@pytest.mark.parametrize(
    ("length", "most", "field"),
    [
        (CONTEXT, 1, "prompt"),
        (10**6, 1, "prompt"),
        (60, 5, "max_tokens"),
        (3, 10**30, "max_tokens"),
    ],
)
async def test_prompt_and_output_must_fit_the_context(
    builder: RequestBuilder, length: int, most: int, field: str
) -> None:
    with pytest.raises(PromptTooLong) as caught:
        await builder.build("a" * length, SamplingParams(max_tokens=most))
    assert caught.value.details["field"] == field
    assert len(caught.value.message) < 300
    assert builder.build_now("a" * 60, SamplingParams(max_tokens=4)).prompt == [97] * 60


async def test_a_constraint_is_compiled(builder: RequestBuilder) -> None:
    good = SamplingParams(max_tokens=5, constraint=RegexConstraint("a+"))
    assert (await builder.build("hello", good)).grammar == b"grammar"
    wrong = SamplingParams(max_tokens=5, constraint=RegexConstraint("wrong"))
    with pytest.raises(InvalidGrammar):
        await builder.build("hello", wrong)


def request(n: int = 1, **sampling: Any) -> EngineRequest:
    return EngineRequest(id="r", prompt=[1, 2], sampling=SamplingParams(**sampling), n=n)


def tokens(text: str, index: int = 0, reason: FinishReason | None = None, **more: Any) -> Tokens:
    return Tokens("r", index, [ord(c) for c in text], finish_reason=reason, **more)


def feed(stream: OutputStream, *events: Tokens | RequestEnd) -> list[Output]:
    return [output for event in events if (output := stream.feed(event)) is not None]


def end(completion: int) -> RequestEnd:
    return RequestEnd("r", Usage(prompt_tokens=2, cached_tokens=1, completion_tokens=completion))


def test_without_stop_strings_all_is_passed_on() -> None:
    stream = OutputStream(request(), FakeDecoder)
    outputs = feed(stream, tokens("ab~"), tokens("c"), tokens("d~", reason=FinishReason.LENGTH))
    assert [output.text for output in outputs] == ["ab", "~c", "d~"], "what was held comes last"
    assert [output.finish_reason for output in outputs] == [None, None, FinishReason.LENGTH]
    assert not stream.ended
    assert feed(stream, end(6)) == []
    assert stream.ended
    assert stream.usage == Usage(2, 1, 6)


def test_a_stop_string_ends_the_sequence_at_once() -> None:
    stream = OutputStream(request(stop=("END",)), FakeDecoder)
    outputs = feed(stream, tokens("one E"), tokens("NDtwo"))
    assert "".join(output.text for output in outputs) == "one "
    assert outputs[-1].finish_reason is FinishReason.STOP
    assert outputs[-1].stop == "END"
    assert outputs[-1].token_ids == [ord(c) for c in "ND"]
    assert stream.take_aborts() == [0]
    assert stream.take_aborts() == []
    late = tokens("x"), tokens("", reason=FinishReason.ABORT)
    assert feed(stream, *late, end(11)) == []
    assert stream.usage is not None
    assert stream.usage.completion_tokens == len("one END")
    assert stream.taken == len("one END")


def test_a_sequence_that_ends_with_its_stop_string_needs_no_abort() -> None:
    stream = OutputStream(request(stop=("END",)), FakeDecoder)
    (output,) = feed(stream, tokens("oEND", reason=FinishReason.LENGTH))
    assert (output.finish_reason, output.stop) == (FinishReason.STOP, "END")
    assert stream.take_aborts() == []


def test_what_a_stop_string_held_back_comes_with_the_end() -> None:
    stream = OutputStream(request(stop=("abcd",)), FakeDecoder)
    outputs = feed(stream, tokens("xabc"), tokens("", reason=FinishReason.STOP, stop=9))
    assert "".join(output.text for output in outputs) == "xabc"
    assert outputs[-1].stop == 9


def test_a_held_character_may_complete_a_stop_string() -> None:
    stream = OutputStream(request(stop=("a~",)), FakeDecoder)
    outputs = feed(stream, tokens("xa~", reason=FinishReason.LENGTH))
    assert outputs[0].text == "x"
    assert outputs[0].stop == "a~"


def test_nothing_stops_before_min_tokens() -> None:
    stream = OutputStream(request(stop=("ab",), min_tokens=4), FakeDecoder)
    outputs = feed(stream, tokens("a"), tokens("b"), tokens("a"), tokens("b"))
    # The fourth token may end the text, but its stop string began before.
    assert "".join(output.text for output in outputs) == "abab"
    outputs = feed(stream, tokens("abc"))
    assert outputs[0].text == ""
    assert outputs[0].stop == "ab"
    assert stream.taken == 6


def test_sequences_are_told_apart() -> None:
    stream = OutputStream(request(n=2, stop=("E",)), FakeDecoder)
    outputs = feed(stream, tokens("aE", 0), tokens("b", 1), tokens("c", 0), tokens("dE", 1))
    assert [(output.index, output.text) for output in outputs] == [(0, "a"), (1, "b"), (1, "d")]
    assert stream.take_aborts() == [0, 1]


def test_logprobs_are_cut_with_their_tokens() -> None:
    stream = OutputStream(request(stop=("b",), logprobs=0), FakeDecoder)
    logprobs = [TokenLogprobs(ord(c), -1.0, []) for c in "abc"]
    (output,) = feed(stream, tokens("abc", logprobs=logprobs))
    assert output.logprobs == logprobs[:2]
    assert len(output.token_ids) == 2


def test_an_error_arrives_typed() -> None:
    stream = OutputStream(request(), FakeDecoder)
    refusal = NeverFits("too large", hint="Ask for less.", blocks=4)
    assert feed(stream, RequestEnd("r", Usage(), pack_error(refusal))) == []
    assert isinstance(stream.error, NeverFits)
    assert stream.error.details == {"blocks": 4}
    stream.fail(RostraError("later"))
    assert isinstance(stream.error, NeverFits), "the first end is the end"


def test_many_large_stop_strings_for_many_sequences_are_built_once() -> None:
    stops = tuple(f"{number}" + "y" * 1000 for number in range(64))
    built = request(n=MAX_SEQUENCES, stop=stops)
    stream = OutputStream(built, FakeDecoder)
    outputs = feed(stream, *(tokens("3" + "y" * 500, index) for index in range(MAX_SEQUENCES)))
    assert all(output.text == "" for output in outputs)
    (output,) = feed(stream, tokens("y" * 500, 5))
    assert output.stop == stops[3]
    (output,) = feed(stream, tokens("z", 6))
    assert output.text == "3" + "y" * 500 + "z"


@given(
    text=st.text("ab~c", max_size=60),
    stops=st.lists(st.text("ab~c", min_size=1, max_size=4), max_size=3),
    earliest=st.integers(0, 12),
    seed=st.integers(0, 2**32),
)
def test_how_tokens_are_cut_into_events_changes_nothing(
    text: str, stops: list[str], earliest: int, seed: int
) -> None:
    """The oracle looks for the first stop string that completes at or after `min_tokens`."""
    expected, stop, taken = _expected(text, stops, earliest)
    cuts = random.Random(seed)
    stream = OutputStream(request(stop=tuple(stops), min_tokens=earliest), FakeDecoder)
    outputs: list[Output] = []
    position = 0
    while position < len(text):
        size = cuts.randint(1, 5)
        last = position + size >= len(text)
        reason = FinishReason.LENGTH if last else None
        outputs += feed(stream, tokens(text[position : position + size], reason=reason))
        position += size
    if not text:
        outputs += feed(stream, tokens("", reason=FinishReason.LENGTH))
    assert "".join(output.text for output in outputs) == expected
    assert outputs[-1].stop == stop
    assert [output.finish_reason is not None for output in outputs] == [False] * (
        len(outputs) - 1
    ) + [True]
    assert sum(len(output.token_ids) for output in outputs) == taken
    feed(stream, end(len(text)))
    assert stream.usage is not None
    assert stream.usage.completion_tokens == taken


def _expected(text: str, stops: list[str], earliest: int) -> tuple[str, str | None, int]:
    """Text, stop string and tokens used. Text decoded before `min_tokens` cannot be part of one."""
    # A `~` is decoded together with the token after it.
    last = len(text) - 1
    decoded_by = [min(i + (text[i] == "~"), last) for i in range(len(text))]
    free = sum(1 for token in decoded_by if token + 1 < earliest)
    best: tuple[int, int, str] | None = None
    for stop in stops:
        for found in re.finditer(f"(?={re.escape(stop)})", text[free:]):
            complete = free + found.start() + len(stop)
            if best is None or (complete, -len(stop)) < best[:2]:
                best = complete, -len(stop), stop
    if best is None:
        return text, None, len(text)
    complete, _, stop = best
    return text[: complete - len(stop)], stop, decoded_by[complete - 1] + 1
