"""Words of servers, made fit for logs, messages and models: bounded, without control characters."""

import re

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


def innermost(error: BaseException) -> BaseException:
    """The first error within groups of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def reason_of(error: BaseException) -> str:
    """Why something failed, in one line."""
    error = innermost(error)
    said = one_line(str(error))
    name = type(error).__name__
    return f"{name}: {said}" if said else name
