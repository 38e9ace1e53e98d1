"""Tables of every format: Markdown rows, and their header with each chunk of later rows."""

import io
from collections.abc import Callable
from email.message import EmailMessage
from typing import cast

import docx
import openpyxl
import pptx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pptx.util import Inches

from rostra.core import Embedder, Settings, Tokenizer
from rostra.ingest.chunking import Chunker, StructureChunker, chunk_document, chunk_inputs
from rostra.ingest.chunking.fixed import FixedChunker
from rostra.ingest.chunking.recursive import RecursiveChunker
from rostra.ingest.document import ParsedDocument
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers import parse_bytes

Parse = Callable[[bytes | str, str], ParsedDocument]
HEADER = ["Name", "City", "Count"]
ROWS = [HEADER, *([f"name {n}", f"city {n}", str(n)] for n in range(40))]
HTML = (
    "<table>"
    + "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in ROWS)
    + "</table>"
)


def saved(save: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()


def word() -> bytes:
    document = docx.Document()
    table = document.add_table(0, 3)
    for row in ROWS:
        for cell, value in zip(table.add_row().cells, row, strict=True):
            cell.text = value
    return saved(document.save)


def slides() -> bytes:
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[6])
    table = slide.shapes.add_table(len(ROWS), 3, 0, 0, Inches(5), Inches(5)).table
    for number, row in enumerate(ROWS):
        for column, value in enumerate(row):
            table.cell(number, column).text = value
    return saved(show.save)


def workbook() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in ROWS:
        sheet.append(row)
    return saved(book.save)


def letter() -> bytes:
    mail = EmailMessage()
    mail["Subject"] = "Counts"
    mail.set_content(HTML, subtype="html")
    return mail.as_bytes()


def rich_text() -> bytes:
    lines = ["".join(cell + "\\cell " for cell in row) for row in ROWS]
    rows = "".join(f"\\trowd\\intbl {line}\\row\n" for line in lines)
    return ("{\\rtf1 " + rows + "}").encode()


def latex() -> str:
    rows = "\\\\\n".join(" & ".join(row) for row in ROWS)
    return "\\begin{tabular}{lll}" + rows + "\\end{tabular}"


FILES: dict[str, Callable[[], bytes | str]] = {
    "a.docx": word,
    "a.pptx": slides,
    "a.xlsx": workbook,
    "a.eml": letter,
    "a.rtf": rich_text,
    "a.tex": latex,
    "a.html": lambda: HTML,
    "a.csv": lambda: "\n".join(",".join(row) for row in ROWS),
    "a.md": lambda: "\n".join(["|".join(HEADER), "-|-|-", *("|".join(row) for row in ROWS[1:])]),
}


@pytest.mark.parametrize("name", FILES)
def test_the_header_goes_with_every_chunk(name: str, parse: Parse, toy: Tokenizer) -> None:
    document = parse(FILES[name](), name)
    rows = [document.text[s.start : s.end] for s in document.spans if s.kind == "row"]
    cells = [[cell.strip() for cell in row.strip("| ").split("|")] for row in rows]
    assert cells == ROWS
    tables = [span for span in document.spans if span.kind == "table"]
    assert len(tables) == 1
    chunks = chunk_document(document, toy, max_tokens=80, window=200)
    inside = [chunk for chunk in chunks if chunk.end > tables[0].start]
    assert len(inside) > 3
    for chunk in inside:
        embedded = f"{chunk.header}\n{document.text[chunk.start : chunk.end]}"
        assert rows[0] in embedded, "the header is embedded with its rows"
        if chunk.start > tables[0].start:
            assert rows[0] not in document.text[chunk.start : chunk.end], "and never cited twice"


def table_of(columns: int, rows: int) -> str:
    """A CSV whose cells say where they stand."""
    lines = [",".join(f"col{column}" for column in range(columns))]
    lines += [",".join(f"r{row}c{column}" for column in range(columns)) for row in range(rows)]
    return "\n".join(lines)


