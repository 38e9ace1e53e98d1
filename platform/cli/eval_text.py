"""Numbers and texts of evaluations on a terminal.

What always holds: nothing that a document, a model or a set says can steer the terminal; a number
that is not there is a dash.
"""

import re

from evals import Better

# Everything that a terminal might take for a command, and marks that turn the direction of text.
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LONGEST = 500
_SIGNS = {Better.HIGHER: "↑", Better.LOWER: "↓", Better.NEITHER: ""}


def plain(text: str, longest: int = _LONGEST) -> str:
    """A text on one line, of bounded length.

    >>> plain("a\\x1b[31m\\nb")
    'a [31m b'
    """
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return _CONTROL.sub(" ", cut)


def arrow(better: Better) -> str:
    """Which way a measure is to go."""
    return _SIGNS[better]


def amount(value: float | None, unit: str, *, signed: bool = False) -> str:
    """A number with its unit.

    >>> amount(0.8125, "share"), amount(0.8125, ""), amount(-0.02, "share", signed=True)
    ('81.2 %', '0.8125', '-2.0 %')
    """
    if value is None:
        return "-"
    sign = "+" if signed else ""
    if unit == "share":
        return f"{100 * value:{sign}.1f} %"
    size = abs(value)
    form = ",.0f" if size >= 10_000 else ",.1f" if size >= 100 else ",.2f" if size >= 10 else ".4f"
    return f"{value:{sign}{form}}" + (f" {plain(unit)}" if unit else "")


def interval(low: float | None, high: float | None, unit: str, *, signed: bool = False) -> str:
    """Both ends of an interval."""
    if low is None or high is None:
        return "-"
    return f"{amount(low, unit, signed=signed)} to {amount(high, unit, signed=signed)}"


def seconds(value: float) -> str:
    """A time, in the unit that suits it.

    >>> seconds(0.0004), seconds(0.25), seconds(12), seconds(300)
    ('0.4 ms', '250 ms', '12.0 s', '5.0 min')
    """
    if value < 0.01:
        return f"{1000 * value:.1f} ms"
    if value < 1:
        return f"{1000 * value:.0f} ms"
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"


def money(cost: float) -> str:
    """What something cost, after a comma; nothing where no price is known."""
    return f", cost {cost:.4f}" if cost else ""
