"""What the engine's process and its client say to each other, and how it lies in the pipe.

What always holds: a message is its length as four bytes, little-endian, then msgpack of a struct
tagged with its name. An error crosses as its code, message, hint, status and details and arrives
as an error of the same class.
"""

import struct
from typing import Any, Final

import msgspec

from rostra.core import RostraError
from rostra.serving.config import EngineConfig
from rostra.serving.engine.info import EngineInfo
from rostra.serving.engine.metrics import EngineStats
from rostra.serving.request import EngineRequest, RequestEnd, Tokens

HEADER: Final = struct.Struct("<I")


class Load(msgspec.Struct, frozen=True, tag=True):
    """The first command: what to load.

    Attributes:
        folder: the checkpoint's.
        config: how to set the engine up.
        core: the engine's class or a function that makes it, as `module:name`.
        search_path: where Python finds modules, as the client does.
        log_level: lowest level logged.
    """

    folder: str
    config: EngineConfig
    core: str
    search_path: list[str]
    log_level: int


class Add(msgspec.Struct, frozen=True, tag=True):
    """Begin a request."""

    request: EngineRequest


class Abort(msgspec.Struct, frozen=True, tag=True):
    """End a request, or one of its sequences; unknown ids are ignored."""

    request_id: str
    index: int | None = None


class Shutdown(msgspec.Struct, frozen=True, tag=True):
    """End the process."""


Command = Load | Add | Abort | Shutdown


class Loading(msgspec.Struct, frozen=True, tag=True):
    """How much is loaded, 0 to 1."""

    done: float


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The engine takes requests."""

    info: EngineInfo


class NotLoaded(msgspec.Struct, frozen=True, tag=True):
    """The engine cannot be loaded; the process ends."""

    error: dict[str, Any]


class Stepped(msgspec.Struct, frozen=True, tag=True):
    """What a step brought; `stats` comes now and then, and when the engine falls idle."""

    events: list[Tokens | RequestEnd]
    stats: EngineStats | None = None


class Crashed(msgspec.Struct, frozen=True, tag=True):
    """The loop failed in a way that no request is to blame for; the process ends."""

    reason: str


Report = Loading | Ready | NotLoaded | Stepped | Crashed


def frame(message: Command | Report) -> bytes:
    """A message as it lies in the pipe."""
    body = msgspec.msgpack.encode(message)
    return HEADER.pack(len(body)) + body


def pack_error(error: RostraError) -> dict[str, Any]:
    """An error as it crosses."""
    return error.to_dict() | {"status": error.status}


def unpack_error(body: dict[str, Any]) -> RostraError:
    """The error that crossed, of its own class; of an unknown one, a plain `RostraError`."""
    details = dict(body)
    code = details.pop("code", "")
    message = str(details.pop("message", "the engine gave no reason"))
    hint = details.pop("hint", None)
    details.pop("status", None)
    return _error_class(code)(message, hint=hint, **details)


def _error_class(code: str) -> type[RostraError]:
    known = [RostraError]
    for kind in known:
        if vars(kind).get("code") == code:
            return kind
        known += kind.__subclasses__()
    return RostraError
