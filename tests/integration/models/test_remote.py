"""A remote model against a real HTTP server that does what servers do."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from rostra.core import (
    AnyJson,
    ChatEvent,
    ChatMessage,
    ChatModel,
    Choice,
    ConfigError,
    Delta,
    Ebnf,
    Evidence,
    Finish,
    FinishReason,
    GenerationOptions,
    InvalidRequest,
    JsonSchema,
    ModelUnavailable,
    Overloaded,
    Quotes,
    Regex,
    Role,
    RostraError,
    StructuralTag,
    ToolCall,
    ToolSpec,
)
from rostra.models import (
    Backoff,
    Breaker,
    BreakerOpen,
    OpenAIModel,
    Prices,
    RemoteOverloaded,
    RemoteRefused,
    RemoteUnavailable,
    UnsupportedConstraint,
    complete,
    confident,
)
from tests.integration.models.conftest import (
    DONE,
    USAGE,
    Answer,
    Endpoint,
    Send,
    chunk,
    failed,
    said,
)
from tests.ports import refusing_port

HELLO = [ChatMessage(Role.USER, "hello")]
KEY = "sk-secret-key"
Make = Callable[..., OpenAIModel]


class Pauses:
    """Waits that were asked for; none takes any time."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
async def make(endpoint: Endpoint, pauses: Pauses) -> AsyncIterator[Make]:
    """Makes models of the endpoint that wait for nothing, and closes them."""
    made: list[OpenAIModel] = []

    def one(**more: Any) -> OpenAIModel:
        given = {
            "api_key": KEY,
            "backoff": Backoff(first=0.5, most=20, draw=lambda low, high: high, pause=pauses),
            "timeout": 20.0,
        } | more
        made.append(OpenAIModel(f"{endpoint.url}/v1/", "m", **given))
        return made[-1]

    yield one
    for model in made:
        await model.close()


async def events_of(model: ChatModel, **options: Any) -> list[ChatEvent]:
    return [event async for event in model.stream(HELLO, GenerationOptions(**options))]


# --- Answers ---


async def test_an_answer(endpoint: Endpoint, make: Make) -> None:
    endpoint.answers = [said("Hel", "lo\u2028!")]
    model = make()
    assert isinstance(model, ChatModel)
    events = await events_of(model, max_tokens=5, temperature=0.3, seed=9, stop=("x",))
    assert events[:-1] == [Delta("Hel"), Delta("lo\u2028!")]
    end = events[-1]
    assert isinstance(end, Finish)
    assert end.reason is FinishReason.STOP
    assert end.usage == {"prompt_tokens": 11, "completion_tokens": 7, "cached_tokens": 4}
    assert endpoint.paths == ["/v1/chat/completions"]
    assert endpoint.requests == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": "hello"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": 5,
            "temperature": 0.3,
            "seed": 9,
            "stop": ["x"],
        }
    ]
    assert endpoint.headers[0]["authorization"] == f"Bearer {KEY}"


async def test_one_connection_serves_many_answers(endpoint: Endpoint, make: Make) -> None:
    endpoint.answers = [said("a")]
    model = make()
    for _ in range(5):
        await events_of(model)
    assert len(endpoint.clients) == 1


async def test_calls_in_fragments_come_whole(endpoint: Endpoint, make: Make) -> None:
    def part(index: int, arguments: str, **head: Any) -> dict[str, Any]:
        name = {"name": head.pop("name")} if "name" in head else {}
        return {"index": index, "function": {**name, "arguments": arguments}, **head}

    frames = [
        chunk({"role": "assistant", "content": "Let me see."}),
        chunk({"tool_calls": [part(0, "", id="c1", type="function", name="find")]}),
        chunk({"tool_calls": [part(0, '{"q": "R')]}),
        chunk({"tool_calls": [part(1, "{}", id="c2", type="function", name="now")]}),
        chunk({"tool_calls": [part(0, 'ome"}')]}),
        chunk({}, "tool_calls"),
        DONE,
    ]
    endpoint.answers = [Answer(body=b"".join(frames))]
    tool = ToolSpec("find", "Finds.", {"type": "object"})
    events = await events_of(make(), tools=(tool,))
    assert events[:-1] == [
        Delta("Let me see."),
        ToolCall("c1", "find", '{"q": "Rome"}'),
        ToolCall("c2", "now", "{}"),
    ]
    assert isinstance(events[-1], Finish)
    assert events[-1].reason is FinishReason.TOOL_CALLS
    function = {"name": "find", "description": "Finds.", "parameters": {"type": "object"}}
    assert endpoint.requests[0]["tools"] == [{"type": "function", "function": function}]


