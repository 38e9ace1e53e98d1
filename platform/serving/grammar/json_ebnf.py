"""JSON as expressions: strings with their escapes, numbers, any value.

What always holds: what is admitted is JSON (RFC 8259) in one layout, that of Python's `json.dumps`:
one space after commas and colons, none elsewhere. So whitespace is bounded, and more of the text is
forced. Escapes never leave half a surrogate pair.
"""

import json
from typing import Any

from rostra.serving.grammar.expr import (
    ANY,
    Alt,
    Chars,
    Expr,
    Grammar,
    Range,
    Repeat,
    Rule,
    Seq,
    Text,
    alt,
    chars,
    intersect,
    optional,
    repeat,
    seq,
    subtract,
)
from rostra.serving.grammar.numbers import DIGIT, integers

INTEGER_DIGITS = 15
# Digits whose decimal and binary values agree (IEEE 754 double).
ITEM_SEPARATOR = ", "
KEY_SEPARATOR = ": "

_HEX = chars([(0x30, 0x39), (0x41, 0x46), (0x61, 0x66)])
_CONTROLS: tuple[Range, ...] = ((0x00, 0x1F),)
_QUOTE_AND_BACKSLASH: tuple[Range, ...] = ((0x22, 0x22), (0x5C, 0x5C))
_SHORT = {'"': '"', "\\": "\\", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
_D = chars([(0x44, 0x44), (0x64, 0x64)])
PLAIN = chars(subtract(ANY, ((0x00, 0x1F), *_QUOTE_AND_BACKSLASH)))
CHARACTER = alt(
    PLAIN,
    seq(Text("\\"), chars((ord(each), ord(each)) for each in '"\\/bfnrt')),
    # \u0000 to \uD7FF, \uE000 to \uFFFF, and pairs.
    seq(Text("\\u"), chars([(0x30, 0x39), (0x41, 0x43), (0x45, 0x46), (0x61, 0x63), (0x65, 0x66)]),
        _HEX, _HEX, _HEX),
    seq(Text("\\u"), _D, chars([(0x30, 0x37)]), _HEX, _HEX),
    seq(Text("\\u"), _D, chars([(0x38, 0x39), (0x41, 0x42), (0x61, 0x62)]), _HEX, _HEX,
        Text("\\u"), _D, chars([(0x43, 0x46), (0x63, 0x66)]), _HEX, _HEX),
)  # fmt: skip
"""One character of a string, in any of its spellings."""


def string(least: int = 0, most: int | None = None) -> Expr:
    """A string of so many characters."""
    return seq(Text('"'), repeat(CHARACTER, least, most), Text('"'))


def literal(value: Any) -> Expr:
    """Exactly this value, as `json.dumps` writes it without escaping beyond need."""
    return Text(json.dumps(value, ensure_ascii=False))


def spelled(ranges: tuple[Range, ...]) -> Expr:
    """One of these characters as it stands in a string, each in one spelling."""
    options: list[Expr] = []
    plain = subtract(ranges, (*_CONTROLS, *_QUOTE_AND_BACKSLASH))
    if plain:
        options.append(Chars(plain))
    for low, high in intersect(ranges, (*_CONTROLS, *_QUOTE_AND_BACKSLASH)):
        for point in range(low, high + 1):
            short = _SHORT.get(chr(point))
            options.append(Text("\\" + short if short else f"\\u{point:04x}"))
    return alt(*options)


WIDE: tuple[Range, ...] = subtract(ANY, ((0x00, 0x7F),))
ESCAPED: tuple[Range, ...] = (*_CONTROLS, *_QUOTE_AND_BACKSLASH)
SPELLING_RULES: dict[str, Expr] = {"wide": Chars(WIDE), "escaped": spelled(ESCAPED)}


def spelled_by_rules(ranges: tuple[Range, ...]) -> Expr:
    """As `spelled`, with the large parts that most classes share as `SPELLING_RULES`."""
    options: list[Expr] = []
    rest = ranges
    for name, part in (("wide", WIDE), ("escaped", ESCAPED)):
        if intersect(ranges, part) == part:
            options.append(Rule(name))
            rest = subtract(rest, part)
    return alt(*([spelled(rest)] if rest else []), *options)


def in_string(expr: Expr) -> Expr:
    """An expression over characters as it stands inside a string."""
    match expr:
        case Text(text):
            return Text(json.dumps(text, ensure_ascii=False)[1:-1])
        case Chars(ranges):
            return spelled(ranges)
        case Seq(parts):
            return seq(*map(in_string, parts))
        case Alt(options):
            return alt(*map(in_string, options))
        case Repeat(item, least, most):
            return repeat(in_string(item), least, most)
        case _:
            return expr


def number() -> Expr:
    """Any number of at most 15 digits before and 15 after the point, and a small exponent."""
    whole = integers(0, None, digits=INTEGER_DIGITS - 1)
    sign = chars([(0x2B, 0x2B), (0x2D, 0x2D)])
    exponent = seq(chars([(0x45, 0x45), (0x65, 0x65)]), optional(sign), repeat(DIGIT, 1, 2))
    fraction = seq(Text("."), repeat(DIGIT, 1, INTEGER_DIGITS))
    return seq(optional(Text("-")), whole, optional(fraction), optional(exponent))


def any_rules(prefix: str) -> dict[str, Expr]:
    """Rules for any value; the first is the value, `{prefix}object` any object."""
    value, text = Rule(f"{prefix}value"), Rule(f"{prefix}string")
    member = seq(text, Text(KEY_SEPARATOR), value)
    return {
        f"{prefix}value": alt(
            text,
            Rule(f"{prefix}number"),
            Rule(f"{prefix}object"),
            Rule(f"{prefix}array"),
            Text("true"),
            Text("false"),
            Text("null"),
        ),
        f"{prefix}object": alt(Text("{}"), seq(Text("{"), member, Rule(f"{prefix}members"))),
        f"{prefix}members": alt(
            Text("}"), seq(Text(ITEM_SEPARATOR), member, Rule(f"{prefix}members"))
        ),
        f"{prefix}array": alt(Text("[]"), seq(Text("["), value, Rule(f"{prefix}items"))),
        f"{prefix}items": alt(Text("]"), seq(Text(ITEM_SEPARATOR), value, Rule(f"{prefix}items"))),
        f"{prefix}string": string(),
        f"{prefix}number": number(),
    }


def any_object_grammar() -> Grammar:
    """Any JSON object."""
    return Grammar({"root": Rule("any_object"), **any_rules("any_")})
