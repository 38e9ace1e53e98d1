"""Names by rules: what stands above a chunk as its table's header is no heading."""

import pytest

from rostra.ingest.graph.reading import read_by_rules
from rostra.retrieval import NameKind, NameReader, heading_parts

ROWS = "| Numbats | 1936 |\n| Numbats of the western plains and of the desert | 1937 |\n"


def headings(context: str, text: str = ROWS, title: str = "Animals") -> set[str]:
    found = read_by_rules(NameReader(), title, context, text)
    return {name.name for name in found.names if name.kind is NameKind.HEADING}


@pytest.mark.parametrize(
    "header",
    ["| Year | Numbats |", "| Year > 1900 | Numbats |", "| Year | Numb", "Year | Numbats"],
)
def test_the_header_of_a_table_is_no_heading(header: str) -> None:
    text = ROWS.replace("| N", "N").replace(" |\n", "\n") if header[0] != "|" else ROWS
    assert headings(f"Animals > In Australia > {header}", text) == {"Animals", "In Australia"}
    assert headings(header, text) == {"Animals"}
    found = read_by_rules(NameReader(), "Animals", f"In Australia > {header}", text)
    assert found.links == (("anim", "australia", 50),)


def test_a_heading_with_a_bar_is_one() -> None:
    """Titles of pages have the site's name after a bar; what is below it is no table."""
    below = "They live in the west of the country, and in few places only, since foxes came."
    assert headings("Animals > Numbats | Western Parks", below) == {
        "Animals", "Numbats", "Western Parks",
    }  # fmt: skip
    assert heading_parts("| Numbats | Parks |") == ["Numbats", "Parks"]


def test_a_short_row_above_a_long_one_is_no_heading() -> None:
    assert headings("") == {"Animals"}
    # Above a sentence a short line is what the sentence is about.
    text = "numbat\nA small animal that eats termites, and has teeth that it does not need.\n"
    assert headings("", text) == {"Animals", "numbat"}