async def test_a_conversation_with_calls(endpoint: Endpoint, make: Make) -> None:
    endpoint.answers = [said("done")]
    messages = [
        ChatMessage(Role.SYSTEM, "be"),
        ChatMessage(Role.ASSISTANT, "", (ToolCall("c1", "find", '{"q": 1}'),)),
        ChatMessage(Role.TOOL, "found", call_id="c1"),
    ]
    await complete(make(), messages, GenerationOptions())
    function = {"name": "find", "arguments": '{"q": 1}'}
    assert endpoint.requests[0]["messages"] == [
        {"role": "system", "content": "be"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "content": "found", "tool_call_id": "c1"},
    ]


async def test_prices_and_probabilities(endpoint: Endpoint, make: Make) -> None:
    tokens = {"content": [{"token": "a", "logprob": 0.0}, {"token": "b", "logprob": -2.0}]}
    frame = {"index": 0, "delta": {"content": "ab"}, "logprobs": tokens, "finish_reason": "stop"}
    endpoint.answers = [Answer(body=chunk(choices=[frame]) + chunk(usage=USAGE) + DONE)]
    model = make(prices=Prices(2.0, 8.0, cached=0.5), logprobs=True)
    answer = await complete(model, HELLO, GenerationOptions())
    assert answer.usage["cost"] == pytest.approx((7 * 2 + 4 * 0.5 + 7 * 8) / 1e6)
    assert answer.confidence == pytest.approx(2.718281828459045**-1)
    assert endpoint.requests[0]["logprobs"] is True
    assert confident(0.3)(answer)
    assert not confident(0.4)(answer)


async def test_without_counts_the_usage_is_an_estimate(endpoint: Endpoint, make: Make) -> None:
    endpoint.answers = [said("x" * 40, usage=None)]
    answer = await complete(make(), [ChatMessage(Role.USER, "y" * 80)], GenerationOptions())
    assert answer.usage == {
        "prompt_tokens": 20,
        "completion_tokens": 10,
        "cached_tokens": 0,
        "estimated": 1,
    }


async def test_fields_of_an_endpoint_that_differs(endpoint: Endpoint, make: Make) -> None:
    endpoint.answers = [said("a")]
    more = {"temperature": None, "stream_options": None, "top_k": 3}
    await events_of(make(limit_field="max_completion_tokens", more=more), max_tokens=9)
    (sent,) = endpoint.requests
    assert sent["max_completion_tokens"] == 9
    assert sent["top_k"] == 3
    assert not {"max_tokens", "temperature", "stream_options"} & set(sent)


# --- Constraints ---

SCHEMA = '{"type": "object", "properties": {"a": {"type": "integer"}}}'


async def test_a_schema_is_sent_as_response_format(endpoint: Endpoint, make: Make) -> None:
    endpoint.answers = [said('{"a": 1}')]
    await events_of(make(), constraint=JsonSchema(SCHEMA))
    await events_of(make(), constraint=AnyJson())
    form = {"name": "answer", "schema": json.loads(SCHEMA), "strict": True}
    assert [sent["response_format"] for sent in endpoint.requests] == [
        {"type": "json_schema", "json_schema": form},
        {"type": "json_object"},
    ]


CONSTRAINTS = [Regex("a+"), Ebnf('root ::= "a"'), Choice(("a", "b")), StructuralTag("{}")]


@pytest.mark.parametrize("constraint", [*CONSTRAINTS, Evidence(3), Quotes(("a",)), JsonSchema("[")])
async def test_what_a_remote_cannot_keep_is_refused_unsent(
    endpoint: Endpoint, make: Make, constraint: Any
) -> None:
    endpoint.answers = [said("a")]
    with pytest.raises(UnsupportedConstraint):
        await events_of(make(), constraint=constraint)
    assert endpoint.requests == []


