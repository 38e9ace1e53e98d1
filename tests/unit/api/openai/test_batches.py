"""Files and batches, as OpenAI's client uses them, and over a restart."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError, ConflictError, NotFoundError

from rostra.api.openai.batch_input import check_input
from rostra.api.openai.batch_output import BatchOutput
from rostra.serving import EngineDied, QueueFull
from tests.scripted_engine import ScriptedEngine
from tests.unit.api.openai.conftest import Serve

CHAT: Any = "/v1/chat/completions"


def line(custom_id: str, content: str = "hi", url: str = CHAT, **more: Any) -> str:
    body = {"model": "default", "messages": [{"role": "user", "content": content}]} | more
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body})


def jsonl(*lines: str) -> bytes:
    return "".join(one + "\n" for one in lines).encode()


async def upload(openai: AsyncOpenAI, data: bytes) -> str:
    return (await openai.files.create(file=("in.jsonl", data), purpose="batch")).id


async def ended(openai: AsyncOpenAI, batch_id: str) -> Any:
    """The batch once it has ended; the test's timeout is the limit."""
    while True:
        batch = await openai.batches.retrieve(batch_id)
        if batch.status in ("completed", "failed", "expired", "cancelled"):
            return batch


async def progressed(openai: AsyncOpenAI, batch_id: str, completed: int) -> None:
    """Waits until so many requests are done; the test's timeout is the limit."""
    while True:
        counts = (await openai.batches.retrieve(batch_id)).request_counts
        if counts is not None and counts.completed >= completed:
            return


async def results(openai: AsyncOpenAI, file_id: str | None) -> dict[str, Any]:
    """The lines of an output or error file by their custom id."""
    if file_id is None:
        return {}
    data = (await openai.files.content(file_id)).read()
    lines = [json.loads(one) for one in data.splitlines()]
    found = {one["custom_id"]: one for one in lines}
    assert len(found) == len(lines)
    return found


async def test_files_come_back_as_they_were_sent(openai: AsyncOpenAI) -> None:
    data = b'{"a": "\xc3\xa9"}\r\n\x00\xff'
    made = await openai.files.create(file=("../../etc/pass wd", data), purpose="batch")
    assert (made.bytes, made.filename, made.purpose) == (len(data), "pass wd", "batch")
    assert (await openai.files.content(made.id)).read() == data
    assert await openai.files.retrieve(made.id) == made
    assert [file.id async for file in await openai.files.list()] == [made.id]
    await openai.files.delete(made.id)
    for call in (openai.files.retrieve, openai.files.delete, openai.files.content):
        with pytest.raises(NotFoundError):
            await call(made.id)


async def test_files_are_listed_by_page(openai: AsyncOpenAI) -> None:
    made = [await upload(openai, b"x") for _ in range(5)]
    assert [file.id async for file in openai.files.list(limit=2)] == made[::-1]
    assert [file.id async for file in openai.files.list(limit=2, order="asc")] == made
    assert [file.id async for file in openai.files.list(purpose="batch_output")] == []


