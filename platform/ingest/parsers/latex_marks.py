"""Where braces, brackets, ends and cells of a LaTeX source are.

What always holds: braces are paired once for the whole source, a bracket is looked for nearby only,
and an end that is not there is looked for once, so that reading stays linear.
"""

import re

_BRACES = re.compile(r"\\.|%[^\n]*|[{}]", re.S)
_BLANKS = re.compile(r"[ \t]*\n?[ \t]*")
_COMMAND = re.compile(r"\\[a-zA-Z@]+")
_CELL = re.compile(r"(\\[a-zA-Z]+|\\[^\\\n])|(\\\\)|(&)|([{}])", re.S)
_MAX_BRACKET_CHARS = 500


class Marks:
    """Finds its way in one source; positions are those of the source.

    Args:
        text: the source.

    Attributes:
        closing: the position of the brace that closes each one that is closed.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self.closing = _pairs(text)
        # Ends that were looked for and are not there.
        self._missing: set[str] = set()

    def optional(self, position: int, end: int) -> int:
        """Past the arguments in brackets that follow at once."""
        while position < end and self._text[position] == "[":
            stop = self.bracket(position, end)
            if stop <= position:
                break
            position = stop + 1
        return position

    def bracket(self, position: int, end: int) -> int:
        """The bracket that closes the one here; its own position if none does nearby."""
        stop = self._text.find("]", position, min(end, position + _MAX_BRACKET_CHARS))
        return stop if stop >= 0 else position

    def dropped(self, position: int, end: int, count: int) -> int:
        """Where the arguments of a command end that is no text."""
        for _ in range(count):
            position = self.optional(position, end)
            found = _BLANKS.match(self._text, position, end)
            at = found.end() if found else position
            if self._text[at : at + 1] == "{" and at in self.closing:
                position = min(end, self.closing[at] + 1)
            elif self._text[at : at + 1] == "\\" and (named := _COMMAND.match(self._text, at, end)):
                # \newcommand\name{...}
                position = named.end()
        return self.optional(position, end) if count > 1 else position

    def cells(self, start: int, end: int) -> list[list[tuple[int, int]]]:
        """Ranges of a table's cells, by row; signs in braces separate nothing."""
        rows: list[list[tuple[int, int]]] = [[]]
        position = begin = start
        while found := _CELL.search(self._text, position, end):
            position = found.end()
            _, row, cell, brace = found.groups()
            if brace == "{":
                position = min(end, self.closing.get(found.start(), position - 1) + 1)
            elif row or cell:
                rows[-1].append((begin, found.start()))
                begin = position
                if row:
                    rows.append([])
        rows[-1].append((begin, end))
        return rows

    def find(self, mark: str, start: int, end: int) -> int:
        """Where a mark stands; the end if it does not."""
        if mark in self._missing:
            return end
        found = self._text.find(mark, start)
        if found < 0:
            self._missing.add(mark)
        return found if 0 <= found <= end else end


def _pairs(source: str) -> dict[int, int]:
    """The position of the brace that closes each one that is closed."""
    pairs: dict[int, int] = {}
    stack: list[int] = []
    for found in _BRACES.finditer(source):
        mark = found.group()
        if mark == "{":
            stack.append(found.start())
        elif mark == "}" and stack:
            pairs[stack.pop()] = found.start()
    return pairs
