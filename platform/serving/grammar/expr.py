"""Grammars as values: what every constraint becomes before it is compiled, measured or followed.

What always holds: texts and classes are of Unicode scalar values (no surrogates), so whatever a
grammar admits is valid UTF-8. `Alt(())` admits nothing, `Seq(())` the empty text.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Range = tuple[int, int]
# First and last code point.

MAX_CODE_POINT = 0x10FFFF
SURROGATES = (0xD800, 0xDFFF)
ANY: tuple[Range, ...] = ((0, SURROGATES[0] - 1), (SURROGATES[1] + 1, MAX_CODE_POINT))


@dataclass(frozen=True, slots=True)
class Text:
    """Exactly this text."""

    text: str


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of these ranges, which are sorted, disjoint and free of surrogates."""

    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Seq:
    """One after the other."""

    parts: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class Alt:
    """Any one of them."""

    options: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The item `least` to `most` times; `most` None is without limit."""

    item: "Expr"
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Rule:
    """What the rule of this name admits."""

    name: str


@dataclass(frozen=True, slots=True)
class Special:
    """This one token, which spells no text."""

    token: int


Expr = Text | Chars | Seq | Alt | Repeat | Rule | Special
EMPTY = Seq(())
NEVER = Alt(())


@dataclass(frozen=True, slots=True)
class Grammar:
    """Rules by name, of which `root` is the text."""

    rules: dict[str, Expr]
    root: str = "root"


def seq(*parts: Expr) -> Expr:
    """A sequence, flattened; nothing if a part is nothing."""
    flat: list[Expr] = []
    for part in parts:
        if part == NEVER:
            return NEVER
        if isinstance(part, Seq):
            flat.extend(part.parts)
        else:
            flat.append(part)
    joined: list[Expr] = []
    for part in flat:
        if isinstance(part, Text) and joined and isinstance(joined[-1], Text):
            joined[-1] = Text(joined[-1].text + part.text)
        elif part != Text(""):
            joined.append(part)
    return joined[0] if len(joined) == 1 else Seq(tuple(joined))


def alt(*options: Expr) -> Expr:
    """An alternative, flattened, without duplicates."""
    flat: dict[Expr, None] = {}
    for option in options:
        for each in option.options if isinstance(option, Alt) else (option,):
            flat[each] = None
    return next(iter(flat)) if len(flat) == 1 else Alt(tuple(flat))


def repeat(item: Expr, least: int, most: int | None) -> Expr:
    """A repetition, simplified; nothing if `most` is below `least`."""
    if most is not None and most < least:
        return NEVER
    if most == 0:
        return EMPTY
    if item == NEVER:
        return EMPTY if least == 0 else NEVER
    if (least, most) == (1, 1):
        return item
    if isinstance(item, Repeat) and item.least <= 1:
        # k items of a run of 0 or 1 to n make every length between: one run, with one reading.
        longest = None if most is None or item.most is None else most * item.most
        return Repeat(item.item, least * item.least, longest)
    return Repeat(item, least, most)


def optional(item: Expr) -> Expr:
    return repeat(item, 0, 1)


def chars(ranges: Iterable[Range]) -> Expr:
    """One character of these ranges, in any order; nothing if none is a scalar value."""
    kept = intersect(normalise(ranges), ANY)
    return Chars(kept) if kept else NEVER


def normalise(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Sorted, disjoint, joined where they touch."""
    out: list[Range] = []
    for low, high in sorted(ranges):
        if low > high:
            continue
        if out and low <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], high))
        else:
            out.append((low, high))
    return tuple(out)


def intersect(a: Iterable[Range], b: Iterable[Range]) -> tuple[Range, ...]:
    """What two normalised sets share."""
    return normalise(
        (max(low, other_low), min(high, other_high))
        for low, high in a
        for other_low, other_high in b
    )


def subtract(a: Iterable[Range], b: Iterable[Range]) -> tuple[Range, ...]:
    """What the first normalised set has and the second has not."""
    left = list(a)
    for cut_low, cut_high in b:
        rest: list[Range] = []
        for low, high in left:
            rest.append((low, min(high, cut_low - 1)))
            rest.append((max(low, cut_high + 1), high))
        left = [(low, high) for low, high in rest if low <= high]
    return normalise(left)


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct parts of an expression."""
    match expr:
        case Seq(parts):
            return parts
        case Alt(options):
            return options
        case Repeat(item):
            return (item,)
        case _:
            return ()


def walk(expr: Expr) -> Iterator[Expr]:
    """The expression and everything in it."""
    stack = [expr]
    while stack:
        each = stack.pop()
        yield each
        stack.extend(children(each))


def pruned(grammar: Grammar) -> Grammar:
    """The same language without rules, options and parts that no finite text completes.

    A matcher that entered one could never leave it. The root may come out as `NEVER`.
    """
    productive: set[str] = set()
    while True:
        found = {
            name
            for name, expr in grammar.rules.items()
            if name not in productive and _productive(expr, productive)
        }
        if not found:
            break
        productive |= found
    rules = {
        name: _without(expr, productive) if name in productive else NEVER
        for name, expr in grammar.rules.items()
    }
    reached: dict[str, Expr] = {}
    stack = [grammar.root]
    while stack:
        name = stack.pop()
        if name in reached:
            continue
        reached[name] = rules[name]
        stack.extend(each.name for each in walk(rules[name]) if isinstance(each, Rule))
    return Grammar(reached, grammar.root)


def _productive(expr: Expr, productive: set[str]) -> bool:
    match expr:
        case Seq(parts):
            return all(_productive(part, productive) for part in parts)
        case Alt(options):
            return any(_productive(option, productive) for option in options)
        case Repeat(item, least):
            return least == 0 or _productive(item, productive)
        case Rule(name):
            return name in productive
        case _:
            return True


def _without(expr: Expr, productive: set[str]) -> Expr:
    match expr:
        case Seq(parts):
            return seq(*(_without(part, productive) for part in parts))
        case Alt(options):
            kept = [_without(option, productive) for option in options]
            return alt(*(option for option in kept if option != NEVER))
        case Repeat(item, least, most):
            return repeat(_without(item, productive), least, most)
        case Rule(name):
            return expr if name in productive else NEVER
        case _:
            return expr
