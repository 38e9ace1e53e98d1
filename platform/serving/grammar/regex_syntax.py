"""Reads the notation of regular expressions (ECMA 262 with the `u` flag) into items.

What always holds: an item is an expression, a group that still has its anchors, or an anchor; every
other part of the notation is read or refused, never skipped.
"""

import unicodedata

from rostra.serving.errors import InvalidGrammar
from rostra.serving.grammar.expr import (
    ANY,
    MAX_CODE_POINT,
    Expr,
    Range,
    Text,
    alt,
    chars,
    normalise,
    repeat,
    seq,
    subtract,
)

MAX_DEPTH = 200
MAX_COUNT = 20_000

DIGITS: tuple[Range, ...] = ((0x30, 0x39),)
WORD: tuple[Range, ...] = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
SPACE: tuple[Range, ...] = (
    (0x09, 0x0D),
    (0x20, 0x20),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
    (0xFEFF, 0xFEFF),
)
LINE_ENDS: tuple[Range, ...] = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
_CLASSES = {
    "d": DIGITS,
    "w": WORD,
    "s": SPACE,
    "D": subtract(ANY, DIGITS),
    "W": subtract(ANY, WORD),
    "S": subtract(ANY, SPACE),
}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}


class Alternatives(list[list["Item"]]):
    """Alternatives of a group, each a sequence of items."""


class Group:
    """What stands in brackets."""

    def __init__(self, alternatives: Alternatives) -> None:
        self.alternatives = alternatives


class Anchor:
    """`^`, or `$`."""

    def __init__(self, start: bool) -> None:
        self.start = start


Item = Expr | Group | Anchor


def refused(pattern: str, what: str) -> InvalidGrammar:
    """The error that says what is wrong with a pattern."""
    shown = pattern if len(pattern) <= 80 else pattern[:77] + "..."
    return InvalidGrammar(f"The pattern {shown!r} {what}.")


def plain(items: list[Item], pattern: str) -> Expr:
    """A sequence in which no anchor is allowed any more."""
    parts: list[Expr] = []
    for item in items:
        if isinstance(item, Anchor):
            raise refused(pattern, "has an anchor inside, which is not supported")
        if isinstance(item, Group):
            parts.append(alt(*(plain(each, pattern) for each in item.alternatives)))
        else:
            parts.append(item)
    return seq(*parts)


