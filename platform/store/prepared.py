"""Statements compiled once and handed straight to SQLite's driver, for the few that are hot.

What always holds: a prepared statement does what its SQLAlchemy statement does and converts values
by the same types; only the compiling, the look-up and the cursor around each execution are gone,
which cost several times what SQLite itself needs for a small statement.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ClauseElement, Select
from sqlalchemy.dialects import sqlite


class PreparedRead:
    """One SELECT for `sqlite3.Connection.execute`.

    Args:
        statement: its parameters are named, and given each time.
    """

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        dialect = sqlite.dialect(paramstyle="named")
        self.sql = str(statement.compile(dialect=dialect))
        processors = [
            column.type.dialect_impl(dialect).result_processor(dialect, None)
            for column in statement.selected_columns
        ]
        self._converted = [
            (at, convert) for at, convert in enumerate(processors) if convert is not None
        ]

    def rows(self, connection: sqlite3.Connection, **values: str) -> list[list[Any]]:
        """All that it finds.

        Args:
            values: as SQLite keeps them.

        Raises:
            sqlite3.Error: as the driver says it.
        """
        rows = [list(row) for row in connection.execute(self.sql, values)]
        for at, convert in self._converted:
            for row in rows:
                row[at] = convert(row[at])
        return rows


class Prepared:
    """One statement for `sqlite3.Connection.execute` and `executemany`.

    Args:
        statement: an INSERT or UPDATE whose values are bound parameters.
        columns: that an INSERT without values names; None takes the statement's own.
    """

    def __init__(self, statement: ClauseElement, columns: Sequence[str] | None = None) -> None:
        dialect = sqlite.dialect(paramstyle="named")
        compiled = statement.compile(
            dialect=dialect, column_keys=None if columns is None else list(columns)
        )
        self.sql = str(compiled)
        self._fixed: dict[str, Any] = {}
        self._given: dict[str, Callable[[Any], Any] | None] = {}
        for bind, name in getattr(compiled, "bind_names", {}).items():
            convert = bind.type.dialect_impl(dialect).bind_processor(dialect)
            if bind.required:
                self._given[name] = convert
            else:
                self._fixed[name] = bind.value if convert is None else convert(bind.value)

    def execute(self, connection: sqlite3.Connection, values: Mapping[str, Any]) -> int:
        """Executes it once.

        Returns:
            How many rows it changed.

        Raises:
            KeyError: a value is missing.
            sqlite3.Error: as the driver says it.
        """
        return connection.execute(self.sql, self._converted(values)).rowcount

    def execute_many(
        self, connection: sqlite3.Connection, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """Executes it for each row.

        Raises:
            KeyError: a value is missing.
            sqlite3.Error: as the driver says it.
        """
        connection.executemany(self.sql, [self._converted(row) for row in rows])

    def _converted(self, values: Mapping[str, Any]) -> dict[str, Any]:
        given = {
            name: values[name] if convert is None else convert(values[name])
            for name, convert in self._given.items()
        }
        return given | self._fixed
