"""Commands that a LaTeX source defines for itself, as far as they take no argument.

What always holds: the text of a definition is made once, however often the command is used, and is
bounded; a command within its own definition is nothing. So neither nested nor endless definitions
cost more than the source is long, and what uses add up to is counted.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from rostra.ingest.parsers.latex_marks import Marks

# Commands that define others.
DEFINING = frozenset({"newcommand", "renewcommand", "providecommand", "DeclareRobustCommand"})
DEFS = frozenset({"def", "gdef", "edef", "xdef"})
_DEFINITION = re.compile(r"\s{0,20}\{?\s{0,20}\\([a-zA-Z@]{1,100})\s{0,20}\}?\s{0,20}\{")
_ALIAS = re.compile(r"\s{0,20}\\(?:[a-zA-Z@]+|.)\s{0,20}=?\s{0,20}(?:\\(?:[a-zA-Z@]+|.)|\S)", re.S)
# Definitions that begin, end or part blocks: their text is read where they are used.
_BLOCKS = re.compile(r"\\(?:begin|end|item|par|maketitle|(?:sub)*section|chapter|paragraph)\b")
_MAX_CHARS = 2_000
_MAX_BLOCKS_CHARS = 300


@dataclass(slots=True)
class Macro:
    """A command of the source's own.

    Attributes:
        start: where its definition begins, after the brace.
        stop: where it ends, before the brace.
        is_blocks: whether it is read in place, as it has to do with blocks.
        text: its text once made.
        in_use: whether it is just being read.
    """

    start: int
    stop: int
    is_blocks: bool
    text: str | None = None
    in_use: bool = False


class Macros:
    """The own commands of one source.

    Args:
        source: it.
        marks: its braces.
        check: is told how many code points uses have come to; raises `TooLarge`.
    """

    def __init__(self, source: str, marks: Marks, check: Callable[[int], None]) -> None:
        self._source = source
        self._marks = marks
        self._check = check
        self._named: dict[str, Macro] = {}
        self._used = 0

    def define(self, word: str, position: int, end: int) -> int:
        """Takes up what follows a command that defines; returns where that ends."""
        found = _DEFINITION.match(self._source, position, end)
        if found is not None:
            stop = self._marks.closing.get(found.end() - 1, -1)
            name = found.group(1)
            if 0 <= stop < end and not (word == "providecommand" and name in self._named):
                self._put(name, found.end(), stop)
        if word in DEFINING:
            return self._marks.dropped(position, end, 2)
        brace = self._source.find("{", position, min(end, position + 200))
        return self._marks.closing.get(brace, position - 1) + 1 if brace >= 0 else position

    def alias(self, position: int, end: int) -> int:
        """Where the two commands after a `let` end."""
        found = _ALIAS.match(self._source, position, end)
        return found.end() if found is not None else position

    def get(self, word: str) -> Macro | None:
        """The command of this name that is not being read itself.

        Raises:
            TooLarge: when all uses together have become too long.
        """
        macro = self._named.get(word)
        if macro is None or macro.in_use:
            return None
        size = macro.stop - macro.start if macro.text is None else len(macro.text)
        self._used += size
        self._check(self._used)
        return macro

    def knows(self, word: str) -> bool:
        """Whether there is a command of this name."""
        return word in self._named

    def _put(self, name: str, start: int, stop: int) -> None:
        size = stop - start
        is_blocks = _BLOCKS.search(self._source, start, stop) is not None
        if size > (_MAX_BLOCKS_CHARS if is_blocks else _MAX_CHARS):
            # No abbreviation: a layout, or made to do harm.
            self._named.pop(name, None)
            return
        self._named[name] = Macro(start, stop, is_blocks)


def bounded(text: str) -> str:
    """The text of a command, cut where it is longer than any abbreviation."""
    return text[:_MAX_CHARS]
