"""LaTeX's own commands: expanded where they take no argument, and never without an end."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.core import Settings
from rostra.ingest.document import ParsedDocument, check_document
from rostra.ingest.errors import NoText, TooLarge
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers import parse_bytes

Parse = Callable[[bytes | str, str], ParsedDocument]


def paper(preamble: str, body: str) -> str:
    return f"\\documentclass{{article}}{preamble}\\begin{{document}}{body}\\end{{document}}"


@pytest.mark.parametrize(
    ("definition", "text"),
    [
        (r"\newcommand{\prod}{RostraDB}", "RostraDB"),
        (r"\newcommand\prod{\textbf{Rostra} DB}", "Rostra DB"),
        (r"\newcommand*{\prod} {Caf\'e}", "Café"),
        (r"\def\prod{A}\renewcommand{\prod}{B}", "B"),
        (r"\def\prod{A}\providecommand{\prod}{B}", "A"),
        (r"\providecommand{\prod}{B}", "B"),
        (r"\gdef\prod{ACME Corp}", "ACME Corp"),
        (r"\DeclareRobustCommand{\prod}{$x^2$\xspace}", "$x^2$"),
        (r"\def\name{in}\newcommand{\prod}{\name side \name}", "in side in"),
    ],
)
def test_own_commands_are_text(definition: str, text: str, parse: Parse) -> None:
    found = parse(paper(definition, r"By \prod{} and \prod, made \prod here."), "a.tex")
    assert found.text == f"By {text} and {text}, made {text} here."


def test_own_commands_in_titles_headings_and_cells(parse: Parse) -> None:
    source = paper(
        r"\newcommand{\co}{ACME}\title{\co{} guide}\author{\co}",
        r"\maketitle\section{Why \co}\begin{tabular}{ll}\co & 1 \\ b & \co\end{tabular}",
    )
    found = parse(source, "a.tex")
    assert found.text == "ACME guide\n\nWhy ACME\n\n| ACME | 1 |\n| b | ACME |"
    assert (found.title, found.metadata["author"]) == ("ACME guide", "ACME")


def test_what_is_no_text_of_its_own(parse: Parse) -> None:
    """Arguments stay text, other names of a command are none, and lists may be abbreviated."""
    found = parse(
        paper(
            r"\newcommand{\two}[2][x]{#1 and #2}\def\one#1{<#1>}\newcommand{\co}{ACME}"
            r"\let\old\co \let\older=\co"
            r"\newcommand{\bi}{\begin{itemize}}\newcommand{\ei}{\end{itemize}}",
            r"\two{a}, \one{b}.\let\again\co \bi\item c\item d\ei\bi\item e\ei end",
        ),
        "a.tex",
    )
    assert found.text == "a, b.\n\n- c\n- d\n\n- e\n\nend"


def test_reading_ends_with_the_document(parse: Parse) -> None:
    source = paper(r"\def\bye{\end{document}}", "% \\end{document}\nText.") + "\nnotes \\section{x}"
    assert parse(source, "a.tex").text == "Text."
    found = parse("Part \\verb|\\end{document}| one.\\end{document} not this", "a.tex")
    assert found.text == "Part \\end{document} one."


def test_files_that_are_not_read_are_named(parse: Parse) -> None:
    source = paper(
        r"\input{macros}", "Text.\n% \\input{no}\n\\include{ch/one}\\input ch2 \\subfile{s}"
    )
    found = parse(source, "a.tex")
    assert found.text == "Text."
    assert found.metadata["inputs"] == "macros, ch/one, ch2, s"
    assert "inputs" not in parse("Text.", "b.tex").metadata
    many = parse("Text." + "\\input{some/file}" * 1_000, "a.tex").metadata["inputs"]
    assert str(many).endswith(", ... 1,000 in all")
    assert len(str(many)) < 2_000


def test_commands_made_to_do_harm(parse: Parse, limits: ParseLimits) -> None:
    assert parse(r"\def\aa{x\aa\bb}\def\bb{y\aa}\aa\bb z", "a.tex").text == "xyy z"
    letters = "abcdefghijklmnopqrstuvwxyz"
    # Doubled 25 times, and written often: each a text of its own that is bounded.
    chain = "".join(f"\\def\\x{b}{{\\x{a}\\x{a}}}" for a, b in pairwise(letters))
    assert len(parse(f"\\def\\xa{{lol}}{chain}\\xz end", "a.tex").text) < 10_000
    few = replace(limits, max_text_chars=100_000)
    with pytest.raises(TooLarge):
        parse_bytes((f"\\def\\xa{{lol}}{chain}" + "\\xz " * 100_000).encode(), "a.tex", few)
    with pytest.raises(TooLarge):
        items = "\\begin{itemize}" + "\\item a " * 20 + "\\end{itemize}"
        parse_bytes((f"\\def\\i{{{items}}}" + "\\i" * 100_000).encode(), "a.tex", few)
    assert parse("\\def" * 5_000 + "\\newcommand{" * 5_000 + " text", "a.tex").text
    assert parse("\\def\\" + "a" * 50_000 + "{x}" + "\\newcommand" + " " * 50_000 + "text", "a.tex")


SOUP = r"""\def\aa{ \newcommand{\bb}{ } { \aa \bb word \let\aa\bb \begin{itemize} \end{itemize}
\item \section{ \input $ % \end{document} \begin{document} \renewcommand\bb{"""
PIECES = st.lists(st.sampled_from([*SOUP.split(), " ", "\n\n"]), max_size=30)


@given(PIECES)
def test_any_soup_of_commands_gives_a_sound_document(pieces: list[str]) -> None:
    try:
        document = parse_bytes(
            ("x" + "".join(pieces)).encode(), "a.tex", ParseLimits.of(Settings())
        )
    except NoText:
        return
    check_document(document)
