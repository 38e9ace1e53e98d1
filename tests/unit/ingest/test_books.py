"""EPUB, RTF, LaTeX and notebooks: their structure, and files made to do harm."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rostra.core import Settings
from rostra.ingest.document import ParsedDocument, check_document
from rostra.ingest.errors import ArchiveBomb, CorruptFile, EncryptedFile, NoText, TooDeep
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers import parse_bytes

Parse = Callable[[bytes | str, str], ParsedDocument]
Texts = Callable[[ParsedDocument, str], list[str]]

CONTAINER = """<?xml version="1.0"?><container
xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>
<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>"""
PACKAGE = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The Book</dc:title>
<dc:creator>Ann Author</dc:creator><dc:language>en</dc:language></metadata>
<manifest><item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="two" href="text/two%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="one" href="text/one.xhtml" media-type="application/xhtml+xml"/>
<item id="gone" href="text/gone.xhtml" media-type="application/xhtml+xml"/>
<item id="css" href="style.css" media-type="text/css"/></manifest>
<spine><itemref idref="nav"/><itemref idref="one"/><itemref idref="two"/><itemref idref="gone"/>
<itemref idref="one"/></spine></package>"""
NAV = """<html xmlns="http://www.w3.org/1999/xhtml"><body><nav><ol>
<li><a href="text/one.xhtml">Chapter One</a></li>
<li><a href="text/two%20b.xhtml#start">The Second</a></li></ol></nav></body></html>"""
BOOK = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": CONTAINER,
    "OEBPS/book.opf": PACKAGE,
    "OEBPS/nav.xhtml": NAV,
    "OEBPS/text/one.xhtml": "<html><body><h1>Chapter One</h1><p>It begins.</p></body></html>",
    "OEBPS/text/two b.xhtml": (
        '<?xml version="1.0" encoding="utf-8"?><html><head><title>x</title></head><body>'
        "<p>It éends.</p><table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table>"
        "</body></html>"
    ),
}


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as container:
        for name, content in members.items():
            container.writestr(name, content)
    return buffer.getvalue()


def test_a_book(parse: Parse, texts: Texts) -> None:
    book = parse(zipped(BOOK), "book.epub")
    assert book.text == (
        "Chapter One\n\nIt begins.\n\nThe Second\n\nIt éends.\n\n| A | B |\n| 1 | 2 |"
    )
    assert texts(book, "heading") == ["Chapter One", "The Second"]
    assert book.title == "The Book"
    assert book.metadata == {"chapters": 2, "author": "Ann Author", "lang": "en"}


def test_encrypted_books_and_obfuscated_fonts(limits: ParseLimits) -> None:
    def encryption(path: str) -> str:
        return (
            "<encryption xmlns='urn:oasis:names:tc:opendocument:xmlns:container'>"
            "<e:EncryptedData xmlns:e='http://www.w3.org/2001/04/xmlenc#'><e:CipherData>"
            f"<e:CipherReference URI='{path}'/></e:CipherData></e:EncryptedData></encryption>"
        )

    fonts = zipped(BOOK | {"META-INF/encryption.xml": encryption("OEBPS/a.otf")})
    assert parse_bytes(fonts, "a.epub", limits).title == "The Book"
    locked = zipped(BOOK | {"META-INF/encryption.xml": encryption("OEBPS/text/one.xhtml")})
    with pytest.raises(EncryptedFile):
        parse_bytes(locked, "a.epub", limits)


def test_damaged_books(limits: ParseLimits) -> None:
    for change in (
        {"OEBPS/book.opf": PACKAGE[:300]},
        {"META-INF/container.xml": CONTAINER.replace("OEBPS/", "../../etc/")},
        {"OEBPS/book.opf": PACKAGE.replace("<itemref", "<other")},
    ):
        with pytest.raises(CorruptFile):
            parse_bytes(zipped(BOOK | change), "a.epub", limits)
    with pytest.raises(CorruptFile):
        parse_bytes(zipped(BOOK)[:500], "a.epub", limits)
    one_bad = zipped(BOOK | {"OEBPS/text/one.xhtml": "<div>" * 5000 + "deep"})
    book = parse_bytes(one_bad, "a.epub", limits)
    assert book.metadata["damaged_chapters"] == 1
    assert "It éends." in book.text
    with pytest.raises(ArchiveBomb):
        parse_bytes(zipped(BOOK | {"big.bin": b"\0" * 20_000_000}), "a.epub", limits)


