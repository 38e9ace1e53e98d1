"""Reads grammars in GBNF, the notation of llama.cpp's grammars/README.md.

Rules are `name ::= expression`; an expression has literals in double quotes, character classes,
rule names, groups, `|`, and the repetitions `*`, `+`, `?`, `{m}`, `{m,}`, `{m,n}`. `#` begins a
comment. What always holds: every rule that is named is defined, and there is a `root`.
"""

import re

from rostra.serving.errors import InvalidGrammar
from rostra.serving.grammar.expr import (
    ANY,
    Expr,
    Grammar,
    Range,
    Rule,
    Text,
    alt,
    chars,
    normalise,
    repeat,
    seq,
    subtract,
    walk,
)

MAX_DEPTH = 200
MAX_COUNT = 20_000
_SKIP = re.compile(r"(?:[ \t]|#[^\n]*)*")
_SKIP_LINES = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_HEAD = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)[ \t]*::=")
_COUNT = re.compile(r"\{[ \t]*(\d{1,9})[ \t]*(?:(,)[ \t]*(\d{1,9})?[ \t]*)?\}")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "[": "[", "]": "]", "-": "-",
            "^": "^", "'": "'", "/": "/", "0": "\0"}  # fmt: skip
_HEX_ESCAPES = {"x": 2, "u": 4, "U": 8}


def parse_gbnf(text: str) -> Grammar:
    """The grammar of a text.

    Raises:
        InvalidGrammar: if it is none; the message has the line.
    """
    rules = _Parser(text).parse()
    if "root" not in rules:
        raise InvalidGrammar("The grammar has no rule named root.")
    for name, expr in rules.items():
        for each in walk(expr):
            if isinstance(each, Rule) and each.name not in rules:
                raise InvalidGrammar(f"Rule {name} uses {each.name}, which is not defined.")
    return Grammar(rules)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def refuse(self, what: str) -> InvalidGrammar:
        line = self.text.count("\n", 0, self.at) + 1
        return InvalidGrammar(f"Line {line} of the grammar {what}.")

    def skip(self) -> None:
        """Skips blanks; line ends too inside brackets, and before a line that goes on."""
        pattern = _SKIP_LINES if self.depth else _SKIP
        found = pattern.match(self.text, self.at)
        self.at = found.end() if found else self.at
        if self.depth:
            return
        ahead = _SKIP_LINES.match(self.text, self.at)
        if ahead and ahead.end() < len(self.text) and not _HEAD.match(self.text, ahead.end()):
            self.at = ahead.end()

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def parse(self) -> dict[str, Expr]:
        rules: dict[str, Expr] = {}
        while True:
            blank = _SKIP_LINES.match(self.text, self.at)
            self.at = blank.end() if blank else self.at
            if self.at == len(self.text):
                return rules
            head = _HEAD.match(self.text, self.at)
            if head is None:
                raise self.refuse("does not begin a rule (name ::= ...)")
            if head[1] in rules:
                raise self.refuse(f"defines {head[1]} again")
            self.at = head.end()
            rules[head[1]] = self.alternatives()
            if self.peek() not in ("", "\n", "\r"):
                raise self.refuse(f"has an unexpected {self.peek()!r}")

    def alternatives(self) -> Expr:
        options = [self.sequence()]
        while self.peek() == "|":
            self.at += 1
            options.append(self.sequence())
        return alt(*options)

    def sequence(self) -> Expr:
        parts: list[Expr] = []
        while True:
            self.skip()
            if self.peek() in ("", "|", ")", "\n", "\r"):
                return seq(*parts)
            parts.append(self.repeated(self.atom()))

    def atom(self) -> Expr:
        char = self.peek()
        if char == '"':
            self.at += 1
            found: list[str] = []
            while self.peek() != '"':
                found.append(self.character("literal"))
            self.at += 1
            return Text("".join(found))
        if char == "[":
            self.at += 1
            return self.char_class()
        if char == "(":
            self.at += 1
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise self.refuse("is nested too deeply")
            inner = self.alternatives()
            if self.peek() != ")":
                raise self.refuse("has a bracket that is not closed")
            self.at += 1
            self.depth -= 1
            return inner
        if char == ".":
            self.at += 1
            return chars(ANY)
        name = _NAME.match(self.text, self.at)
        if name is None:
            raise self.refuse(f"has an unexpected {char!r}")
        self.at = name.end()
        return Rule(name[0])

    def repeated(self, item: Expr) -> Expr:
        while True:
            char = self.peek()
            if char and char in "*+?":
                self.at += 1
                least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
            elif char == "{":
                count = _COUNT.match(self.text, self.at)
                if count is None:
                    raise self.refuse("has a broken repetition")
                self.at = count.end()
                least = int(count[1])
                most = (int(count[3]) if count[3] else None) if count[2] else least
                if max(least, most or 0) > MAX_COUNT:
                    raise self.refuse(f"repeats more than {MAX_COUNT:,} times")
                if most is not None and most < least:
                    raise self.refuse("has a repetition whose bounds are swapped")
            else:
                return item
            item = repeat(item, least, most)

    def character(self, where: str) -> str:
        char = self.peek()
        if not char or char == "\n":
            raise self.refuse(f"has a {where} that is not closed")
        self.at += 1
        if char != "\\":
            if 0xD800 <= ord(char) <= 0xDFFF:
                raise self.refuse("has half a surrogate pair")
            return char
        kind = self.peek()
        self.at += 1
        if kind in _HEX_ESCAPES:
            digits = self.text[self.at : self.at + _HEX_ESCAPES[kind]]
            if not re.fullmatch(rf"[0-9A-Fa-f]{{{_HEX_ESCAPES[kind]}}}", digits):
                raise self.refuse(f"has a broken \\{kind} escape")
            self.at += len(digits)
            point = int(digits, 16)
            if point > ANY[-1][1] or 0xD800 <= point <= 0xDFFF:
                raise self.refuse("has an escape that is no character")
            return chr(point)
        if kind not in _ESCAPES:
            raise self.refuse(f"has the escape \\{kind}, which is not known")
        return _ESCAPES[kind]

    def char_class(self) -> Expr:
        negated = self.peek() == "^"
        self.at += negated
        ranges: list[Range] = []
        while self.peek() != "]":
            low = high = ord(self.character("character class"))
            if self.peek() == "-" and self.text[self.at + 1 : self.at + 2] != "]":
                self.at += 1
                high = ord(self.character("character class"))
            if high < low:
                raise self.refuse("has a range whose ends are swapped")
            ranges.append((low, high))
        self.at += 1
        found = normalise(ranges)
        return chars(subtract(ANY, found) if negated else found)
