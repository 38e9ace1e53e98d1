"""Reading a text character by character while it still arrives.

What always holds: a parser is a generator that is sent one character at a time and, at the end of
the text, the empty string; it therefore cannot know how the text was cut into pieces. It looks at
most one character ahead, and a character that it does not take stays where it is.
"""

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")
Steps = Generator[None, str, T]

END = ""
WHITESPACE = " \t\n\r"


class Malformed(Exception):
    """The text is not what the marker before it promised; never leaves the parsers."""


class Tape:
    """The character at hand, and what was read since a call began."""

    def __init__(self) -> None:
        self.char = END
        self.raw: list[str] = []

    def load(self) -> Steps[None]:
        """Waits for the first character."""
        self.char = yield

    def advance(self) -> Steps[None]:
        """Takes the character at hand and waits for the next; the end stays the end."""
        if self.char == END:
            return
        self.raw.append(self.char)
        self.char = yield

    def skip_whitespace(self) -> Steps[None]:
        """Takes whitespace, if there is any."""
        while self.char != END and self.char in WHITESPACE:
            yield from self.advance()

    def expect(self, text: str) -> Steps[None]:
        """Takes exactly this text.

        Raises:
            Malformed: something else is there.
        """
        for char in text:
            if self.char != char:
                raise Malformed
            yield from self.advance()