async def test_an_endpoint_that_takes_structured_outputs_keeps_more(
    endpoint: Endpoint, make: Make
) -> None:
    endpoint.answers = [said("a")]
    for constraint in CONSTRAINTS:
        await events_of(make(structured_outputs=True), constraint=constraint)
    assert [sent["structured_outputs"] for sent in endpoint.requests] == [
        {"regex": "a+"},
        {"grammar": 'root ::= "a"'},
        {"choice": ["a", "b"]},
        {"structural_tag": "{}"},
    ]
    with pytest.raises(UnsupportedConstraint):
        await events_of(make(structured_outputs=True), constraint=Evidence(3))


async def test_malformed_requests_are_refused_unsent(endpoint: Endpoint, make: Make) -> None:
    endpoint.answers = [said("a")]
    tool = ToolSpec("t", "", {"type": "object"})
    with pytest.raises(InvalidRequest, match="exclude"):
        await events_of(make(), tools=(tool,), constraint=AnyJson())
    for message in (ChatMessage(Role.TOOL, "x"), ChatMessage(Role.USER, "\ud800")):
        with pytest.raises(InvalidRequest):
            await complete(make(), [message], GenerationOptions())
    assert endpoint.requests == []


# --- Failures before the answer ---


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
async def test_passing_failures_are_tried_again(
    endpoint: Endpoint, make: Make, pauses: Pauses, status: int
) -> None:
    endpoint.answers = [failed(status), failed(status), said("at last")]
    answer = await complete(make(), HELLO, GenerationOptions())
    assert answer.text == "at last"
    assert pauses.seconds == [0.5, 1.0]
    assert len({json.dumps(sent) for sent in endpoint.requests}) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, RemoteRefused),
        (413, RemoteRefused),
        (422, RemoteRefused),
        (401, RemoteUnavailable),
        (403, RemoteUnavailable),
        (404, RemoteUnavailable),
        (501, RemoteUnavailable),
        (307, RemoteUnavailable),
    ],
)
async def test_lasting_failures_are_not(
    endpoint: Endpoint, make: Make, status: int, error: type[RostraError]
) -> None:
    endpoint.answers = [failed(status, f"because {KEY}", "some_code")]
    with pytest.raises(error, match=str(status)) as caught:
        await events_of(make())
    assert len(endpoint.requests) == 1
    assert caught.value.details["remote_status"] == status
    assert caught.value.details["remote_code"] == "some_code"
    told = str(caught.value.to_dict())
    assert "because ***" in told
    assert KEY not in told


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, RemoteOverloaded), (503, RemoteOverloaded), (500, RemoteUnavailable)],
)
async def test_retries_end(
    endpoint: Endpoint, make: Make, status: int, error: type[RostraError]
) -> None:
    endpoint.answers = [failed(status)]
    with pytest.raises(error) as caught:
        await events_of(make(retries=2))
    assert len(endpoint.requests) == 3
    assert isinstance(caught.value, Overloaded | ModelUnavailable)


async def test_a_spent_quota_is_not_tried_again(endpoint: Endpoint, make: Make) -> None:
    endpoint.answers = [failed(429, code="insufficient_quota")]
    with pytest.raises(RemoteUnavailable):
        await events_of(make())
    assert len(endpoint.requests) == 1


