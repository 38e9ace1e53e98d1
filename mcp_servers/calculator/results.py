"""What the tools return; clients get these as output schemas."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True)


class Value(_Result):
    """A number."""

    value: Annotated[str, Field(description="In decimal notation.")]
    exact: Annotated[bool, Field(description="Whether value is the result, with no rounding.")]
    fraction: Annotated[
        str | None, Field(description="The exact result as a/b, where value had to be rounded.")
    ]


class Quantity(Value):
    """A number of units."""

    unit: str


class Day(_Result):
    """A date."""

    date: Annotated[str, Field(description="As 2026-03-31.")]
    weekday: str
    iso_week: Annotated[str, Field(description="As 2026-W14.")]
    day_of_year: int


class Difference(_Result):
    """From one date to another; negative numbers where the second is the earlier."""

    days: int
    workdays: Annotated[int, Field(description="Mondays to Fridays, without the second date.")]
    years: Annotated[int, Field(description="Whole years, with months and rest_days beside.")]
    months: int
    rest_days: int
    start: Day
    end: Day