def chunkers(toy: Tokenizer, size: int) -> dict[str, Chunker]:
    return {
        "structure": StructureChunker(toy, size, 0, 240),
        "overlapping": StructureChunker(toy, size, size // 4, 240),
        "recursive": RecursiveChunker(toy, size),
        "fixed": FixedChunker(toy, size),
    }


@given(st.integers(1, 60), st.integers(1, 25), st.integers(12, 80))
@settings(max_examples=40, deadline=None)
def test_a_header_and_its_rows_are_together_no_more_than_asked_for(
    toy: Tokenizer, columns: int, rows: int, size: int
) -> None:
    text = f"Words before the table.\n\n{markdown(table_of(columns, rows))}\n\nWords after it."
    document = parse_bytes(text.encode(), "a.md", ParseLimits.of(Settings()))
    (table,) = [span for span in document.spans if span.kind == "table"]
    for name, chunker in chunkers(toy, size).items():
        for chunk in chunker.chunk(document):
            part = document.text[chunk.start : chunk.end]
            together = len(toy.offsets(part)) + len(toy.offsets(chunk.header))
            assert together <= size or ("\n" not in part and together <= 240), name
            assert len(toy.offsets(chunk.header)) <= size // 2, name
            first_row_ends = document.text.index("\n", table.start)
            if first_row_ends < chunk.start < table.end:
                # A border that is left over alone is in no column.
                assert chunk.header or part == "|", f"{name}: no header"
            else:
                assert not chunk.header, name


class Counting:
    """All of an embedder that cutting needs: it counts."""

    def __init__(self, tokenizer: Tokenizer, max_tokens: int = 200) -> None:
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens


def markdown(table: str) -> str:
    header, *rows = (f"| {line.replace(',', ' | ')} |" for line in table.split("\n"))
    return "\n".join([header, "|" + "-|" * header.count("| "), *rows])


def test_a_part_of_a_row_has_the_header_of_its_columns(parse: Parse, toy: Tokenizer) -> None:
    """In tables too wide for a chunk, each value stands below its own column's name."""
    document = parse(table_of(200, 3), "wide.csv")
    chunks = chunk_document(document, toy, max_tokens=60, window=80)
    parts = [chunk for chunk in chunks if "c57" in document.text[chunk.start : chunk.end]]
    assert len(parts) == 3
    for chunk in parts:
        assert "col57 |" in chunk.header
        assert "col0 |" not in chunk.header


def test_a_header_that_fills_a_chunk_loses_its_last_columns(parse: Parse, toy: Tokenizer) -> None:
    document = parse(table_of(40, 3), "a.csv")
    row = len(toy.offsets(document.text.split("\n")[1]))
    chunks = chunk_document(document, toy, max_tokens=row, window=2 * row)
    headers = {chunk.header for chunk in chunks if chunk.header}
    assert headers
    for header in headers:
        assert header.startswith("| col0 | col1 |")
        assert header.endswith("|"), "no column's name is cut"
        assert "col39" not in header


def test_tables_keep_their_header_without_headings(
    parse: Parse, settings: Settings, toy: Tokenizer
) -> None:
    document = parse(table_of(3, 40), "a.csv")
    plain = settings.model_copy(update={"chunk_headers": False, "chunk_tokens": 40})
    first, *others = chunk_inputs(document, plain, cast(Embedder, Counting(toy)))
    assert first.chunk.context == ""
    assert {one.chunk.context for one in others} == {"| col0 | col1 | col2 |"}


def test_headings_go_before_the_header_where_a_row_fills_the_window(
    parse: Parse, settings: Settings, toy: Tokenizer
) -> None:
    long = ",".join(["word"] * 21)
    document = parse(f"a,b\n{long}\n{long}\n", "people of the town.csv")
    told = settings.model_copy(update={"chunk_tokens": 30})
    contexts = [
        one.chunk.context for one in chunk_inputs(document, told, cast(Embedder, Counting(toy, 52)))
    ]
    assert contexts[1:] == ["| a | b |", "| a | b |"]