async def test_retry_after_is_kept(endpoint: Endpoint, make: Make, pauses: Pauses) -> None:
    endpoint.answers = [
        failed(429, retry_after="7"),
        failed(503, retry_after_ms="1500"),
        failed(429, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"),
        said("ok"),
    ]
    await events_of(make())
    assert pauses.seconds == [7.0, 1.5, 2.0]


async def test_too_long_a_wait_is_told_instead(
    endpoint: Endpoint, make: Make, pauses: Pauses
) -> None:
    endpoint.answers = [failed(429, retry_after="3600")]
    with pytest.raises(RemoteOverloaded):
        await events_of(make())
    assert pauses.seconds == []


async def test_nobody_listens(pauses: Pauses) -> None:
    with refusing_port() as port:
        model = OpenAIModel(f"http://127.0.0.1:{port}", "m", backoff=Backoff(pause=pauses))
        with pytest.raises(RemoteUnavailable, match="cannot be asked"):
            await events_of(model)
    assert len(pauses.seconds) == 3
    await model.close()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"data: {nonsense\n\n"),
        Answer(body=b'data: {"choices": 5}\n\n'),
        Answer(body=b"data: \xff\xfe\n\n"),
        Answer(body=b"data: " + b"[" * 100_000 + b"\n\n"),
        Answer(body=b"data: [DONE]\n\n"),
        Answer(body=b": only comments\n\n"),
        Answer(body=chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})),
        Answer(body=b'data: {"error": {"message": "lost", "code": 502}}\n\n'),
        Answer(body=b""),
    ],
)
async def test_garbage_is_tried_again_and_told(
    endpoint: Endpoint, make: Make, answer: Answer
) -> None:
    endpoint.answers = [answer, said("good")]
    assert (await complete(make(), HELLO, GenerationOptions())).text == "good"
    endpoint.answers = [answer]
    with pytest.raises(RemoteUnavailable):
        await events_of(make(retries=0))


async def test_an_answer_that_is_no_stream_is_told(endpoint: Endpoint, make: Make) -> None:
    page = {"content-type": "text/html"}
    endpoint.answers = [Answer(body=b"<h1>Sign\x1b in</h1>" + b"x" * 10**6, headers=page)]
    with pytest.raises(RemoteUnavailable, match="text/html") as caught:
        await events_of(make())
    assert len(endpoint.requests) == 1
    assert len(caught.value.message) < 800
    assert caught.value.message.isprintable()


async def test_an_endpoint_that_does_not_stream_is_heard(endpoint: Endpoint, make: Make) -> None:
    call = {"id": "7", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    whole = {
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "At once.", "tool_calls": [call]},
                "finish_reason": "tool_calls",
            }
        ],
        "usage": USAGE,
    }
    json_type = {"content-type": "application/json; charset=utf-8"}
    endpoint.answers = [Answer(body=json.dumps(whole).encode(), headers=json_type)]
    events = await events_of(make())
    finish = events[-1]
    assert isinstance(finish, Finish)
    assert events[:-1] == [Delta("At once."), ToolCall("7", "add", '{"a": 1}')]
    assert finish.usage["completion_tokens"] == 7
    endpoint.answers = [Answer(body=b'{"error": {"message": "too dear"}}', headers=json_type)]
    with pytest.raises(RostraError, match="too dear"):
        await events_of(make(retries=0))


async def test_an_endless_event_is_not_kept(endpoint: Endpoint, make: Make) -> None:
    async def pour(send: Send) -> None:
        await send(b"data: ")
        while True:
            await send(b"x" * 2**20)
            await asyncio.sleep(0)  # the server takes what nobody reads without waiting

    endpoint.answers = [Answer(write=pour)]
    with pytest.raises(RemoteUnavailable, match="bytes"):
        await events_of(make(retries=0))
    await endpoint.left.wait()


async def test_silence_ends(endpoint: Endpoint, make: Make) -> None:
    async def only_comments(send: Send) -> None:
        while True:
            await send(b": wait\n\n")
            await asyncio.sleep(0.01)  # as a server does that keeps a connection alive

    endpoint.answers = [Answer(write=only_comments)]
    with pytest.raises(RemoteUnavailable, match="sent nothing"):
        await events_of(make(retries=1, timeout=1.0))
    assert len(endpoint.requests) == 2


# --- Failures within the answer ---


async def drop(send: Send) -> None:
    await send(chunk({"content": "half "}))
    raise ConnectionAbortedError


async def test_a_dropped_connection_is_told_once_something_was_said(
    endpoint: Endpoint, make: Make
) -> None:
    endpoint.answers = [Answer(write=drop), said("never asked")]
    seen: list[ChatEvent] = []
    with pytest.raises(RemoteUnavailable):
        async for event in make().stream(HELLO, GenerationOptions()):
            seen.append(event)
    assert seen == [Delta("half ")]
    assert len(endpoint.requests) == 1


