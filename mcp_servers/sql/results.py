"""What the tools return; clients get these as output schemas."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Cell = int | float | bool | str | None
Cut = Annotated[bool, Field(description="Whether a limit left something out.")]


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True)


class Table(_Result):
    """A table or a view."""

    name: Annotated[str, Field(description="As queries and describe take it.")]
    kind: str


class Tables(_Result):
    """Tables and views, by name."""

    tables: list[Table]
    truncated: Cut


class Column(_Result):
    """A column of a table."""

    name: str
    type: str
    nullable: bool
    primary_key: bool
    references: Annotated[
        str | None, Field(description="The column that it points to, as table.column.")
    ]


class Description(_Result):
    """A table's columns, in order."""

    name: str
    columns: list[Column]
    truncated: Cut


class Rows(_Result):
    """What a query gave. Numbers that floats would change come as text, as do dates."""

    columns: list[str]
    rows: list[list[Cell]]
    truncated: Annotated[
        bool, Field(description="Whether rows are missing: narrow the query, or aggregate.")
    ]
    cut_cells: Annotated[int, Field(description="Cells of which only the beginning is given.")]
