"""Decimal numbers in a range, as expressions.

What always holds: a number has one spelling: no leading zeros, no plus sign, no `-0`.
"""

from rostra.serving.grammar.expr import (
    NEVER,
    Chars,
    Expr,
    Text,
    alt,
    repeat,
    seq,
)

MAX_DIGITS = 40
DIGIT = Chars(((ord("0"), ord("9")),))
NONZERO = Chars(((ord("1"), ord("9")),))


def integers(low: int | None, high: int | None, *, digits: int = MAX_DIGITS) -> Expr:
    """Every integer from `low` to `high`; None is no bound on that side.

    Without a bound a number has at most `digits` digits more than the other bound, so that the
    text stays bounded.
    """
    options: list[Expr] = []
    if low is None or low < 0:
        least = 1 if high is None or high >= 0 else -high
        options.append(seq(Text("-"), _naturals(least, None if low is None else -low, digits)))
    if high is None or high >= 0:
        options.append(_naturals(max(low or 0, 0), high, digits))
    return alt(*options) if options else NEVER


def _naturals(low: int, high: int | None, digits: int) -> Expr:
    if high is not None and low > high:
        return NEVER
    if high is None:
        size = len(str(low))
        longer = seq(NONZERO, repeat(DIGIT, size, size + digits))
        if low <= 1:
            # The common case, as small as it can be.
            some = seq(NONZERO, repeat(DIGIT, 0, digits))
            return some if low == 1 else alt(Text("0"), some)
        return alt(_same_length(str(low), "9" * size), longer)
    options: list[Expr] = []
    size, last = len(str(low)), len(str(high))
    while size <= last:
        first = str(max(low, 10 ** (size - 1) if size > 1 else 0))
        end = str(min(high, 10**size - 1))
        options.append(_same_length(first, end))
        size += 1
    return alt(*options)


def _same_length(low: str, high: str) -> Expr:
    """Digit strings from low to high, which are equally long."""
    if low == high:
        return Text(low)
    rest = len(low) - 1
    if low[0] == high[0]:
        return seq(Text(low[0]), _same_length(low[1:], high[1:]))
    if rest == 0:
        return _digits(low, high)
    options: list[Expr] = []
    first, last = int(low[0]), int(high[0])
    if low[1:] != "0" * rest:
        options.append(seq(Text(low[0]), _same_length(low[1:], "9" * rest)))
        first += 1
    tail: list[Expr] = []
    if high[1:] != "9" * rest:
        tail.append(seq(Text(high[0]), _same_length("0" * rest, high[1:])))
        last -= 1
    if first <= last:
        options.append(seq(_digits(str(first), str(last)), repeat(DIGIT, rest, rest)))
    return alt(*options, *tail)


def _digits(low: str, high: str) -> Expr:
    return Text(low) if low == high else Chars(((ord(low), ord(high)),))