async def test_a_connection_dropped_before_is_tried_again(endpoint: Endpoint, make: Make) -> None:
    async def nothing(send: Send) -> None:
        await send(chunk({"role": "assistant", "content": ""}))
        raise ConnectionAbortedError

    endpoint.answers = [Answer(write=nothing), said("whole")]
    assert (await complete(make(), HELLO, GenerationOptions())).text == "whole"


async def test_overload_within_an_answer_is_no_overload(endpoint: Endpoint, make: Make) -> None:
    body = chunk({"content": "a"}) + b'data: {"error": {"message": "full", "code": 503}}\n\n'
    endpoint.answers = [Answer(body=body)]
    with pytest.raises(RemoteUnavailable, match="full"):
        await events_of(make())


async def test_a_filtered_answer_is_a_refusal(endpoint: Endpoint, make: Make) -> None:
    endpoint.answers = [said("I", finish="content_filter")]
    with pytest.raises(RemoteRefused, match="filter"):
        await events_of(make())


async def test_an_answer_cut_off_has_no_half_calls(endpoint: Endpoint, make: Make) -> None:
    calls = [
        {"index": 0, "id": "a", "function": {"name": "t", "arguments": '{"x": 1}'}},
        {"index": 1, "id": "b", "function": {"name": "t", "arguments": '{"x": '}},
    ]
    endpoint.answers = [Answer(body=chunk({"tool_calls": calls}) + chunk({}, "length") + DONE)]
    events = await events_of(make())
    assert events[0] == ToolCall("a", "t", '{"x": 1}')
    assert isinstance(events[1], Finish)
    assert events[1].reason is FinishReason.LENGTH
    assert len(events) == 2


@pytest.mark.parametrize("arguments", [False, True])
async def test_an_endpoint_that_ignores_the_limit_is_cut_off(
    endpoint: Endpoint, make: Make, arguments: bool
) -> None:
    text = "word " * 100
    more: dict[str, Any] = {"content": text}
    if arguments:
        more = {"tool_calls": [{"index": 0, "function": {"name": "t", "arguments": text}}]}

    async def forever(send: Send) -> None:
        while True:
            await send(chunk(more))
            await asyncio.sleep(0)

    endpoint.answers = [Answer(write=forever)]
    answer = await complete(make(), HELLO, GenerationOptions(max_tokens=1000))
    assert answer.finish is FinishReason.LENGTH
    assert (len(answer.text), answer.calls) == (0 if arguments else 8000, ())
    assert answer.usage["estimated"] == 1
    await endpoint.left.wait()


async def test_few_tokens_may_be_long(endpoint: Endpoint, make: Make) -> None:
    endpoint.answers = [said("internationalisation")]
    answer = await complete(make(), HELLO, GenerationOptions(max_tokens=1))
    assert (answer.text, answer.finish) == ("internationalisation", FinishReason.STOP)


# --- Leaving ---


async def test_leaving_closes_the_connection(endpoint: Endpoint, make: Make) -> None:
    async def forever(send: Send) -> None:
        while True:
            await send(chunk({"content": "on and on "}))
            await asyncio.sleep(0)

    endpoint.answers = [Answer(write=forever)]
    stream = make().stream(HELLO, GenerationOptions())
    await anext(stream)
    await stream.aclose()
    await endpoint.left.wait()


@pytest.mark.parametrize("first", [b"", chunk({"content": "a"})])
async def test_a_cancelled_reader_closes_the_connection(
    endpoint: Endpoint, make: Make, first: bytes
) -> None:
    arrived = asyncio.Event()

    async def hang(send: Send) -> None:
        if first:
            await send(first)
        arrived.set()
        await asyncio.Event().wait()

    endpoint.answers = [Answer(write=hang)]
    reader = asyncio.create_task(events_of(make()))
    await arrived.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await endpoint.left.wait()


