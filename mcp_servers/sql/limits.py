"""How much a query may take, and what is kept of what it gives."""

import math
from dataclasses import dataclass, field

from mcp_servers.sql.results import Cell, Rows

MAX_ROWS = 1_000
MAX_SQL = 20_000
MAX_LISTED = 1_000
_MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one query.

    Attributes:
        seconds: longest time it runs.
        size: most characters of all cells together.
        cell: most characters of one.
    """

    seconds: float = 10.0
    size: int = 100_000
    cell: int = 2_000


@dataclass(slots=True)
class Collector:
    """Keeps rows until there are enough.

    Attributes:
        limits: what enough is, in characters.
        most: what enough is, in rows.
    """

    limits: Limits
    most: int
    rows: list[list[Cell]] = field(default_factory=list)
    truncated: bool = False
    cut: int = 0
    _size: int = 0

    def add(self, row: list[tuple[Cell, bool]]) -> bool:
        """Takes a row of cells, each with whether it is cut already; False when it is too much."""
        kept: list[Cell] = []
        for cell, is_cut in row:
            if isinstance(cell, float) and not math.isfinite(cell):
                cell = str(cell)  # JSON has no such numbers
            if isinstance(cell, str):
                room = min(self.limits.cell, max(0, self.limits.size - self._size))
                # A later row that does not fit is left out whole.
                if len(cell) > (self.limits.cell if self.rows else room):
                    cell, is_cut = cell[:room], True
            self.cut += is_cut
            self._size += len(cell) if isinstance(cell, str) else 8
            kept.append(cell)
        # Of the first row at least the beginning is given.
        if len(self.rows) == self.most or (self.rows and self._size > self.limits.size):
            self.truncated = True
            return False
        self.rows.append(kept)
        return True

    def result(self, columns: list[str]) -> Rows:
        """What was kept."""
        return Rows(
            columns=[column[:_MAX_NAME] for column in columns],
            rows=self.rows,
            truncated=self.truncated,
            cut_cells=self.cut,
        )