def test_entities_of_books_are_not_expanded(limits: ParseLimits) -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 9))
    declared = (
        f'<!DOCTYPE x [<!ENTITY e0 "boom"><!ENTITY f SYSTEM "file:///etc/passwd">{entities}]>'
    )
    head = '<?xml version="1.0"?>'
    package = PACKAGE.replace(head, head + declared).replace("The Book", "&e8;&f;")
    with pytest.raises(CorruptFile, match="entit"):
        parse_bytes(zipped(BOOK | {"OEBPS/book.opf": package}), "a.epub", limits)
    page = f"{head}{declared}<html><body><p>&e8;&f; text</p></body></html>"
    book = parse_bytes(zipped(BOOK | {"OEBPS/text/one.xhtml": page}), "a.epub", limits)
    assert len(book.text) < 2000
    assert "root:" not in book.text


RTF = rb"""{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fnil\fcharset0 Arial;}{\f1\fnil\fcharset204
C;}}{\stylesheet{\s0 Normal;}{\s1\outlinelevel0 heading 1;}{\s2 heading 2;}}
{\info{\title My Title}{\author Ann}}{\*\generator unknown;}{\header page head\par}
\pard\s1 Chapter \'e9t\'e9\par
\pard Some {\b bold} text\u8364? and \u-10179?\u-8704? {\v hidden}{\f1 \'cf\'f0\'e8} end.\par
\pard{\listtext\f0 \'b7\tab}\ls1 item one\par{\listtext\f0 \'b7\tab}item two\par
\pard\s2 More\par\pard\trowd\cellx100\cellx200\intbl A\cell B\cell\row
\trowd\intbl 1\cell 2\line 3\cell\row\pard after{\footnote a note}\par
{\pict\bin5 }{}}x} {\field{\*\fldinst HYPERLINK "http://x"}{\fldrslt link}}\par}trailing"""


def test_rich_text(parse: Parse, texts: Texts) -> None:
    document = parse(RTF, "a.rtf")
    assert document.text == (
        "Chapter été\n\nSome bold text€ and 😀 При end.\n\n- item one\n- item two\n\nMore\n\n"
        "| A | B |\n| 1 | 2 3 |\n\nafter\n\na note\n\nlink"
    )
    assert texts(document, "heading") == ["Chapter été", "More"]
    assert (document.title, document.metadata["author"]) == ("My Title", "Ann")


def test_rich_text_made_to_do_harm(limits: ParseLimits) -> None:
    with pytest.raises(CorruptFile, match="cut off"):
        parse_bytes(RTF[:-30], "a.rtf", limits)
    with pytest.raises(TooDeep):
        parse_bytes(b"{\\rtf1 " + b"{" * 100_000, "a.rtf", limits)
    with pytest.raises(CorruptFile, match="is none"):
        parse_bytes(b"plain", "a.rtf", limits)
    with pytest.raises(NoText):
        parse_bytes(b"{\\rtf1 {\\pict\\bin0 00}}", "a.rtf", limits)
    assert parse_bytes(b"{\\rtf1\\bin-5 \\u99999999 a\\uc-3\\ansicpg1 b}", "a.rtf", limits).text


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_any_bytes_as_rich_text(tail: bytes) -> None:
    try:
        document = parse_bytes(b"{\\rtf1 a" + tail, "a.rtf", ParseLimits.of(Settings()))
    except (CorruptFile, NoText):
        return
    check_document(document)


LATEX = r"""\documentclass[12pt]{article}\usepackage{amsmath} % preamble
\newcommand{\foo}[1]{bar #1}\title{On \emph{Things}}\author{A. M\"uller \and B}
\begin{document}\maketitle
\begin{abstract}We do it.\end{abstract}
\section{Intro}\label{sec:i}
Some \textbf{bold \emph{text}} with $x^2 + y_i$ and 50\% more. % hidden
Caf\'e na\"{\i}ve -- ``quoted''\footnote{A note.}; see \cite{knuth} and~\ref{fig:1}, \$5.

\subsection*{Lists}
\begin{itemize}
\item one
\item two \begin{enumerate}\item a \item b\end{enumerate}
\end{itemize}
\begin{align} a &= b \label{eq:1} \\ c &= d \end{align}
\begin{table}[h]\caption{Kinds}\begin{tabular}{l|c}\hline Name & Count \\ \hline
b \& c & 2 \\ \multicolumn{2}{c}{Sum}\end{tabular}\end{table}
\begin{verbatim}
% not a comment
x = {1}
\end{verbatim}
Code \verb|a_b|. \unknown{kept}
\end{document}"""


