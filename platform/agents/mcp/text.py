"""Words of servers, made fit for logs, messages and models: bounded, without control characters."""

import re

from pydantic import ValidationError

# What terminals obey as a whole: colours and the like (ECMA-48, control sequences).
_SEQUENCES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
MAX_MESSAGE = 2000


def one_line(text: str, limit: int = 400) -> str:
    """The text on one line, cut to so many characters.

    >>> one_line("a\\x1b[31m b\\n  c")
    'a [31m b c'
    """
    return bounded(" ".join(_CONTROLS.sub(" ", text[: 4 * limit]).split()), limit)


def bounded(text: str, limit: int = MAX_MESSAGE) -> str:
    """The text without control characters but newlines and tabs, cut to so many characters.

    >>> bounded("abcdef", 4)
    'abc…'
    """
    text = _CONTROLS.sub(" ", text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Tail:
    """The end of a stream of bytes as text: at most so many characters, no control characters.

    >>> tail = Tail(10)
    >>> tail.add(b"a long story\\n")
    >>> tail.add(b"\\x1b[31mthe end\\x1b[0m\\n")
    >>> tail.text
    '…y\\nthe end'
    """

    def __init__(self, limit: int = MAX_MESSAGE) -> None:
        self._limit = limit
        self._kept = b""
        self._cut = False

    def add(self, chunk: bytes) -> None:
        """Takes what comes next."""
        kept = self._kept + chunk
        # A character has at most 4 bytes; as much again for what is taken out.
        self._kept = kept[-8 * self._limit :]
        self._cut = self._cut or len(kept) > len(self._kept)

    @property
    def text(self) -> str:
        """What came last; begins with an ellipsis where there was more."""
        plain = _SEQUENCES.sub("", self._kept.decode(errors="replace").replace("\r\n", "\n"))
        lines = [line.rstrip() for line in _CONTROLS.sub("", plain).split("\n")]
        text = "\n".join(line for line in lines if line)
        if len(text) <= self._limit and not self._cut:
            return text
        return "…" + text[1 - self._limit :]


def innermost(error: BaseException) -> BaseException:
    """The first error within groups of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def reason_of(error: BaseException) -> str:
    """Why something failed, in one line."""
    error = innermost(error)
    if isinstance(error, ValidationError):
        return _first_fault(error)
    said = one_line(str(error))
    name = type(error).__name__
    return f"{name}: {said}" if said else name


def _first_fault(error: ValidationError) -> str:
    """What is wrong first, and where, in place of the library's whole report."""
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(step) for step in fault["loc"])
    return one_line(f"{place}: {fault['msg']}".removeprefix(": "))