async def test_uploads_that_are_refused(http: httpx.AsyncClient, openai: AsyncOpenAI) -> None:
    for purpose in ("fine-tune", "batch_output"):
        with pytest.raises(BadRequestError) as caught:
            await openai.files.create(file=("a", b"x"), purpose=purpose)  # type: ignore[arg-type]
        assert caught.value.param == "purpose"
    for form in (
        {"data": {"purpose": "batch"}},
        {"data": {"purpose": "batch", "x": "y"}, "files": {"file": ("a", b"x")}},
        {"files": {"file": ("a", b"x")}},
        {"content": b"no form", "headers": {"content-type": "multipart/form-data"}},
        {"content": b"no form", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        {"json": {"purpose": "batch"}},
    ):
        response = await http.post("/v1/files", **form)  # type: ignore[arg-type]
        assert response.status_code == 400, (form, response.text)
        assert response.json()["error"]["type"] == "invalid_request_error"


async def test_a_batch(openai: AsyncOpenAI, engine: ScriptedEngine) -> None:
    data = jsonl(
        line("a"), line("b", nonsense=1), "", line("c", max_tokens=0), line("d", stream=True)
    )
    file_id = await upload(openai, data)
    made = await openai.batches.create(
        input_file_id=file_id, endpoint=CHAT, completion_window="24h", metadata={"k": "v"}
    )
    assert made.status == "validating"
    batch = await ended(openai, made.id)
    assert batch.status == "completed"
    assert batch.metadata == {"k": "v"}
    assert batch.request_counts.model_dump() == {"total": 4, "completed": 1, "failed": 3}
    done = await results(openai, batch.output_file_id)
    assert done["a"]["response"]["status_code"] == 200
    message = done["a"]["response"]["body"]["choices"][0]["message"]
    assert message["content"] == "Hello!"
    failed = await results(openai, batch.error_file_id)
    assert sorted(failed) == ["b", "c", "d"]
    assert failed["b"]["response"]["status_code"] == 400
    assert failed["b"]["response"]["body"]["error"]["param"] == "nonsense"
    (request,) = engine.requests
    assert request.priority > 0
    output = await openai.files.retrieve(batch.output_file_id)
    assert output.purpose == "batch_output"
    assert [one.id async for one in openai.batches.list()] == [made.id]


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("/v1/completions", {"prompt": "a"}),
        ("/v1/embeddings", {"input": "a"}),
        ("/v1/responses", {"input": "a"}),
    ],
)
async def test_batches_of_other_endpoints(
    openai: AsyncOpenAI, endpoint: Any, body: dict[str, Any]
) -> None:
    request = {"custom_id": "a", "method": "POST", "url": endpoint, "body": body}
    made = await openai.batches.create(
        input_file_id=await upload(openai, jsonl(json.dumps(request))),
        endpoint=endpoint,
        completion_window="24h",
    )
    batch = await ended(openai, made.id)
    assert batch.request_counts.completed == 1, await results(openai, batch.error_file_id)


async def test_half_a_character_is_told_with_its_place(openai: AsyncOpenAI) -> None:
    broken = line("a").replace("{", '{"\\ud800": 1, ', 1)
    spoiled = json.dumps(json.loads(line("b")) | {"body": {"prompt": ["a", "b\udc00"]}})
    made = await openai.batches.create(
        input_file_id=await upload(openai, jsonl(broken, spoiled)),
        endpoint=CHAT,
        completion_window="24h",
    )
    batch = await ended(openai, made.id)
    assert [(error.line, error.param) for error in batch.errors.data] == [
        (1, None),
        (2, "body.prompt[1]"),
    ]
    assert all("surrogate" in error.message for error in batch.errors.data)
    assert "character 1" in batch.errors.data[1].message


async def test_a_file_that_is_no_batch_fails(openai: AsyncOpenAI, engine: ScriptedEngine) -> None:
    data = jsonl(line("a"), "{", line("a"), line("b", url="/v1/embeddings"), '{"x": 1}')
    made = await openai.batches.create(
        input_file_id=await upload(openai, data), endpoint=CHAT, completion_window="24h"
    )
    batch = await ended(openai, made.id)
    assert batch.status == "failed"
    assert [(error.line, error.code) for error in batch.errors.data] == [
        (2, "invalid_json_line"),
        (3, "duplicate_custom_id"),
        (4, "mismatched_url"),
        (5, "invalid_json_line"),
    ]
    assert batch.output_file_id is None
    assert engine.requests == []


async def test_batches_that_are_refused(openai: AsyncOpenAI, http: httpx.AsyncClient) -> None:
    with pytest.raises(NotFoundError) as caught:
        await openai.batches.create(input_file_id="file-0", endpoint=CHAT, completion_window="24h")
    assert caught.value.param == "input_file_id"
    file_id = await upload(openai, b"x")
    for more, param in (
        ({"endpoint": "/v1/images"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"output_expires_after": {}}, "output_expires_after"),
    ):
        body = {"input_file_id": file_id, "endpoint": CHAT, "completion_window": "24h"} | more
        response = await http.post("/v1/batches", json=body)
        assert response.status_code == 400
        assert response.json()["error"]["param"] == param
    for call in (openai.batches.retrieve, openai.batches.cancel):
        with pytest.raises(NotFoundError):
            await call("batch_nothing")


