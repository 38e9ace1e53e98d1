"""The calculator's tools.

What always holds: the same question has the same answer, and no tool reads or changes anything
outside of its arguments; every call ends within milliseconds.
"""

from datetime import date
from typing import Annotated

from mcp.server.mcpserver import MCPServer
from pydantic import Field

from mcp_servers.calculator import dates
from mcp_servers.calculator.arithmetic import MAX_CHARS, Number, decimal_text, evaluate
from mcp_servers.calculator.results import Day, Difference, Quantity, Value
from mcp_servers.calculator.units import MAX_CHARS as MAX_UNIT_CHARS
from mcp_servers.calculator.units import convert as convert_number
from mcp_servers.serving import make_server, offer

_MAX_FRACTION_CHARS = 100
_INSTRUCTIONS = """\
Numbers, units and dates, computed instead of guessed. `calculate` takes an expression, `convert` \
an amount and two units; `date_add`, `date_difference` and `weekday` take dates as 2026-03-31."""

Date = Annotated[str, Field(max_length=50, description="As 2026-03-31.")]
Unit = Annotated[str, Field(max_length=MAX_UNIT_CHARS, description="As kg, km/h, kWh, degC.")]


def _count(what: str, most: int) -> object:
    return Field(ge=-most, le=most, description=f"{what} to add; negative goes back.")


Years = Annotated[int, _count("Years", 10_000)]
Months = Annotated[int, _count("Months", 120_000)]
Weeks = Annotated[int, _count("Weeks", 600_000)]
Days = Annotated[int, _count("Days", 4_000_000)]
Workdays = Annotated[int, _count("Mondays to Fridays", 3_000_000)]


async def calculate(
    expression: Annotated[
        str,
        Field(
            max_length=MAX_CHARS,
            description="Python's notation: 2 * (3 + 4) ** 2, sqrt(2), mean(1, 2, 3), 0.15 * 80.",
        ),
    ],
) -> Value:
    """Compute an expression exactly: + - * / // % **, constants pi and e, and functions.

    Functions: sqrt, cbrt, exp, ln, log(x, base), log10, log2, sin, cos, tan, asin, acos, atan,
    degrees, radians, abs, round(x, digits), floor, ceil, min, max, sum, mean, median, stdev,
    factorial, comb, perm, gcd, lcm. Angles are radians.
    """
    number = evaluate(expression)
    text, exact = decimal_text(number)
    return Value(value=text, exact=exact, fraction=None if exact else _fraction(number))


async def convert(
    value: Annotated[
        int | float | str, Field(description="A number, or an expression as calculate takes it.")
    ],
    unit: Unit,
    to: Unit,
) -> Quantity:
    """Convert an amount from one unit to another that measures the same."""
    given = evaluate(value if isinstance(value, str) else repr(value))
    number = convert_number(given, unit, to)
    text, exact = decimal_text(number)
    fraction = None if exact else _fraction(number)
    return Quantity(value=text, exact=exact, fraction=fraction, unit=to)


async def date_add(
    date: Date,
    years: Years = 0,
    months: Months = 0,
    weeks: Weeks = 0,
    days: Days = 0,
    workdays: Workdays = 0,
) -> Day:
    """Add years, months, weeks, days or workdays to a date, in this order."""
    start = dates.parse_date(date)
    return _day(
        dates.add(start, months=12 * years + months, days=7 * weeks + days, workdays=workdays)
    )


async def date_difference(start: Date, end: Date) -> Difference:
    """Count the days between two dates, also as workdays and as years, months and days."""
    first, last = dates.parse_date(start), dates.parse_date(end)
    sign = -1 if last < first else 1
    years, months, rest = dates.calendar_parts(first, last)
    return Difference(
        days=(last - first).days,
        workdays=dates.workdays_between(first, last),
        years=sign * years,
        months=sign * months,
        rest_days=sign * rest,
        start=_day(first),
        end=_day(last),
    )


async def weekday(date: Date) -> Day:
    """Say which day of the week a date is, and its week and day of the year."""
    return _day(dates.parse_date(date))


def build_server() -> MCPServer:
    """The server, on no transport yet."""
    server = make_server("calculator", _INSTRUCTIONS)
    for tool in (calculate, convert, date_add, date_difference, weekday):
        offer(server, tool)
    return server


def _fraction(number: Number) -> str | None:
    """The exact value, where there is one and it is short."""
    written = f"{number.value.numerator}/{number.value.denominator}"
    return written if number.exact and len(written) <= _MAX_FRACTION_CHARS else None


def _day(day: date) -> Day:
    year, week, _ = day.isocalendar()
    return Day(
        date=day.isoformat(),
        weekday=dates.WEEKDAYS[day.weekday()],
        iso_week=f"{year:04}-W{week:02}",
        day_of_year=day.timetuple().tm_yday,
    )
