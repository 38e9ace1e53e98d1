"""Decimal numbers in a range, as expressions.

What always holds: a number has one spelling: no leading zeros, no plus sign, no `-0`.
"""

from decimal import Decimal

from rostra.serving.grammar.expr import (
    EMPTY,
    NEVER,
    Chars,
    Expr,
    Text,
    alt,
    repeat,
    seq,
)

MAX_DIGITS = 40
MAX_LISTED = 1_000
PLACES = 15
# Decimal digits that a double keeps (IEEE 754).

Bound = tuple[Decimal, bool]
# The bound, and whether it is itself excluded.
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


def multiples(step: int, low: int | None, high: int | None, digits: int) -> Expr | None:
    """Every multiple of `step` from `low` to `high`; None where that is no small expression."""
    first = None if low is None else -(-low // step)
    last = None if high is None else high // step
    if first is not None and last is not None:
        if first > last:
            return NEVER
        if last - first < MAX_LISTED:
            return alt(*(Text(str(step * each)) for each in range(first, last + 1)))
    if step != 10 ** (len(str(step)) - 1):
        return None
    zeros = Text(str(step)[1:])
    options: list[Expr] = []
    if first is None or first < 0:
        below = integers(first, -1 if last is None else min(last, -1), digits=digits)
        options.append(seq(below, zeros))
    if (first is None or first <= 0) and (last is None or last >= 0):
        options.append(Text("0"))
    if last is None or last > 0:
        options.append(seq(integers(max(first or 1, 1), last, digits=digits), zeros))
    return alt(*options)


def decimals(low: Bound | None, high: Bound | None, places: int | None) -> Expr:
    """Every decimal number between the bounds, without exponent.

    Args:
        low: least, None is none.
        high: greatest, None is none.
        places: most digits after the point; None is as many as doubles tell apart.
    """
    if low and high and (low[0] > high[0] or (low[0] == high[0] and (low[1] or high[1]))):
        return NEVER
    options: list[Expr] = []
    zero = Decimal(0)
    if low is None or low[0] < 0:
        # Mirrored; zero itself is left to the other side.
        least = (zero, True) if high is None or high[0] >= 0 else (-high[0], high[1])
        most = None if low is None else (-low[0], low[1])
        options.append(seq(Text("-"), _positive(least, most, places)))
    if high is None or high[0] > 0 or (high[0] == 0 and not high[1]):
        least = (zero, False) if low is None or low[0] < 0 else low
        options.append(_positive(least, high, places))
    kept = [option for option in options if option != NEVER]
    return alt(*kept) if kept else NEVER


def _positive(low: Bound, high: Bound | None, places: int | None) -> Expr:
    """Numbers from low (at least 0) to high."""
    limit = PLACES if places is None else places
    for bound, excluded in (low, *((high,) if high else ())):
        if excluded and places is None:
            # More digits could round to the excluded bound.
            limit = min(limit, max(1, PLACES - len(str(int(bound)))))
    whole_low, rest_low = _parts(low[0])
    any_rest = _fraction("", False, None, False, limit)
    if high is None:
        return alt(
            seq(Text(str(whole_low)), _fraction(rest_low, low[1], None, False, limit)),
            seq(integers(whole_low + 1, None, digits=PLACES - 1), any_rest),
        )
    whole_high, rest_high = _parts(high[0])
    if whole_low == whole_high:
        rest = _fraction(rest_low, low[1], rest_high, high[1], limit)
        return seq(Text(str(whole_low)), rest)
    options = [
        seq(Text(str(whole_low)), _fraction(rest_low, low[1], None, False, limit)),
        seq(integers(whole_low + 1, whole_high - 1), any_rest),
        seq(Text(str(whole_high)), _fraction("", False, rest_high, high[1], limit)),
    ]
    return alt(*(option for option in options if option != NEVER))


def _parts(value: Decimal) -> tuple[int, str]:
    """Whole part, and the digits after the point without trailing zeros."""
    whole, _, rest = f"{value:f}".partition(".")
    return int(whole), rest.rstrip("0")


def _fraction(low: str, over: bool, high: str | None, under: bool, places: int) -> Expr:
    """Nothing or a point and digits, whose value lies between those of the digits given.

    Args:
        low: digits of the least fraction.
        over: it is itself excluded.
        high: digits of the greatest fraction; None is no bound.
        under: it is itself excluded.
        places: most digits.
    """

    def may_end(at: int, on_low: bool, on_high: bool) -> bool:
        if on_low and (low[at:].strip("0") or over):
            return False
        return not (on_high and under and not (high or "")[at:].strip("0"))

    def digits(at: int, on_low: bool, on_high: bool) -> Expr:
        """At least one more digit."""
        if at == places:
            return NEVER
        if not on_low and not on_high:
            return repeat(DIGIT, 1, places - at)
        least = int(low[at : at + 1] or 0) if on_low else 0
        most = int((high or "")[at : at + 1] or 0) if on_high else 9
        free: list[int] = []
        options: list[Expr] = []
        for digit in range(least, most + 1):
            still_low, still_high = on_low and digit == least, on_high and digit == most
            if not still_low and not still_high:
                free.append(digit)
                continue
            following: list[Expr] = [EMPTY] if may_end(at + 1, still_low, still_high) else []
            more = digits(at + 1, still_low, still_high)
            if more != NEVER:
                following.append(more)
            if following:
                options.append(seq(Text(str(digit)), alt(*following)))
        if free:
            free_digit = _digits(str(free[0]), str(free[-1]))
            options.append(seq(free_digit, repeat(DIGIT, 0, places - at - 1)))
        return alt(*options) if options else NEVER

    bounded = high is not None
    options: list[Expr] = [EMPTY] if may_end(0, True, bounded) else []
    # An unbounded low side is the digits of zero, included.
    more = digits(0, bool(low) or over, bounded)
    if more != NEVER:
        options.append(seq(Text("."), more))
    return alt(*options) if options else NEVER