class Parser:
    """Reads one pattern; each method reads a part from `at` on."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.depth = 0

    def parse(self) -> Alternatives:
        """The whole pattern.

        Raises:
            InvalidGrammar: if it is no pattern, or not a regular one.
        """
        found = self.alternatives()
        if self.at < len(self.pattern):
            raise self.refuse("has a bracket that was not opened")
        return found

    def refuse(self, what: str) -> InvalidGrammar:
        return refused(self.pattern, what)

    def peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def next(self) -> str:
        char = self.peek()
        if not char:
            raise self.refuse("ends too early")
        self.at += 1
        return char

    def eat(self, text: str) -> bool:
        if self.pattern.startswith(text, self.at):
            self.at += len(text)
            return True
        return False

    def alternatives(self) -> Alternatives:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.refuse("is nested too deeply")
        found = Alternatives([self.sequence()])
        while self.eat("|"):
            found.append(self.sequence())
        self.depth -= 1
        return found

    def sequence(self) -> list[Item]:
        items: list[Item] = []
        while self.peek() not in ("", "|", ")"):
            item = self.atom()
            least_most = self.quantifier()
            if least_most is not None:
                if isinstance(item, Anchor):
                    raise self.refuse("repeats an anchor")
                inner = plain([item], self.pattern)
                item = repeat(inner, *least_most)
            items.append(item)
        return items

    def atom(self) -> Item:
        char = self.next()
        match char:
            case "^" | "$":
                return Anchor(char == "^")
            case ".":
                return chars(subtract(ANY, LINE_ENDS))
            case "(":
                return self.group()
            case "[":
                return chars(self.char_class())
            case "\\":
                return self.escape()
            case "*" | "+" | "?":
                raise self.refuse(f"repeats nothing with {char!r}")
            case _:
                return Text(self.scalar(char))

    def scalar(self, char: str) -> str:
        if 0xD800 <= ord(char) <= 0xDFFF:
            raise self.refuse("has half a surrogate pair")
        return char

    def group(self) -> Item:
        if self.eat("?"):
            if self.eat(":"):
                pass
            elif self.eat("P<") or (
                not self.pattern.startswith(("<=", "<!"), self.at) and self.eat("<")
            ):
                while self.next() != ">":
                    pass
            else:
                raise self.refuse("looks around or sets flags, which is not supported")
        group = Group(self.alternatives())
        if not self.eat(")"):
            raise self.refuse("has a bracket that is not closed")
        return group

    def quantifier(self) -> tuple[int, int | None] | None:
        match self.peek():
            case "*":
                found: tuple[int, int | None] = (0, None)
            case "+":
                found = (1, None)
            case "?":
                found = (0, 1)
            case "{":
                return self.counted()
            case _:
                return None
        self.at += 1
        self.lazy()
        return found

    def lazy(self) -> None:
        # Greediness does not change which texts match from end to end.
        self.eat("?")
        if self.peek() and self.peek() in "*+{":
            raise self.refuse("repeats a repetition")

    def counted(self) -> tuple[int, int | None] | None:
        end = self.pattern.find("}", self.at)
        body = self.pattern[self.at + 1 : end] if end >= 0 else ""
        least, comma, most = body.partition(",")
        if not least.isdecimal() or not (most.isdecimal() or not most) or not body.isascii():
            raise self.refuse("has a brace that is no repetition count")
        if max(len(least), len(most)) > 9:
            raise self.refuse(f"repeats more than {MAX_COUNT:,} times")
        low = int(least)
        high = (int(most) if most else None) if comma else low
        if max(low, high or 0) > MAX_COUNT:
            raise self.refuse(f"repeats more than {MAX_COUNT:,} times")
        if high is not None and high < low:
            raise self.refuse("has a repetition count whose bounds are swapped")
        self.at = end + 1
        self.lazy()
        return low, high

    def escape(self) -> Item:
        char = self.next()
        if char in _CLASSES:
            return chars(_CLASSES[char])
        if char in "bB":
            raise self.refuse("has a word boundary, which is not supported")
        if char in "123456789k":
            raise self.refuse("refers back to a group, which is not regular")
        if char in "pP":
            return chars(self.property(char == "P"))
        if char in "AzZG":
            raise self.refuse(f"has the escape \\{char}, which ECMA 262 does not know")
        return Text(self.character(char))

    def character(self, char: str) -> str:
        """The character that an escape stands for; the backslash and `char` are read."""
        if char == "0" and self.peek().isdecimal():
            raise self.refuse("has an octal escape")
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char == "x":
            return chr(self.hexadecimal(2))
        if char == "u":
            if self.eat("{"):
                end = self.pattern.find("}", self.at)
                digits = self.pattern[self.at : end] if end >= 0 else ""
                if not 1 <= len(digits) <= 6:
                    raise self.refuse("has a broken \\u escape")
                point = self.hexadecimal(len(digits))
                self.at = end + 1
            else:
                point = self.hexadecimal(4)
                if 0xD800 <= point <= 0xDBFF and self.eat("\\u"):
                    low = self.hexadecimal(4)
                    if not 0xDC00 <= low <= 0xDFFF:
                        raise self.refuse("has half a surrogate pair")
                    point = 0x10000 + ((point - 0xD800) << 10) + low - 0xDC00
            if point > MAX_CODE_POINT:
                raise self.refuse("has an escape beyond Unicode")
            return self.scalar(chr(point))
        if char == "c":
            letter = self.next()
            if not (letter.isascii() and letter.isalpha()):
                raise self.refuse("has a broken \\c escape")
            return chr(ord(letter) % 32)
        if char.isalnum() and char.isascii():
            raise self.refuse(f"has the escape \\{char}, which is not known")
        return self.scalar(char)

    def hexadecimal(self, digits: int) -> int:
        text = self.pattern[self.at : self.at + digits]
        if len(text) < digits or any(each not in "0123456789abcdefABCDEF" for each in text):
            raise self.refuse("has a broken hexadecimal escape")
        self.at += digits
        return int(text, 16)

    def property(self, negated: bool) -> tuple[Range, ...]:
        end = self.pattern.find("}", self.at)
        if not self.eat("{") or end < 0:
            raise self.refuse("has a broken property escape")
        name = self.pattern[self.at : end]
        self.at = end + 1
        ranges = _category(name)
        if ranges is None:
            raise self.refuse(f"asks for the property {name[:40]!r}, which is not supported")
        return subtract(ANY, ranges) if negated else ranges

    def char_class(self) -> tuple[Range, ...]:
        negated = self.eat("^")
        ranges: list[Range] = []
        while not self.eat("]"):
            low = self.class_atom()
            if self.peek() == "-" and self.pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self.class_atom()
                if isinstance(low, tuple) or isinstance(high, tuple):
                    # As ECMA 262 without the `u` flag: the hyphen is a character.
                    ranges.append((0x2D, 0x2D))
                    for side in (low, high):
                        ranges.extend(side if isinstance(side, tuple) else [(side, side)])
                    continue
                if low > high:
                    raise self.refuse("has a range whose ends are swapped")
                ranges.append((low, high))
            elif isinstance(low, tuple):
                ranges.extend(low)
            else:
                ranges.append((low, low))
        found = normalise(ranges)
        return subtract(ANY, found) if negated else found

    def class_atom(self) -> int | tuple[Range, ...]:
        char = self.next()
        if char != "\\":
            return ord(self.scalar(char))
        char = self.next()
        if char in _CLASSES:
            return _CLASSES[char]
        if char in "pP":
            return self.property(char == "P")
        if char == "b":
            return 0x08
        if char.isdecimal() and char != "0":
            raise self.refuse("has an octal escape")
        return ord(self.character(char))


def _category(name: str) -> tuple[Range, ...] | None:
    """Characters of a general category such as `L` or `Lu`, by this Python's Unicode tables."""
    long_names = {
        "Letter": "L",
        "Lowercase_Letter": "Ll",
        "Uppercase_Letter": "Lu",
        "Number": "N",
        "Decimal_Number": "Nd",
        "digit": "Nd",
        "Punctuation": "P",
        "Symbol": "S",
        "Separator": "Z",
        "Mark": "M",
    }
    name = name.removeprefix("General_Category=").removeprefix("gc=")
    short = long_names.get(name, name)
    if short[:1] not in "LNPSZMC" or len(short) not in (1, 2):
        return None
    found = [
        (point, point)
        for low, high in ANY
        for point in range(low, high + 1)
        if unicodedata.category(chr(point)).startswith(short)
    ]
    return normalise(found) or None
