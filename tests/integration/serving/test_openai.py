"""OpenAI's client against `rostra serve` with a tiny decoder, in processes of their own.

What always holds: greedy tokens are transformers' own, whatever surface they come through; what a
grammar holds is held; a client that leaves frees what it used.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import torch
from openai import BadRequestError, OpenAI

from tests.checkpoints import make_checkpoint, make_model
from tests.integration.api.conftest import serving
from tests.openai_schema import check_body

FAMILY = "qwen3"
ASK: list[Any] = [{"role": "user", "content": "Where do they live?"}]
CITY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["Rome", "Bonn"]},
        "days": {"type": "array", "items": {"type": "integer"}, "maxItems": 2},
    },
    "required": ["city", "days"],
    "additionalProperties": False,
}
WEATHER: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": CITY, "strict": True},
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose decoder has answered once."""
    folder = make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny", FAMILY)
    settings = {
        "ROSTRA_MODEL": str(folder),
        "ROSTRA_DTYPE": "float32",
        "ROSTRA_KV_MEMORY_BYTES": str(64 * 2**20),
    }
    with serving(tmp_path_factory.mktemp("home"), **settings) as served:
        yield served.url


@pytest.fixture
def openai(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0, timeout=100) as client:
        yield client


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=100) as client:
        yield client


def running(http: httpx.Client) -> float:
    found = re.search(r"^rostra_num_requests_running\{.*\} (\S+)$", http.get("/metrics").text, re.M)
    assert found is not None
    return float(found[1])


def greedy(prompt: list[int], new: int) -> list[int]:
    """transformers' own continuation, which no end token stops."""
    model: Any = make_model(FAMILY)
    with torch.inference_mode():
        made = model.generate(
            torch.tensor([prompt]),
            max_new_tokens=new,
            min_new_tokens=new,
            do_sample=False,
            suppress_tokens=None,
            eos_token_id=None,
            pad_token_id=0,
        )
    tokens: list[int] = made[0, len(prompt) :].tolist()
    return tokens


def test_greedy_tokens_are_transformers_own(http: httpx.Client) -> None:
    prompts = [[5, 9, 200, 31], list(range(40, 90))]
    body = {
        "prompt": prompts,
        "max_tokens": 24,
        "temperature": 0,
        "ignore_eos": True,
        "return_token_ids": True,
    }
    response = http.post("/v1/completions", json=body)
    assert response.status_code == 200, response.text
    whole = response.json()
    check_body("CreateCompletionResponse", whole)
    for prompt, choice in zip(prompts, whole["choices"], strict=True):
        assert choice["token_ids"] == greedy(prompt, 24)


def test_a_stream_is_the_whole_answer(openai: OpenAI, http: httpx.Client) -> None:
    asked: dict[str, Any] = {
        "model": "default",
        "messages": ASK,
        "max_tokens": 20,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 3,
    }
    whole = http.post("/v1/chat/completions", json=asked).json()
    check_body("CreateChatCompletionResponse", whole)
    text, entries = "", []
    for chunk in openai.chat.completions.create(**asked, stream=True):
        check_body("CreateChatCompletionStreamResponse", chunk.model_dump(exclude_unset=True))
        for choice in chunk.choices:
            text += choice.delta.content or ""
            if choice.logprobs is not None:
                entries += choice.logprobs.content or []
    (choice,) = whole["choices"]
    assert text == choice["message"]["content"]
    told = choice["logprobs"]["content"]
    assert [entry.token for entry in entries] == [entry["token"] for entry in told]
    assert len(told) == whole["usage"]["completion_tokens"]
    for entry in told:
        assert entry["logprob"] <= 0
        assert [one["logprob"] for one in entry["top_logprobs"]] == sorted(
            (one["logprob"] for one in entry["top_logprobs"]), reverse=True
        )


def test_equal_seeds_draw_equal_texts(openai: OpenAI) -> None:
    drawn = [
        [
            choice.message.content
            for choice in openai.chat.completions.create(
                model="default", messages=ASK, max_tokens=16, n=3, seed=seed, temperature=1.5
            ).choices
        ]
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) > 1


