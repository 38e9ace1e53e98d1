"""Regular expressions as grammars.

What always holds: the expression read admits exactly the texts that the pattern matches from end to
end, in ECMA 262's meaning with the `u` flag (what JSON Schema asks for): `\\d` and `\\w` are ASCII,
`.` is any character but line ends, anchors and word boundaries only where they can be told. What
is not regular (back references), or needs looking around, is refused.

Nothing here matches text, so no pattern takes exponential time.
"""

from rostra.serving.errors import InvalidGrammar
from rostra.serving.grammar.expr import ANY, EMPTY, NEVER, Expr, alt, chars, repeat, seq
from rostra.serving.grammar.regex_syntax import Alternatives, Anchor, Group, Parser, plain

MAX_PATTERN_CHARS = 20_000


def parse_regex(pattern: str, *, search: bool = False) -> Expr:
    """The texts that a pattern matches.

    Args:
        pattern: ECMA 262's notation.
        search: the pattern may match anywhere in the text, as JSON Schema has it; otherwise it
            must match all of it.

    Raises:
        InvalidGrammar: if the pattern is no pattern, or not a regular one.
    """
    if len(pattern) > MAX_PATTERN_CHARS:
        raise InvalidGrammar(f"The pattern is longer than {MAX_PATTERN_CHARS:,} characters.")
    parsed = Parser(pattern).parse()
    anything = repeat(chars(ANY), 0, None)
    options: list[Expr] = []
    for open_left, body, open_right in _anchored(parsed, pattern):
        left = anything if search and open_left else EMPTY
        right = anything if search and open_right else EMPTY
        options.append(seq(left, body, right))
    return alt(*options) if options else NEVER


def _anchored(alternatives: Alternatives, pattern: str) -> list[tuple[bool, Expr, bool]]:
    """Each alternative with whether it is open on its left and right side."""
    found: list[tuple[bool, Expr, bool]] = []
    for items in alternatives:
        if len(items) == 1 and isinstance(items[0], Group):
            found.extend(_anchored(items[0].alternatives, pattern))
            continue
        left = right = True
        rest = list(items)
        while rest and isinstance(rest[0], Anchor) and rest[0].start:
            left = False
            rest.pop(0)
        while rest and isinstance(rest[-1], Anchor) and not rest[-1].start:
            right = False
            rest.pop()
        if len(rest) == 1 and isinstance(rest[0], Group) and _has_anchor(rest[0]):
            for inner_left, body, inner_right in _anchored(rest[0].alternatives, pattern):
                found.append((left and inner_left, body, right and inner_right))
            continue
        # `(^|x)y` and `x(y|$)`: anchors at the edge of a group at the edge.
        if rest and isinstance(rest[0], Group) and _has_anchor(rest[0]):
            group = rest[0]
            for inner in group.alternatives:
                spread = Alternatives([[*inner, *rest[1:]]])
                for inner_left, body, inner_right in _anchored(spread, pattern):
                    found.append((left and inner_left, body, right and inner_right))
            continue
        if rest and isinstance(rest[-1], Group) and _has_anchor(rest[-1]):
            group = rest[-1]
            for inner in group.alternatives:
                spread = Alternatives([[*rest[:-1], *inner]])
                for inner_left, body, inner_right in _anchored(spread, pattern):
                    found.append((left and inner_left, body, right and inner_right))
            continue
        found.append((left, plain(rest, pattern), right))
    return found


def _has_anchor(group: Group) -> bool:
    return any(
        isinstance(item, Anchor) or (isinstance(item, Group) and _has_anchor(item))
        for items in group.alternatives
        for item in items
    )