async def test_a_storm_of_readers_who_leave(endpoint: Endpoint, make: Make) -> None:
    """Whenever they leave, those who stay get their answers, and no connection is lost."""
    endpoint.answers = [said(*"abcdefgh")]
    client = httpx.AsyncClient(limits=httpx.Limits(max_connections=4), timeout=20)
    model = make(client=client)

    async def one(number: int) -> str:
        text = ""
        async for event in model.stream(HELLO, GenerationOptions()):
            text += event.text if isinstance(event, Delta) else ""
        return text

    tasks = [asyncio.create_task(one(number)) for number in range(60)]
    for number, task in enumerate(tasks):
        if number % 3 == 0:
            for _ in range(number % 7):
                await asyncio.sleep(0)
            task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    stayed = [result for number, result in enumerate(results) if number % 3]
    assert stayed == ["abcdefgh"] * len(stayed)
    # The pool has all of its connections still.
    assert await asyncio.gather(*(one(0) for _ in range(8))) == ["abcdefgh"] * 8
    await client.aclose()


# --- Breaker ---


async def test_an_endpoint_that_keeps_failing_is_left_alone(endpoint: Endpoint, make: Make) -> None:
    now = [0.0]
    breaker = Breaker(threshold=3, cooldown=10, clock=lambda: now[0])
    model = make(breaker=breaker, retries=10)
    endpoint.answers = [failed(500)]
    with pytest.raises(RemoteUnavailable, match="500"):
        await events_of(model)
    assert len(endpoint.requests) == 3  # the breaker ends the retries, too
    with pytest.raises(BreakerOpen):
        await events_of(model)
    assert len(endpoint.requests) == 3
    now[0] = 11.0
    with pytest.raises(RemoteUnavailable, match="500"):
        await events_of(model)
    assert len(endpoint.requests) == 4
    now[0] = 22.0
    endpoint.answers = [said("back")]
    assert (await complete(model, HELLO, GenerationOptions())).text == "back"
    assert not breaker.is_open


async def test_refusals_do_not_open_it(endpoint: Endpoint, make: Make) -> None:
    breaker = Breaker(threshold=2)
    endpoint.answers = [failed(400)]
    for _ in range(4):
        with pytest.raises(RemoteRefused):
            await events_of(make(breaker=breaker))
    assert not breaker.is_open


async def test_the_one_that_tries_may_leave(endpoint: Endpoint, make: Make) -> None:
    breaker = Breaker(threshold=1, cooldown=0)
    model = make(breaker=breaker)
    endpoint.answers = [failed(500)]
    with pytest.raises(RemoteUnavailable):
        await events_of(model)
    arrived = asyncio.Event()

    async def hang(send: Send) -> None:
        arrived.set()
        await asyncio.Event().wait()

    endpoint.answers = [Answer(write=hang)]
    reader = asyncio.create_task(events_of(model))
    await arrived.wait()
    with pytest.raises(BreakerOpen):
        await events_of(model)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    endpoint.answers = [said("back")]
    assert (await complete(model, HELLO, GenerationOptions())).text == "back"


async def test_the_first_word_of_the_one_that_tries_lets_others_go(
    endpoint: Endpoint, make: Make
) -> None:
    model = make(breaker=Breaker(threshold=1, cooldown=0))
    endpoint.answers = [failed(500)]
    with pytest.raises(RemoteUnavailable):
        await events_of(model)

    async def hang(send: Send) -> None:
        await send(chunk({"content": "a"}))
        await asyncio.Event().wait()

    endpoint.answers = [Answer(write=hang), said("b")]
    slow = model.stream(HELLO, GenerationOptions())
    assert await anext(slow) == Delta("a")
    assert (await complete(model, HELLO, GenerationOptions())).text == "b"
    await slow.aclose()


# --- Making ---


@pytest.mark.parametrize("url", ["", "ftp://x", "localhost:8000/v1", "http://", "http://[::1"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigError):
        OpenAIModel(url, "m")


def test_a_key_that_no_header_can_have() -> None:
    with pytest.raises(ConfigError) as caught:
        OpenAIModel("http://x", "m", api_key="käse\n")
    assert "käse" not in str(caught.value)


def test_what_it_shows_of_itself_has_no_secret() -> None:
    model = OpenAIModel("http://user:pass@x/v1", "m", api_key=KEY)
    assert KEY not in repr(model)
    assert model.name == "m"
