"""Numbers as reports show them; one that is not there is a dash."""

from evals.core import Better

_PLAIN = ("", "score", "signed")  # units that are not written
_SIGNS = {Better.HIGHER: "↑", Better.LOWER: "↓", Better.NEITHER: ""}


def show_better(better: Better) -> str:
    """Which way a measure is to go."""
    return _SIGNS[better]


def show_amount(value: float | None, unit: str = "", *, signed: bool = False) -> str:
    """A number with its unit.

    >>> show_amount(0.8125, "share"), show_amount(0.8125), show_amount(0.02, "share", signed=True)
    ('81.2 %', '0.8125', '+2.0 %')
    >>> show_amount(12345.6, "tokens"), show_amount(12.5), show_amount(None)
    ('12,346 tokens', '12.50', '-')
    >>> show_amount(0.25, "score"), show_amount(-1e-9, "score", signed=True)
    ('0.2500', '+0.0000')
    """
    if value is None:
        return "-"
    sign = "+" if signed else ""
    if unit == "share":
        return f"{100 * value:{sign}z.1f} %"
    size = abs(value)
    form = ",.0f" if size >= 10_000 else ",.1f" if size >= 100 else ",.2f" if size >= 10 else ".4f"
    # A score is a plain number, whose measure says what it is; minus nothing is nothing.
    return f"{value:{sign}z{form}}" + (f" {unit}" if unit not in _PLAIN else "")


def show_interval(
    low: float | None, high: float | None, unit: str = "", *, signed: bool = False
) -> str:
    """Both ends of an interval.

    >>> show_interval(0.5, 1.0, "share"), show_interval(None, None)
    ('50.0 % to 100.0 %', '-')
    """
    if low is None or high is None:
        return "-"
    return f"{show_amount(low, unit, signed=signed)} to {show_amount(high, unit, signed=signed)}"


def show_duration(seconds: float | None) -> str:
    """A time, in the unit that suits it.

    >>> [show_duration(seconds) for seconds in (0.0004, 0.25, 12, 300, None)]
    ['0.4 ms', '250 ms', '12.0 s', '5.0 min', '-']
    """
    if seconds is None:
        return "-"
    if seconds < 0.01:
        return f"{1000 * seconds:.1f} ms"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
