"""Reasoning: what a model thinks between `<think>` and `</think>` before it answers.

What always holds: reasoning stands before everything else or nowhere, so that a marker within an
answer stays text; how the text was cut into pieces changes nothing; no part of a marker is shown
while more of it may come; whitespace around the markers belongs to nobody.
"""

import contextlib
from collections.abc import Iterable

from rostra.serving.parsers.steps import END, WHITESPACE, Steps

OPEN = "<think>"
CLOSE = "</think>"
REASONING_MARKERS = (OPEN, CLOSE)


class ReasoningParser:
    """Tells reasoning from what follows it.

    Args:
        inside: whether the prompt already opened the reasoning, as some chat templates do.
    """

    def __init__(self, *, inside: bool) -> None:
        self._thought: list[str] = []
        self._rest: list[str] = []
        self._is_inside = inside
        self._read = self._all(inside)
        next(self._read)

    def feed(self, text: str) -> tuple[str, str]:
        """More reasoning and more of what follows it; either may be empty."""
        for char in text:
            self._read.send(char)
        return self._take()

    def finish(self) -> tuple[str, str]:
        """What the end of the text shows; nothing may be fed afterwards."""
        with contextlib.suppress(StopIteration):
            self._read.send(END)
        return self._take()

    @property
    def is_inside(self) -> bool:
        """Whether the text so far ends within reasoning."""
        return self._is_inside

    def _take(self) -> tuple[str, str]:
        taken = "".join(self._thought), "".join(self._rest)
        self._thought, self._rest = [], []
        return taken

    def _all(self, inside: bool) -> Steps[None]:
        char = yield
        if not inside:
            before = ""
            while (before + char).lstrip(WHITESPACE) != OPEN:
                if char == END or not OPEN.startswith((before + char).lstrip(WHITESPACE)):
                    self._rest.append(before)
                    yield from self._pass(char)
                    return
                before += char
                char = yield
            self._is_inside = True
            char = yield
        char = yield from self._think(char)
        while char != END and char in WHITESPACE:
            char = yield
        yield from self._pass(char)

    def _think(self, char: str) -> Steps[str]:
        """Reads to the end of the reasoning; returns the character after it."""
        while char != END and char in WHITESPACE:
            char = yield
        space, marker = "", ""  # held back: whitespace, then perhaps a part of the marker
        while char != END:
            if not marker and char in WHITESPACE:
                space += char
            else:
                marker += char
            if marker == CLOSE:
                self._is_inside = False
                following: str = yield
                return following
            if not CLOSE.startswith(marker):
                # Only its last character can begin the marker anew; `<` stands in it but once.
                keep = 1 if char == CLOSE[0] or char in WHITESPACE else 0
                self._thought.append(space + marker[: len(marker) - keep])
                space, marker = (char, "") if char in WHITESPACE else ("", marker[-keep:] * keep)
            char = yield
        self._thought.append(space + marker if marker else "")
        return END

    def _pass(self, char: str) -> Steps[None]:
        while char != END:
            self._rest.append(char)
            char = yield


class ReasoningTokens:
    """Counts the tokens of a text's reasoning, those of its markers included.

    A token that ends it counts, whatever else it spells; one that only begins a marker does not.

    Args:
        inside: whether the prompt already opened the reasoning.
    """

    def __init__(self, *, inside: bool) -> None:
        self._parser = ReasoningParser(inside=inside)
        self._over = False

    def count(self, tokens: Iterable[str]) -> int:
        """How many of the next tokens are reasoning, by what they spell."""
        found = 0
        for text in tokens:
            if self._over:
                break
            before = self._parser.is_inside
            thought, rest = self._parser.feed(text)
            inside = self._parser.is_inside
            found += before or inside or bool(thought)
            self._over = bool(rest) or (before and not inside)
        return found
