"""Charts of intervals as inline SVG: a dot for a value, a line for where the true one lies.

What always holds: a chart is markup of our own; the texts in it are escaped, its numbers finite. It
takes its colours from the page, so that it follows light and dark.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from evals.reports.numbers import show_amount, show_interval
from evals.reports.text import visible

_ROW = 20
_LABEL = 250
_PLOT = 330
_WIDTH = 760
_LONGEST = 40
_PAST = 0.25


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a chart.

    Attributes:
        tone: `good`, `bad` or empty.
        n: samples with a value; None where that goes without saying.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    unit: str = ""
    tone: str = ""
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """Rows that share a scale.

    Attributes:
        title: above them; may be empty.
        signed: values are differences; the scale is around 0, which is marked.
    """

    title: str
    bars: Sequence[Bar]
    signed: bool = False


def draw(panels: Sequence[Panel], name: str) -> Markup:
    """Draws panels below each other.

    Args:
        name: what the chart shows, for whoever does not see it.
    """
    parts: list[Markup] = []
    top = 4
    for panel in panels:
        ends = _scale(panel)
        if panel.title:
            title = Markup('<text class="title" x="0" y="{}">{}</text>')
            parts.append(title.format(top + 14, _short(panel.title)))
            top += _ROW
        bottom = top + _ROW * len(panel.bars)
        parts.append(_axis(ends, top, bottom, panel))
        for number, bar in enumerate(panel.bars):
            parts.append(_row(bar, ends, top + _ROW * number + _ROW // 2, panel.signed))
        top = bottom + 22
    head = Markup('<svg class="chart" role="img" viewBox="0 0 {} {}" aria-label="{}">').format(
        _WIDTH, top, visible(name)
    )
    return head + Markup("").join(parts) + Markup("</svg>")


def _scale(panel: Panel) -> tuple[float, float]:
    """The ends of the axis: 0 and 1 where all values lie between, otherwise what there is.

    Where something is below 0, or may be, 0 is in the middle and marked. Intervals of means may
    reach past the ends by a little, and are cut there.
    """
    values = [
        number
        for bar in panel.bars
        for number in (bar.value, bar.low, bar.high)
        if number is not None
    ]
    low, high = min(values, default=0.0), max(values, default=1.0)
    if not panel.signed and any(bar.unit == "signed" for bar in panel.bars):
        return -1.0, 1.0
    if panel.signed:
        return _around_zero(low, high)
    if all(0 <= bar.value <= 1 for bar in panel.bars) and low >= -_PAST and high <= 1 + _PAST:
        return 0.0, 1.0
    if low < 0:
        return _around_zero(low, high)
    return (0.0, high) if high > 0 else (0.0, 1.0)


def _around_zero(low: float, high: float) -> tuple[float, float]:
    size = max(abs(low), abs(high)) or 1.0
    return -size, size


def _x(value: float, ends: tuple[float, float]) -> str:
    low, high = ends
    value = min(high, max(low, value))
    return f"{_LABEL + _PLOT * (value - low) / (high - low):.1f}"


def _axis(ends: tuple[float, float], top: int, bottom: int, panel: Panel) -> Markup:
    unit = panel.bars[0].unit if panel.bars else ""
    middle = (ends[0] + ends[1]) / 2
    parts = [
        Markup('<line class="grid" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(
            _x(at, ends), top, bottom
        )
        + Markup('<text class="tick" x="{}" y="{}">{}</text>').format(
            _x(at, ends), bottom + 12, show_amount(at, unit, signed=panel.signed)
        )
        for at in (ends[0], middle, ends[1])
    ]
    return Markup("").join(parts)


def _row(bar: Bar, ends: tuple[float, float], y: int, signed: bool) -> Markup:
    told = show_amount(bar.value, bar.unit, signed=signed)
    if bar.low is not None and bar.high is not None:
        told += f"  ({show_interval(bar.low, bar.high, bar.unit, signed=signed)})"
    line = Markup("")
    if bar.low is not None and bar.high is not None:
        line = Markup('<line class="whisker" x1="{}" x2="{}" y1="{y}" y2="{y}"/>').format(
            _x(bar.low, ends), _x(bar.high, ends), y=y
        )
    return (
        Markup('<g class="{}">').format(bar.tone)
        + Markup('<text class="label" x="{}" y="{}">{}</text>').format(
            _LABEL - 10, y + 4, _label(bar)
        )
        + line
        + Markup('<circle cx="{}" cy="{}" r="4"/>').format(_x(bar.value, ends), y)
        + Markup('<text class="told" x="{}" y="{}">{}</text></g>').format(
            _LABEL + _PLOT + 12, y + 4, told
        )
    )


def _label(bar: Bar) -> str:
    """A long name is cut, and how many samples there are stays."""
    count = "" if bar.n is None else f" (n {bar.n:,})"
    return _short(bar.label, _LONGEST - len(count)) + count


def _short(text: str, longest: int = _LONGEST) -> str:
    return visible(text if len(text) <= longest else text[: longest - 1] + "…")
