"""Reads messages that the protocol's library refuses, as far as there is something to read.

Its reader drops what it cannot read, and whoever has asked waits until a deadline. What always
holds: an answer that cannot be read becomes an error for the request that it answers; of a list of
tools only what is nested too deeply is left out, so that the other tools are there; bytes that are
no UTF-8, and halves of surrogate pairs, become U+FFFD; a line takes time in proportion to its
length, and of very long ones little is looked at.
"""

import json
import re
from typing import Any, NamedTuple

from mcp.types import (
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError

from rostra.agents.mcp.text import reason_of

# Deeper than any schema that is usable; less than the library's own limits.
MAX_LEVELS = 128
_UNREADABLE = "rostra.unreadable"
# Characters of a line that are looked at where the library's fast reader has given up.
_MAX_SCANNED = 4 << 20
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_VALUE = re.compile(r'\s*:\s*(-?\d{1,18}(?![\d.eE])|"[^"\\]{0,200}")')
_LAST_ID = re.compile(r'"id"\s*:\s*(-?\d{1,18}|"[^"\\]{0,200}")\s*\}\s*$')
_HALF = re.compile("[\ud800-\udfff]")


def read_message(line: bytes) -> JSONRPCMessage | None:
    """The message in a line; None where there is none, and nobody waits for it.

    An answer that cannot be read is an error with the request's id; see `is_unreadable`.
    """
    try:
        return jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:
        text = line.decode(errors="replace").strip()
    if not text.startswith("{"):
        return None
    found = _scanned(text)
    try:
        value = json.loads(found.flat)
    except (ValueError, RecursionError) as error:
        why = "it is too long and nested" if found.long else f"it is no JSON: {reason_of(error)}"
        return _unreadable(found.id, why)
    return _message(_whole(value), found.cut)


def readable(data: bytes) -> bytes:
    """A message's JSON that the library can read: as it is, or else that of `read_message`.

    Where there is nothing to read in it, it stays as it is.
    """
    try:
        jsonrpc_message_adapter.validate_json(data, by_name=False)
    except ValueError:
        message = read_message(data)
        if message is not None:
            return message.model_dump_json(by_alias=True, exclude_unset=True).encode()
    return data


def is_unreadable(data: Any) -> bool:
    """Whether an error's data says that there was an answer, which could not be read."""
    return isinstance(data, dict) and data.get(_UNREADABLE) is True


def _message(value: dict[str, Any], cut: bool) -> JSONRPCMessage | None:
    answers = "method" not in value
    try:
        if not answers:
            return None if cut else jsonrpc_message_adapter.validate_python(value, by_name=False)
        kind = JSONRPCError if "error" in value else JSONRPCResponse
        message = kind.model_validate(value, by_name=False)
    except ValidationError as error:
        return _unreadable(value.get("id"), reason_of(error)) if answers else None
    if cut and not (isinstance(message, JSONRPCResponse) and _lists_tools(message.result)):
        return _unreadable(message.id, f"it is nested deeper than {MAX_LEVELS} levels")
    return message


def _lists_tools(result: dict[str, Any]) -> bool:
    return isinstance(result.get("tools"), list) and "content" not in result


def _unreadable(asked: Any, why: str) -> JSONRPCError | None:
    if isinstance(asked, bool) or not isinstance(asked, int | str):
        return None
    error = ErrorData(code=PARSE_ERROR, message=why, data={_UNREADABLE: True})
    return JSONRPCError(jsonrpc="2.0", id=asked, error=error)


class _Scanned(NamedTuple):
    """What was found in a line without understanding it.

    Attributes:
        flat: the text without what is nested deeper than `MAX_LEVELS`; each such object or list is
            there, but empty.
        cut: whether there was any.
        long: whether the line was too long to be looked at in full.
        id: of the request that it answers, if it seems to answer one.
    """

    flat: str
    cut: bool
    long: bool
    id: Any


def _scanned(text: str) -> _Scanned:
    parts: list[str] = []
    level, kept = 0, 0
    answered, asks = None, False
    for token in _TOKEN.finditer(text, 0, _MAX_SCANNED):
        match token[0][0]:
            case "[" | "{":
                level += 1
                if level == MAX_LEVELS + 1:
                    parts.append(text[kept : token.end()])
            case "]" | "}":
                if level == MAX_LEVELS + 1:
                    kept = token.start()
                level -= 1
            case _ if level == 1 and token[0] == '"id"' and answered is None:
                answered = _VALUE.match(text, token.end())
            case _ if level == 1 and token[0] == '"method"':
                asks = True
    long = len(text) > _MAX_SCANNED
    if long and answered is None:
        answered = _LAST_ID.search(text, len(text) - 1000)
    asked = None if asks or answered is None else json.loads(answered[1])
    return _Scanned("".join([*parts, text[kept:]]), bool(parts), long, asked)


def _whole(value: Any) -> Any:
    """The value without halves of surrogate pairs, which no text can hold."""
    text = json.dumps(value, ensure_ascii=False)
    return json.loads(_HALF.sub("\ufffd", text)) if _HALF.search(text) else value
