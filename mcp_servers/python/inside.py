"""What a sandboxed run does once it is locked in: runs the code, and lets it call tools.

Run from `jail.py`, so it uses the standard library alone. Each message on the channel is one line
of JSON. From here: `{"call": NAME, "arguments": {...}}` and, once, `{"done": {"value", "error"}}`.
To here, after each call: `{"result": ANY}` or `{"error": TEXT}`.

What always holds: who reads the other end believes nothing of what comes from here; the code can
write to the channel itself.
"""

import ast
import json
import linecache
import os
import sys
import threading
import traceback
import types
from typing import Any

_FILE = "<code>"
_FRAMES = 50  # of a traceback; an endless recursion has a million


class ToolError(Exception):
    """A tool said no, or failed; the message is what it said."""


class Tools(types.ModuleType):
    """The module `tools` of sandboxed code."""

    ToolError = ToolError

    def __init__(self, channel: int) -> None:
        super().__init__("tools", "Calls tools of the run that this code is a step of.")
        self._channel = channel
        self._lock = threading.Lock()

    def call(self, name: str, /, **arguments: Any) -> Any:
        """Calls a tool and gives its result.

        Raises:
            ToolError: there is no such tool, it refused, or it failed.
        """
        line = json.dumps({"call": name, "arguments": arguments})
        with self._lock:
            write_line(self._channel, line)
            answer = json.loads(read_line(self._channel))
        if "error" in answer:
            raise ToolError(answer["error"])
        return answer["result"]


def run(code: str, channel: int, most: int) -> None:
    """Runs the code as `__main__` and says how it ended.

    Args:
        code: Python; the value of a last line that is an expression is the run's.
        channel: descriptor of the stream socket.
        most: code points of the value and of the error told.
    """
    tools = Tools(channel)
    main = types.ModuleType("__main__")
    main.__dict__["tools"] = tools
    sys.modules |= {"__main__": main, "tools": tools}
    sys.argv = [_FILE]
    linecache.cache[_FILE] = (len(code), None, code.splitlines(keepends=True), _FILE)
    value, error = None, None
    try:
        found = _execute(code, main.__dict__)
        value = None if found is None else _cut(repr(found), most)
    except SystemExit as left:
        if left.code not in (None, 0):
            error = f"SystemExit: {left.code}"
    except (
        BaseException
    ) as failure:  # whatever the code raises is its result, KeyboardInterrupt too
        error = _cut(_told(failure), most)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # the code may have closed it
            continue
    write_line(channel, json.dumps({"done": {"value": value, "error": error}}))


def _execute(code: str, names: dict[str, Any]) -> object:
    tree = ast.parse(code, _FILE)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, _FILE, "exec"), names)
    if not isinstance(last, ast.Expr):
        return None
    value: object = eval(compile(ast.Expression(last.value), _FILE, "eval"), names)
    return value


def _told(failure: BaseException) -> str:
    """The traceback from the code on, without the frames of this file."""
    trace = failure.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != _FILE:
        trace = trace.tb_next
    last = -_FRAMES
    return "".join(traceback.format_exception(type(failure), failure, trace, last)).rstrip()


def _cut(text: str, most: int) -> str:
    """The text's two ends, where it is longer."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"


def read_line(channel: int) -> bytes:
    """One line; nobody reads ahead on this socket, so what follows it is not taken.

    Raises:
        ToolError: the other end has gone.
    """
    parts: list[bytes] = []
    while not parts or not parts[-1].endswith(b"\n"):
        part = os.read(channel, 1 << 16)
        if not part:
            raise ToolError("nobody answers any more")
        parts.append(part)
    return b"".join(parts)


def write_line(channel: int, line: str) -> None:
    """Writes one line, whole."""
    left = memoryview(line.encode() + b"\n")
    while left:
        left = left[os.write(channel, left) :]
