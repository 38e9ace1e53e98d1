"""Grammars in the notation that xgrammar compiles (GBNF, as llama.cpp's grammars/README.md has it).

What always holds: the text names every rule afresh, so no name of a caller's reaches it.

How a repetition is written decides what its masks cost (xgrammar 0.2.8, a vocabulary of 32,000):
a rule that ends in itself fills in 3 microseconds, `(a | b)*` in 35 and `(a | b){0,50}` in 16,000.
So unbounded repetitions become right recursion and bounded ones a chain of rules; a chain costs
about 5 ms to compile for each link that reads characters. Longer bounds are left out of the text:
the closing guard holds them (see `Written.bounds_left`).
"""

from collections.abc import Sequence
from typing import NamedTuple

from rostra.serving.grammar.expr import (
    Alt,
    Chars,
    Expr,
    Grammar,
    Repeat,
    Rule,
    Seq,
    Special,
    Text,
)

MAX_CHAIN = 32
MAX_COPIES = 256


class Written(NamedTuple):
    """A grammar as text.

    Attributes:
        text: start rule `root`.
        bounds_left: the text admits more than the grammar: some repetition is longer than is
            worth writing down.
    """

    text: str
    bounds_left: bool


def write(grammar: Grammar) -> Written:
    """Writes a pruned grammar down."""
    writer = _Writer(grammar)
    return writer.write()


class _Writer:
    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self.names = {name: f"r{i}" for i, name in enumerate(grammar.rules)}
        self.lines: list[str] = []
        self.chains: dict[tuple[tuple[str, ...], str, int], str] = {}
        self.bounds_left = False

    def write(self) -> Written:
        self.lines.append(f"root ::= {self.names[self.grammar.root]}")
        for name, expr in self.grammar.rules.items():
            self.lines.append(f"{self.names[name]} ::= {self.expr(expr)}")
        return Written("\n".join(self.lines) + "\n", self.bounds_left)

    def expr(self, expr: Expr) -> str:
        """The expression, in brackets where it has options."""
        match expr:
            case Text(text):
                return _quoted(text)
            case Chars(ranges):
                return _char_class(ranges)
            case Special(token):
                return f"Token({token})"
            case Rule(name):
                return self.names[name]
            case Seq(parts):
                return self._sequence(parts)
            case Alt(options):
                if not options:
                    raise ValueError("a grammar must be pruned before it is written")
                return "(" + " | ".join(self.expr(option) for option in options) + ")"
            case Repeat(item, least, most):
                return self.repeat(item, least, most)

    def _sequence(self, parts: Sequence[Expr]) -> str:
        written: list[str] = []
        rest = list(parts)
        while rest:
            part = rest.pop(0)
            if isinstance(part, Repeat) and rest and isinstance(rest[0], Text):
                # What ends a repetition is written into it: where the rule could end without
                # reading, masks depend on the callers and cost a hundred times as much.
                text = rest[0].text
                written.append(self.repeat(part.item, part.least, part.most, text[0]))
                rest[0] = Text(text[1:])
            elif part != Text(""):
                written.append(self.expr(part))
        return " ".join(written) or '""'

    def repeat(self, item: Expr, least: int, most: int | None, end: str = "") -> str:
        """The item so often, then the text `end`."""
        one = self.expr(item)
        if isinstance(item, Seq):
            one = f"({one})"
        if least <= MAX_COPIES:
            head = [one] * least
        else:
            head = [f"{one}{{{least},{least}}}"]
        if most is not None and most - least > MAX_CHAIN:
            self.bounds_left = True
            most = None
        options = item.options if isinstance(item, Alt) else (item,)
        written = tuple(self.expr(option) for option in options)
        left = -1 if most is None else most - least
        if left:
            return " ".join([*head, self._chain(written, left, _quoted(end))])
        return " ".join([*head, _quoted(end)] if end else head) or '""'

    def _chain(self, options: tuple[str, ...], left: int, end: str) -> str:
        """A rule that reads up to `left` items, without limit if that is -1, then the end."""
        name = ""
        for count in range(1, left + 1) if left > 0 else (-1,):
            key = (options, end, count)
            if key not in self.chains:
                self.chains[key] = f"c{len(self.chains)}"
                after = self.chains[key] if count < 0 else name if count > 1 else end
                self.lines.append(
                    f"{self.chains[key]} ::= {end} | "
                    + " | ".join(f"{option} {after}" for option in options)
                )
            name = self.chains[key]
        return name


def _quoted(text: str) -> str:
    return '"' + "".join(_escaped(char, '"') for char in text) + '"'


def _char_class(ranges: tuple[tuple[int, int], ...]) -> str:
    parts: list[str] = []
    for low, high in ranges:
        parts.append(_escaped(chr(low), "]^-["))
        if high > low:
            parts.append("-" + _escaped(chr(high), "]^-["))
    return "[" + "".join(parts) + "]"


def _escaped(char: str, special: str) -> str:
    point = ord(char)
    if 0x20 <= point < 0x7F and char != "\\" and char not in special:
        return char
    # Never \\x: xgrammar reads as many digits after it as there are.
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"
