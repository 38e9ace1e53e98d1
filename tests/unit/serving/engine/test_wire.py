"""Messages and errors survive the pipe."""

import msgspec
import pytest

from rostra.core import Choice, Evidence, JsonSchema, RostraError
from rostra.serving.config import EngineConfig
from rostra.serving.engine.metrics import EngineStats
from rostra.serving.engine.wire import (
    HEADER,
    Abort,
    Add,
    Command,
    Load,
    NotLoaded,
    Report,
    Shutdown,
    Stepped,
    frame,
    pack_error,
    unpack_error,
)
from rostra.serving.errors import BrokenCheckpoint, InvalidParameter, QueueFull, UnsupportedModel
from rostra.serving.request import (
    EngineRequest,
    FinishReason,
    RequestEnd,
    SamplingParams,
    TokenLogprobs,
    Tokens,
    Usage,
)

SAMPLING = SamplingParams(
    logit_bias={5: -1.5},
    stop=("a", "é"),
    seed=2**64 - 1,
    constraint=JsonSchema('{"type": "object"}', strict=False),
)


def body(data: bytes) -> bytes:
    (length,) = HEADER.unpack(data[: HEADER.size])
    assert length == len(data) - HEADER.size
    return data[HEADER.size :]


@pytest.mark.parametrize(
    "command",
    [
        Load("/folder", EngineConfig(weights="int4"), "module:name", ["/a"], 30),
        Add(EngineRequest(id="r", prompt=[1, 2], sampling=SAMPLING, seed=-(2**63), grammar=b"\0")),
        Add(EngineRequest(id="r", prompt=[1], sampling=SamplingParams(constraint=Evidence(3)))),
        Add(EngineRequest(id="r", prompt=[1], sampling=SamplingParams(constraint=Choice(("a",))))),
        Abort("r"),
        Abort("r", 3),
        Shutdown(),
    ],
    ids=lambda command: type(command).__name__,
)
def test_commands(command: Command) -> None:
    assert msgspec.msgpack.decode(body(frame(command)), type=Command) == command


@pytest.mark.parametrize(
    "report",
    [
        Stepped(
            [
                Tokens("r", 1, [5], [TokenLogprobs(5, -0.25, [(5, -0.25), (7, -2.0)])]),
                Tokens("r", 0, [], finish_reason=FinishReason.STOP, stop=7),
                RequestEnd("r", Usage(1, 2, 3), {"code": "queue_full", "status": 429}),
            ],
            EngineStats(running=2, queue_times=[0.5]),
        ),
        NotLoaded(pack_error(BrokenCheckpoint("cut", file="model.safetensors"))),
    ],
    ids=lambda report: type(report).__name__,
)
def test_reports(report: Report) -> None:
    assert msgspec.msgpack.decode(body(frame(report)), type=Report) == report


@pytest.mark.parametrize(
    "error",
    [
        QueueFull("full", hint="Wait."),
        InvalidParameter("wrong", field="top_p"),
        UnsupportedModel("unknown", supported=["a", "b"]),
        RostraError("ours"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_keep_class_and_details(error: RostraError) -> None:
    crossed = unpack_error(msgspec.msgpack.decode(msgspec.msgpack.encode(pack_error(error))))
    assert type(crossed) is type(error)
    assert (crossed.message, crossed.hint, crossed.details) == (
        error.message,
        error.hint,
        error.details,
    )


def test_an_unknown_error_is_still_one() -> None:
    crossed = unpack_error({"code": "never heard", "message": "why", "status": 418, "field": "x"})
    assert (crossed.message, crossed.status, crossed.details) == ("why", 500, {"field": "x"})
    assert unpack_error({}).message
