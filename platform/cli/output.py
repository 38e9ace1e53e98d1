"""What every verb prints with: JSON for programs, rich text for people.

What always holds: what goes into a pipe or a file is never cut or wrapped to some width, and the
cells of a table are shown as they are, whatever brackets and colons they contain. What a document
or a file name says cannot steer the terminal: what it would obey is left out.
"""

import asyncio
import re
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from rostra.core import Settings, configure_logging, load_settings

if TYPE_CHECKING:
    from rostra.runtime import Runtime

T = TypeVar("T")

# Columns of what is no terminal: more than any line has.
_UNLIMITED = 1_000_000
# What a terminal might take for a command, but for line ends and tabs; marks that turn the
# direction of text; halves of characters, which cannot be written at all.
_STEERING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
# Every database takes it.
_MAX_OFFSET = 2**31 - 1

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
collection_option = click.option(
    "-c", "--collection", default="default", show_default=True, help="Collection to use."
)
offset_option = click.option(
    "--offset",
    default=0,
    show_default=True,
    type=click.IntRange(0, _MAX_OFFSET),
    help="Skip this many.",
)


class _SafeConsole(Console):
    """Prints nothing that steers the terminal but its own colours."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The segments of what is to be printed."""
        for segment in super().render(renderable, options):
            if segment.control or not _STEERING.search(segment.text):
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


def printable(text: str) -> str:
    """A text without what would steer a terminal; lines and tabs stay.

    >>> printable("a\x1b[31mb")
    'a[31mb'
    """
    return _STEERING.sub("", text)


def console() -> Console:
    """For results, on stdout."""
    piped = not sys.stdout.isatty()
    return _SafeConsole(
        highlight=False, emoji=False, soft_wrap=piped, width=_UNLIMITED if piped else None
    )


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[object]], *, header: bool = True
) -> None:
    """Prints a table on stdout; cells are plain text.

    Args:
        headings: of the columns. The first column, which names the row, keeps its width when the
            terminal is narrow; the others fold.
        rows: one cell a column.
        header: whether the headings are printed.
    """
    table = Table(box=None, show_header=header)
    for number, heading in enumerate(headings):
        table.add_column(heading, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console().print(table)


def print_json(value: Any) -> None:
    """One JSON value on stdout; UUIDs and times as strings, what steers a terminal escaped."""
    text = msgspec.json.encode(value).decode()
    sys.stdout.write(_STEERING.sub(lambda one: f"\\u{ord(one[0]):04x}", text) + "\n")
    sys.stdout.flush()


def settings_of_process(**overrides: Any) -> Settings:
    """This process's settings, with logging set up by them.

    Raises:
        ConfigError: a setting is wrong.
    """
    settings = load_settings(**overrides)
    configure_logging(settings.log_level, settings.log_format)
    return settings


def with_runtime(
    work: Callable[["Runtime"], Coroutine[Any, Any, T]], settings: Settings | None = None
) -> T:
    """Runs asynchronous work over an open platform; by default with the process's settings.

    Raises:
        RostraError: whatever the work raises.
    """
    # What only prints does not wait for the platform.
    from mcp_servers import SandboxRunner
    from rostra.runtime import open_runtime

    chosen = settings or settings_of_process()

    async def run() -> T:
        async with open_runtime(chosen, code=SandboxRunner()) as runtime:
            return await work(runtime)

    return asyncio.run(run())
