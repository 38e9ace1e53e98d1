"""Half of a surrogate pair in a body: JSON can spell it, and no text can hold it.

What always holds: this is looked for only in what could not be read; the first half that stands in
the body is the one told.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

_SPELLED = re.compile(rb"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")
_MOST_PATH = 200
_MOST_NAME = 100


@dataclass(frozen=True, slots=True)
class Half:
    """Where half a pair is.

    Attributes:
        path: of the text, or of the object that has it in a name; empty for the body itself.
        message: what is wrong, without the path.
    """

    path: str
    message: str


def find_half(body: bytes) -> Half | None:
    """The first half of a surrogate pair in JSON text; None where that is not what is wrong."""
    if not _SPELLED.search(body):
        return None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    waiting: list[tuple[str, Any, bool]] = [("", value, False)]
    while waiting:
        path, value, is_name = waiting.pop()
        if isinstance(value, str):
            if found := _HALF.search(value):
                return Half(path[:_MOST_PATH], _told(found, is_name))
        elif isinstance(value, list):
            waiting += reversed([(f"{path}[{at}]", item, False) for at, item in enumerate(value)])
        elif isinstance(value, dict):
            for name, item in reversed(value.items()):
                inner = f"{path}.{name[:_MOST_NAME]}" if path else name[:_MOST_NAME]
                waiting += [(inner, item, False), (path, name, True)]
    return None


def _told(found: re.Match[str], is_name: bool) -> str:
    what = "a name has" if is_name else "the text has"
    return (
        f"{what} half of a surrogate pair, \\u{ord(found[0]):04x}, at character {found.start()}, "
        "which is no character"
    )
