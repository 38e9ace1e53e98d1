"""A call as a person is shown it before deciding: all of it, and nothing but what it says.

What always holds: no part of an argument is left out, whatever its length; what has no shape of its
own on a screen (controls, bidi marks, invisible characters, other spaces) is named by its code
point; a value keeps behind its bar, so that none can pass for another field or for a question.
"""

import unicodedata

import msgspec
from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.text import Text

from rostra.agents import PlannedCall

_BAR = "    │ "
# Printable by their category, and nothing to see all the same: fillers, joiners, a blank pattern,
# variation selectors.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# Lengths that are worth saying, in characters.
_LONG = 200


def visible(text: str) -> str:
    """The text with each character that cannot be seen as its code point, line ends too.

    >>> visible("pay\\u202e 1\\n0")
    'pay<U+202E> 1<U+000A>0'
    """
    seen = "".join(_seen(char) for char in text)
    if seen and cell_len(seen[0]) == 0:  # A mark with nothing before it to stand on.
        seen = f"<U+{ord(seen[0]):04X}>{seen[1:]}"
    return seen


def print_call(out: Console, call: PlannedCall) -> None:
    """Prints a call, field by field, in full."""
    out.print(Text("\n").append(visible(call.tool), "bold"))
    if not call.arguments:
        out.print(Text("  (no arguments)", "dim"))
    for name, value in call.arguments.items():
        heading = Text("  ").append(visible(name), "cyan")
        if isinstance(value, str):
            lines = value.split("\n")
            size = len(value)
        else:
            told = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
            lines, size = told.split("\n"), len(told)
        if size > _LONG or len(lines) > 1:
            heading.append(f"  {size:,} characters, {len(lines):,} lines", "dim")
        out.print(heading)
        for line in lines:
            print_behind_bar(out, line)


def print_behind_bar(out: Console, line: str, style: str = "") -> None:
    """Prints one line in full, folded where the screen ends; each piece begins with the bar."""
    width = max(20, out.width - len(_BAR) - 1)
    for piece in chop_cells(visible(line), width) or [""]:
        out.print(Text(_BAR, "dim").append(piece, style), soft_wrap=True)


def _seen(char: str) -> str:
    if char.isascii():
        return char if char.isprintable() else f"<U+{ord(char):04X}>"
    if not char.isprintable() or char in _BLANK or _selects(char):
        return f"<U+{ord(char):04X}>"
    return char


def _selects(char: str) -> bool:
    return unicodedata.name(char, "").startswith("VARIATION SELECTOR")
