"""Calendar dates: differences, sums and weekdays in the Gregorian calendar, without time zones.

What always holds: whole days only; adding months keeps the day of the month, or takes the month's
last day where there is none, and months are added before weeks and days.
"""

import calendar
from datetime import date, timedelta

from rostra.core import InvalidRequest

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def parse_date(text: str) -> date:
    """A date written as 2026-03-31.

    Raises:
        InvalidRequest: it is none.
    """
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidRequest(
            f"{text[:50]!r} is no date: {str(error)[:100]}", hint="Write it as 2026-03-31."
        ) from None


def add(day: date, *, months: int = 0, days: int = 0, workdays: int = 0) -> date:
    """The date so many months, then days, then workdays later.

    Raises:
        InvalidRequest: the result lies outside of the years 1 to 9999.
    """
    try:
        return _add_workdays(_add_months(day, months) + timedelta(days=days), workdays)
    except (OverflowError, ValueError):
        raise InvalidRequest("the result lies outside of the years 1 to 9999") from None


def workdays_between(start: date, end: date) -> int:
    """Mondays to Fridays from `start` until the day before `end`; negative when `end` is before."""
    if end < start:
        return -workdays_between(end, start)
    weeks, rest = divmod((end - start).days, 7)
    return weeks * 5 + sum((start.weekday() + day) % 7 < 5 for day in range(rest))


def calendar_parts(start: date, end: date) -> tuple[int, int, int]:
    """Years, months and days from the earlier to the later of two dates."""
    if end < start:
        start, end = end, start
    months = (end.year - start.year) * 12 + end.month - start.month
    # One month less where the day of the month is not reached yet, as with ages.
    if _add_months(start, months) > end:
        months -= 1
    return months // 12, months % 12, (end - _add_months(start, months)).days


def _add_months(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise OverflowError("year out of range")
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))


def _add_workdays(day: date, count: int) -> date:
    weeks, rest = divmod(abs(count), 5)
    step = timedelta(days=1 if count > 0 else -1)
    # The rest first: from a weekend it leads to a weekday, from where five workdays are a week.
    for _ in range(rest):
        day += step
        while day.weekday() >= 5:
            day += step
    if weeks and day.weekday() >= 5:
        # Five from a weekend end on its Friday's or Monday's week: go back to the workday before.
        while day.weekday() >= 5:
            day -= step
    return day + 7 * weeks * step
