"""Charts of Office files: their titles, and the numbers that are drawn, as tables.

What is read are the values that the chart itself keeps, not those of a workbook behind it. What
always holds: only points that are written count, whatever number of them the chart claims to have.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from lxml import etree
from openpyxl.styles.numbers import is_date_format
from openpyxl.utils.datetime import from_excel

from rostra.ingest.builder import DocumentBuilder, clean_title, too_many_columns
from rostra.ingest.limits import ParseLimits

_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_TEXT = "{http://schemas.openxmlformats.org/drawingml/2006/main}t"
_CATEGORY_AXES = (f"{_C}catAx", f"{_C}dateAx")


@dataclass(slots=True)
class _Group:
    """Series with the same categories."""

    categories: dict[int, str]
    names: list[str] = field(default_factory=list)
    values: list[dict[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ChartText:
    """What a chart says.

    Attributes:
        titles: its own and those of its axes, each on one line.
        tables: rows of cells; the first names the series.
    """

    titles: list[str]
    tables: list[list[list[str]]]


def chart_text(chart: etree._Element, builder: DocumentBuilder, limits: ParseLimits) -> ChartText:
    """Reads a chart.

    Args:
        chart: its part's root.
        builder: gets the text later; its limit is looked at before tables are made.
        limits: of the file.

    Raises:
        TooLarge: if it has more series than a table has columns, or too many points.
    """
    groups: list[_Group] = []
    for number, series in enumerate(chart.iter(f"{_C}ser"), start=1):
        if number >= limits.max_columns:
            raise too_many_columns(limits.max_columns)
        categories = _points(series, "cat", "xVal")
        values = _points(series, "val", "yVal")
        if not values:
            continue
        if not groups or groups[-1].categories != categories:
            groups.append(_Group(categories))
        name = " ".join(_points(series, "tx").values()) or f"Series {number}"
        groups[-1].names.append(name)
        groups[-1].values.append(values)
    axis = next((text for axis in chart.iter(*_CATEGORY_AXES) if (text := _title(axis))), "")
    tables = []
    for group in groups:
        points = sorted(set(group.categories).union(*group.values))
        builder.check(3 * len(points) * len(group.names))
        rows = [[axis, *group.names]]
        for point in points:
            values_at = [values.get(point, "") for values in group.values]
            if any(values_at):
                rows.append([group.categories.get(point, ""), *values_at])
        tables.append(rows)
    return ChartText(list(_titles(chart)), tables)


def _titles(chart: etree._Element) -> Iterator[str]:
    """The chart's title and those of the axes of values."""
    body = chart.find(f"{_C}chart")
    for titled in [] if body is None else [body, *body.iter(f"{_C}valAx")]:
        if text := _title(titled):
            yield text


def _title(titled: etree._Element) -> str:
    title = titled.find(f"{_C}title")
    if title is None:
        return ""
    return clean_title(" ".join(text.text or "" for text in title.iter(_TEXT, f"{_C}v")))


def _points(series: etree._Element, *names: str) -> dict[int, str]:
    """The values of the first of these parts by their number."""
    part = next((found for name in names if (found := series.find(_C + name)) is not None), None)
    if part is None:
        return {}
    # Of categories in several levels the first is the one below.
    level = next(part.iter(f"{_C}lvl"), part)
    code = next((one.text or "" for one in part.iter(f"{_C}formatCode")), "")
    points: dict[int, str] = {}
    for point in level.iter(f"{_C}pt"):
        index = point.get("idx", "")
        text = (point.findtext(f"{_C}v") or "").strip()
        if text and index.isdecimal() and len(index) < 10:
            points[int(index)] = _number(text, code) if code else text
    if not points and (written := part.findtext(f"{_C}v")):
        points[0] = written.strip()
    return points


def _number(text: str, code: str) -> str:
    """A number as a person reads it, with the code of its format; other text as it is."""
    try:
        value = float(text)
        if code != "General" and is_date_format(code):
            moment = from_excel(value)
            if not isinstance(moment, timedelta) and hasattr(moment, "date"):
                day: str = moment.date().isoformat()
                return day
        return f"{value * 100:.15g}%" if "%" in code else f"{value:.15g}"
    except (ValueError, OverflowError):
        return text