def test_latex(parse: Parse, texts: Texts) -> None:
    paper = parse(LATEX, "paper.tex")
    assert paper.text == (
        "On Things\n\nAbstract\n\nWe do it.\n\nIntro\n\n"
        "Some bold text with $x^2 + y_i$ and 50% more. Café naïve – “quoted” (A note.); "
        "see [knuth] and [fig:1], $5.\n\nLists\n\n- one\n- two\n  1. a\n  2. b\n\n"
        "$$a &= b \\\\ c &= d$$\n\nKinds\n\n| Name | Count |\n| b & c | 2 |\n| Sum |\n\n"
        "% not a comment\nx = {1}\n\nCode a_b. kept"
    )
    levels = [(s.level, paper.text[s.start : s.end]) for s in paper.spans if s.kind == "heading"]
    assert levels == [(1, "On Things"), (2, "Abstract"), (2, "Intro"), (3, "Lists")]
    assert texts(paper, "code") == ["% not a comment\nx = {1}"]
    assert paper.title == "On Things"
    assert paper.metadata["author"] == "A. Müller, B"


@pytest.mark.parametrize(
    "source",
    [
        "{" * 300_000,
        r"\section{" * 30_000,
        r"\footnote{" * 3_000 + "x" + "}" * 3_000,
        r"\begin{equation}" * 30_000,
        "$" * 100_001,
        r"\begin{itemize}\item " * 10_000,
        "[" * 100_000,
        r"\textbf[" * 20_000,
    ],
)
def test_latex_that_never_closes_is_soon_read(source: str, limits: ParseLimits) -> None:
    """What looks for every end anew would not be done before this test's time is over."""
    document = parse_bytes(b"text " + source.encode(), "a.tex", limits)
    check_document(document)
    assert document.text.startswith("text")


LATEX_PIECES = ["\\section{", "}", "{", "$", "$$", "\\[", "\\]", "%", "\n\n", "\\item ", "\\\\"]
LATEX_PIECES += ["\\begin{itemize}", "\\end{itemize}", "\\begin{tabular}{ll}", "&", "[", "]"]
LATEX_PIECES += ["\\end{tabular}", "\\'", "\\verb|", "\\begin{verbatim}", "\\footnote{"]


@settings(max_examples=100)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(LATEX_PIECES),
            st.text(alphabet="ab\\ \n\u2028😀", max_size=5),
        ),
        max_size=30,
    )
)
def test_any_latex_gives_a_sound_document(pieces: list[str]) -> None:
    document = parse_bytes(("x" + "".join(pieces)).encode(), "a.tex", ParseLimits.of(Settings()))
    check_document(document)


def notebook(*cells: object, **more: object) -> bytes:
    return json.dumps({"nbformat": 4, "metadata": {}, "cells": cells, **more}).encode()


def test_a_notebook(parse: Parse, texts: Texts) -> None:
    code = {
        "cell_type": "code",
        "source": ["import x\n", "x.run()"],
        "outputs": [
            {"output_type": "stream", "text": ["\x1b[31mred\x1b[0m\n"]},
            {"output_type": "execute_result", "data": {"text/plain": "42", "image/png": "AAAA"}},
            {"output_type": "display_data", "data": {"image/png": "AAAA"}},
            {"output_type": "error", "ename": "E", "evalue": "why", "traceback": ["long"]},
            {"output_type": "stream", "text": "y" * 10_000},
        ],
    }
    markdown = {"cell_type": "markdown", "source": "# Study\n\nWe look at\n\n| a | b |\n|--|--|\n"}
    page = parse(notebook(markdown, code, {"cell_type": "raw", "source": "raw"}), "a.ipynb")
    expected = (
        "# Study\n\nWe look at\n\n| a | b |\n|--|--|\n\nimport x\nx.run()\n\n"
        "red\n\n42\n\nE: why\n\n"
    )
    assert page.text == expected + "y" * 4000 + "\n[...]\n\nraw"
    assert page.title == "Study"
    assert texts(page, "heading") == ["Study"]
    assert texts(page, "code")[:2] == ["import x\nx.run()", "red"]
    assert texts(page, "table") == ["| a | b |\n|--|--|"]


def test_notebooks_that_are_none(limits: ParseLimits) -> None:
    for data in (b"{", b"[]", b'{"cells": 3}', b'{"nbformat": 4}', notebook()[:-5]):
        with pytest.raises(CorruptFile):
            parse_bytes(data, "a.ipynb", limits)
    with pytest.raises(TooDeep):
        parse_bytes(b"[" * 100_000, "a.ipynb", limits)
    odd = notebook(1, {"cell_type": "code", "source": 5, "outputs": [3, {"data": []}]}, {"x": 1})
    with pytest.raises(NoText):
        parse_bytes(odd, "a.ipynb", limits)
