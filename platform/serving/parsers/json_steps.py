"""JSON (RFC 8259) read character by character, strictly.

What always holds: a character is reported only when everything up to it is the beginning of a JSON
value, numbers excepted, which are checked when they end; nesting costs no recursion.
"""

import re
from collections.abc import Callable

from rostra.serving.parsers.steps import END, Malformed, Steps, Tape

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NUMBER_CHARS = frozenset("0123456789+-.eE")
_HEX = frozenset("0123456789abcdefABCDEF")
_ESCAPES = frozenset('"\\/bfnrt')
_LITERALS = {"t": "true", "f": "false", "n": "null"}

Sink = Callable[[str], None]


def read_string(tape: Tape, sink: Sink) -> Steps[None]:
    """Takes a string, quotes included.

    Args:
        tape: stands at the opening quote.
        sink: is told each character.

    Raises:
        Malformed: it is no JSON string.
    """
    yield from _take(tape, sink, '"')
    while tape.char != '"':
        if tape.char == END or tape.char < " ":
            raise Malformed
        if tape.char != "\\":
            yield from _take(tape, sink, tape.char)
            continue
        yield from _take(tape, sink, "\\")
        if tape.char in _ESCAPES and tape.char != END:
            yield from _take(tape, sink, tape.char)
            continue
        yield from _take(tape, sink, "u")
        for _ in range(4):
            if tape.char not in _HEX:
                raise Malformed
            yield from _take(tape, sink, tape.char)
    yield from _take(tape, sink, '"')


def read_value(tape: Tape, sink: Sink) -> Steps[None]:
    """Takes any JSON value without the whitespace around it.

    Raises:
        Malformed: there is none.
    """
    open_: list[str] = []
    while True:
        yield from _space(tape, sink)
        if tape.char == "{" or tape.char == "[":
            open_.append("}" if tape.char == "{" else "]")
            yield from _take(tape, sink, tape.char)
            yield from _space(tape, sink)
            if tape.char != open_[-1]:
                if open_[-1] == "}":
                    yield from _key(tape, sink)
                continue
            yield from _take(tape, sink, open_.pop())
        else:
            yield from _scalar(tape, sink)
        # A value has ended: close what ends with it, or go on to the next.
        while open_:
            yield from _space(tape, sink)
            if tape.char == ",":
                yield from _take(tape, sink, ",")
                if open_[-1] == "}":
                    yield from _space(tape, sink)
                    yield from _key(tape, sink)
                break
            yield from _take(tape, sink, open_.pop())
        else:
            return


def _key(tape: Tape, sink: Sink) -> Steps[None]:
    yield from read_string(tape, sink)
    yield from _space(tape, sink)
    yield from _take(tape, sink, ":")


def _scalar(tape: Tape, sink: Sink) -> Steps[None]:
    if tape.char == '"':
        yield from read_string(tape, sink)
        return
    if tape.char in _LITERALS:
        for char in _LITERALS[tape.char]:
            yield from _take(tape, sink, char)
        return
    number: list[str] = []
    while tape.char in _NUMBER_CHARS:
        number.append(tape.char)
        yield from _take(tape, sink, tape.char)
    if _NUMBER.fullmatch("".join(number)) is None:
        raise Malformed


def _space(tape: Tape, sink: Sink) -> Steps[None]:
    while tape.char != END and tape.char in " \t\n\r":
        yield from _take(tape, sink, tape.char)


def _take(tape: Tape, sink: Sink, char: str) -> Steps[None]:
    if tape.char != char:
        raise Malformed
    sink(char)
    yield from tape.advance()