async def test_a_batch_is_cancelled_and_keeps_what_is_done(
    openai: AsyncOpenAI, engine: ScriptedEngine
) -> None:
    engine.reply = lambda request: ["x"] if b"quick" in bytes(request.prompt) else ["y", "z"]
    engine.gate_before = 1
    file_id = await upload(openai, jsonl(line("a", "quick"), line("b", "slow")))
    made = await openai.batches.create(
        input_file_id=file_id, endpoint=CHAT, completion_window="24h"
    )
    await engine.waiting.wait()
    await progressed(openai, made.id, 1)
    with pytest.raises(ConflictError):
        await openai.files.delete(file_id)
    assert (await openai.batches.cancel(made.id)).status == "cancelling"
    batch = await ended(openai, made.id)
    assert batch.status == "cancelled"
    assert list(await results(openai, batch.output_file_id)) == ["a"]
    assert engine.open == 0
    with pytest.raises(ConflictError):
        await openai.batches.cancel(made.id)
    await openai.files.delete(file_id)


async def test_what_the_engine_had_no_room_for_is_tried_again(
    openai: AsyncOpenAI, engine: ScriptedEngine
) -> None:
    failures: list[Exception] = [QueueFull("full"), EngineDied("died")]
    engine.reply = lambda _: [failures.pop()] if failures else ["x"]
    made = await openai.batches.create(
        input_file_id=await upload(openai, jsonl(line("a"))),
        endpoint=CHAT,
        completion_window="24h",
    )
    batch = await ended(openai, made.id)
    assert (batch.request_counts.completed, batch.request_counts.failed) == (1, 0)


async def test_a_batch_survives_a_restart(serve: Serve, engine: ScriptedEngine) -> None:
    answered: list[bytes] = []

    def reply(request: Any) -> list[str]:
        answered.append(bytes(request.prompt))
        return ["x"] if b"quick" in bytes(request.prompt) else ["y", "z"]

    engine.reply, engine.gate_before = reply, 1
    lines = [line(f"q{n}", f"quick {n}") for n in range(20)] + [line("s", "slow")]
    async with serve(engine) as url, AsyncOpenAI(base_url=f"{url}/v1", api_key="x") as openai:
        file_id = await upload(openai, jsonl(*lines))
        made = await openai.batches.create(
            input_file_id=file_id, endpoint=CHAT, completion_window="24h"
        )
        await engine.waiting.wait()
        await progressed(openai, made.id, 20)
    assert engine.open == 0
    second = ScriptedEngine(reply=lambda request: [*reply(request), "!"])
    async with serve(second) as url, AsyncOpenAI(base_url=f"{url}/v1", api_key="x") as openai:
        batch = await ended(openai, made.id)
        assert batch.status == "completed"
        assert batch.request_counts.completed == 21
        done = await results(openai, batch.output_file_id)
    assert len(done) == 21
    # Only what was under way is done again.
    assert [b"slow" in bytes(request.prompt) for request in second.requests] == [True]


def test_a_torn_line_is_cut_away(tmp_path: Path) -> None:
    path = tmp_path / "out"
    output = BatchOutput(path)
    output.add("a", {"custom_id": "a", "x": 1})
    output.close()
    with path.open("ab") as file:
        file.write(b'{"custom_id": "b", "x"')
    output = BatchOutput(path)
    assert output.done == {"a"}
    output.add("c", {"custom_id": "c"})
    output.close()
    assert [json.loads(one)["custom_id"] for one in path.read_text().splitlines()] == ["a", "c"]


def test_an_empty_file_is_no_batch(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"\n \n")
    assert [error["code"] for error in check_input(path, CHAT).errors] == ["empty_file"]