def test_a_stop_string_is_not_part_of_the_text(openai: OpenAI) -> None:
    asked: dict[str, Any] = {"model": "default", "prompt": "they live", "temperature": 0}
    free = openai.completions.create(**asked, max_tokens=40).choices[0].text
    stop = free[len(free) // 2 :][:2]
    choice = openai.completions.create(**asked, max_tokens=40, stop=stop).choices[0]
    assert choice.text == free[: free.index(stop)]
    assert choice.finish_reason == "stop"


def test_a_schema_is_kept(openai: OpenAI) -> None:
    form: Any = {
        "type": "json_schema",
        "json_schema": {"name": "city", "schema": CITY, "strict": True},
    }
    for seed in range(5):
        answer = openai.chat.completions.create(
            model="default",
            messages=ASK,
            response_format=form,
            max_tokens=60,
            seed=seed,
            temperature=1.2,
        )
        jsonschema.validate(json.loads(answer.choices[0].message.content or ""), CITY)
        assert answer.choices[0].finish_reason == "stop"
    text: Any = {"format": {"type": "json_schema", "name": "c", "schema": CITY, "strict": True}}
    response = openai.responses.create(
        model="default", input="Where?", text=text, max_output_tokens=60
    )
    jsonschema.validate(json.loads(response.output_text), CITY)


def test_what_a_loose_schema_cannot_keep_is_reported(openai: OpenAI) -> None:
    # The text is forced; to see that it keeps the rest, too, would take ages.
    schema = {"type": "string", "pattern": "^a{40}!$", "not": {"pattern": "^(a+)+$"}}
    answer = openai.chat.completions.create(
        model="default",
        messages=ASK,
        response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": schema}},
        max_tokens=100,
    )
    (choice,) = answer.choices
    assert choice.message.content == json.dumps("a" * 40 + "!")
    errors = (choice.model_extra or {})["schema_errors"]
    assert errors == ["Checking the text took over 5 seconds."]


@pytest.mark.parametrize(
    ("given", "pattern"),
    [
        ({"choice": ["Rome", "Bonn"]}, "Rome|Bonn"),
        ({"regex": "[0-9]{3}-[a-z]"}, "[0-9]{3}-[a-z]"),
        ({"grammar": 'root ::= "a" "b"+ "c"\n'}, "ab+c"),
    ],
)
def test_other_constraints_are_kept(http: httpx.Client, given: Any, pattern: str) -> None:
    body = {"messages": ASK, "structured_outputs": given, "max_tokens": 40}
    answer = http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    assert re.fullmatch(pattern, answer.json()["choices"][0]["message"]["content"])


def test_a_tool_that_must_be_called_is(openai: OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "default",
        "messages": ASK,
        "tools": [WEATHER],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "max_tokens": 120,
        "seed": 1,
    }
    (choice,) = openai.chat.completions.create(**asked).choices
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "weather"
    jsonschema.validate(json.loads(call.function.arguments), CITY)
    pieces = [
        one.function.arguments or ""
        for chunk in openai.chat.completions.create(**asked, stream=True)
        for part in chunk.choices
        for one in part.delta.tool_calls or ()
        if one.function is not None
    ]
    assert "".join(pieces) == call.function.arguments


def test_events_of_a_response(openai: OpenAI) -> None:
    events = list(
        openai.responses.create(model="default", input="hi", max_output_tokens=8, stream=True)
    )
    for event in events:
        check_body("ResponseStreamEvent", event.model_dump(exclude_unset=True))
    assert events[-1].type in ("response.completed", "response.incomplete")


REFUSED: list[tuple[dict[str, Any], str | None]] = [
    ({"max_tokens": 10**6}, "max_tokens"),
    ({"prompt": "they live " * 3000}, "prompt"),
    ({"logit_bias": {"100000": 1}}, "logit_bias"),
    ({"structured_outputs": {"regex": "("}}, None),
    ({"structured_outputs": {"regex": "a+"}, "ignore_eos": True}, "ignore_eos"),
    ({"structured_outputs": {"regex": "a{50}"}, "max_tokens": 3}, None),
    ({"structured_outputs": {"choice": []}}, None),
]


def test_what_cannot_be_done_is_refused_and_the_engine_lives_on(openai: OpenAI) -> None:
    for more, param in REFUSED:
        with pytest.raises(BadRequestError) as caught:
            openai.post("/completions", body={"prompt": "they"} | more, cast_to=object)
        if param is not None:
            assert caught.value.param == param, more
    assert openai.completions.create(model="default", prompt="they", max_tokens=2).usage


def test_a_client_that_leaves_frees_its_sequence(openai: OpenAI, http: httpx.Client) -> None:
    stream = openai.completions.create(
        model="default",
        prompt="they",
        max_tokens=1000,
        stream=True,
        extra_body={"ignore_eos": True},
    )
    for _ in stream:
        break
    stream.close()
    while running(http) > 0:  # the test's timeout is the limit
        pass


def test_a_batch(openai: OpenAI) -> None:
    lines = [
        {
            "custom_id": f"r{n}",
            "method": "POST",
            "url": "/v1/completions",
            "body": {"prompt": "they", "max_tokens": 4, "temperature": 0},
        }
        for n in range(8)
    ]
    data = "".join(json.dumps(one) + "\n" for one in lines).encode()
    file = openai.files.create(file=("in.jsonl", data), purpose="batch")
    made: Any = openai.batches.create(
        input_file_id=file.id,
        endpoint="/v1/completions",
        completion_window="24h",
    )
    while made.status not in ("completed", "failed"):
        made = openai.batches.retrieve(made.id)
    assert made.request_counts.completed == 8
    found = [
        json.loads(one) for one in openai.files.content(made.output_file_id).read().splitlines()
    ]
    texts = {one["response"]["body"]["choices"][0]["text"] for one in found}
    assert len(texts) == 1


def test_models_and_embeddings(openai: OpenAI) -> None:
    names = [model.id for model in openai.models.list()]
    assert names[:2] == ["default", Path(names[1]).name]
    vectors = openai.embeddings.create(model="default", input=["a", "b"], dimensions=64)
    assert [len(item.embedding) for item in vectors.data] == [64, 64]


def test_metrics_count(openai: OpenAI, http: httpx.Client) -> None:
    def generated() -> float:
        found = re.search(
            r"^rostra_generation_tokens_total\{.*\} (\S+)$", http.get("/metrics").text, re.M
        )
        assert found is not None
        return float(found[1])

    before = generated()
    openai.completions.create(
        model="default", prompt="they", max_tokens=5, extra_body={"ignore_eos": True}
    )
    while generated() < before + 5:  # told a moment later
        pass
