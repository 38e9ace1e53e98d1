"""Tables of every format: Markdown rows, and their header with each chunk of later rows."""

import io
from collections.abc import Callable
from email.message import EmailMessage

import docx
import openpyxl
import pptx
import pytest
from pptx.util import Inches

from rostra.core import Tokenizer
from rostra.ingest.chunking import chunk_document
from rostra.ingest.document import ParsedDocument

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
        embedded = f"{chunk.context}\n{document.text[chunk.start : chunk.end]}"
        assert rows[0] in embedded, "the header is embedded with its rows"
        if chunk.start > tables[0].start:
            assert rows[0] not in document.text[chunk.start : chunk.end], "and never cited twice"
