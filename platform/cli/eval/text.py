"""Numbers and texts of evaluations on a terminal.

What always holds: nothing that a document, a model or a set says can steer the terminal; a number
that is not there is a dash.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import click

from evals import Section, show_amount, show_interval
from rostra.cli.output import print_table

# Everything that a terminal might take for a command, and marks that turn the direction of text.
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LONGEST = 500


def plain(text: str, longest: int = _LONGEST) -> str:
    """A text on one line, of bounded length.

    >>> plain("a\\x1b[31m\\nb")
    'a [31m b'
    """
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return _CONTROL.sub(" ", cut)


def amount(value: float | None, unit: str, *, signed: bool = False) -> str:
    """A number with its unit."""
    return plain(show_amount(value, unit, signed=signed))


def interval(low: float | None, high: float | None, unit: str, *, signed: bool = False) -> str:
    """Both ends of an interval."""
    return plain(show_interval(low, high, unit, signed=signed))


def money(cost: float) -> str:
    """What something cost, after a comma; nothing where no price is known."""
    return f", cost {cost:.4f}" if cost else ""


def print_mixed(mixed: Iterable[Mapping[str, Sequence[str]]]) -> None:
    """Says that a run was gone on with by other versions, or on another device."""
    for changed in mixed:
        told = (f"{name} {values[0]}, then {values[1]}" for name, values in changed.items())
        click.echo(f"  done with mixed versions: {plain('; '.join(told))}")


def print_sections(sections: Sequence[Section]) -> None:
    """Prints tables under their titles, with their notes below."""
    for section in sections:
        click.echo(section.title)
        print_table(
            section.columns,
            (
                tuple(plain(cell) if isinstance(cell, str) else cell for cell in row)
                for row in section.rows
            ),
        )
        for note in section.notes:
            click.echo(f"  {plain(note)}")
        click.echo()
