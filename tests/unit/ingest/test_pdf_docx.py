"""PDF and DOCX: pages, headings, order, and every way in which such a file can be broken."""

import io
import zipfile
from collections.abc import Callable, Iterable

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate

from rostra.core import UnreadableFile
from rostra.ingest.document import ParsedDocument
from rostra.ingest.errors import ArchiveBomb, CorruptFile, EmptyFile, EncryptedFile, NoText
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers import parse_bytes

Parse = Callable[[bytes | str, str], ParsedDocument]
Texts = Callable[[ParsedDocument, str], list[str]]


def tables_of(*tables: tuple[list[list[str]], list[tuple[int, int, int, int]]]) -> bytes:
    """A document of tables, each with its texts and the corners of its merges."""
    document = docx.Document()
    for texts, merges in tables:
        table = document.add_table(len(texts), len(texts[0]))
        for row, cells in enumerate(texts):
            for column, text in enumerate(cells):
                table.cell(row, column).text = text
        for top, left, bottom, right in merges:
            first = table.cell(top, left)
            kept = first.text
            first.merge(table.cell(bottom, right)).text = kept
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


MERGED_TEXTS = [
    ["Region", "Sales", ""],
    ["", "May", "June"],
    ["North", "1", "2"],
    ["", "3", "4"],
    ["none in July", "", ""],
]
MERGES = [(0, 0, 1, 0), (0, 1, 0, 2), (2, 0, 3, 0), (4, 0, 4, 2)]
MERGED_ROWS = [
    "| Region | Sales May | Sales June |",
    "| North | 1 | 2 |",
    "| North | 3 | 4 |",
    "| none in July |",
]


def test_cells_of_word_that_span_others(parse: Parse, texts: Texts) -> None:
    form = [["Name", "Ada", ""], ["Born", "1815", "London"]]
    titled = [["Sales of 2024", ""], ["Region", "May"], ["North", "1"]]
    data = tables_of((MERGED_TEXTS, MERGES), (form, [(0, 1, 0, 2)]), (titled, [(0, 0, 0, 1)]))
    document = parse(data, "a.docx")
    assert texts(document, "row") == [
        *MERGED_ROWS,
        "| Name | Ada | Ada |",
        "| Born | 1815 | London |",
        "| Region | May |",
        "| North | 1 |",
    ]
    assert texts(document, "paragraph") == ["Sales of 2024"]


def test_header_rows_that_a_table_of_word_names(parse: Parse, texts: Texts) -> None:
    document = docx.Document(io.BytesIO(tables_of(([["a", "b"], ["c", "d"], ["1", "2"]], []))))
    for row in document.tables[0].rows[:2]:
        row._tr.get_or_add_trPr().append(parse_xml(f"<w:tblHeader {nsdecls('w')}/>"))
    buffer = io.BytesIO()
    document.save(buffer)
    assert texts(parse(buffer.getvalue(), "a.docx"), "row") == ["| a c | b d |", "| 1 | 2 |"]


def test_merges_of_word_that_make_no_sense(parse: Parse, texts: Texts) -> None:
    data = tables_of(([["a", "b"], ["c", "d"]], []))
    document = docx.Document(io.BytesIO(data))
    cells = [cell for row in document.tables[0]._tbl.tr_lst for cell in row.tc_lst]
    odd = (
        '<w:gridSpan w:val="999999999"/>',
        '<w:gridSpan w:val="-3"/>',
        "<w:vMerge/>",
        '<w:gridSpan w:val="x"/><w:vMerge w:val="odd"/>',
    )
    for cell, spans in zip(cells, odd, strict=True):
        properties = cell.get_or_add_tcPr()
        for child in parse_xml(f"<w:tcPr {nsdecls('w')}>{spans}</w:tcPr>"):
            properties.append(child)
    buffer = io.BytesIO()
    document.save(buffer)
    text = parse(buffer.getvalue(), "a.docx").text
    assert all(one in text for one in "abd")


def pdf(*flowables: Flowable, **options: object) -> bytes:
    buffer = io.BytesIO()
    SimpleDocTemplate(buffer, **options).build(list(flowables))
    return buffer.getvalue()


def paragraph(text: str, style: str = "Normal") -> Paragraph:
    return Paragraph(text, getSampleStyleSheet()[style])


def drawn(lines: Iterable[str], **options: object) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, **options)
    for number, line in enumerate(lines):
        canvas.drawString(72, 720 - 12 * number, line)
    canvas.save()
    return buffer.getvalue()


def raw_pdf(pages: str) -> bytes:
    """A PDF with a page tree as given, and a table of offsets that is right."""
    body = b"%PDF-1.4\n"
    offsets = []
    for number, content in enumerate(["<</Type/Catalog/Pages 2 0 R>>", pages], start=1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{content}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    return (
        body
        + (
            f"xref\n0 3\n0000000000 65535 f \n{table}trailer<</Size 3/Root 1 0 R>>\n"
            f"startxref\n{len(body)}\n%%EOF"
        ).encode()
    )


def headings(document: ParsedDocument) -> list[tuple[int, str]]:
    found = [span for span in document.spans if span.kind == "heading"]
    return [(span.level, document.text[span.start : span.end]) for span in found]


def test_pages_have_their_numbers(parse: Parse) -> None:
    data = pdf(
        paragraph("On the first page."),
        PageBreak(),
        paragraph("On the second page."),
        PageBreak(),
        paragraph("On the third page."),
        title="Three pages",
    )
    document = parse(data, "a.pdf")
    pages = [(s.level, document.text[s.start : s.end]) for s in document.spans if s.kind == "page"]
    assert pages == [
        (1, "On the first page."),
        (2, "On the second page."),
        (3, "On the third page."),
    ]
    assert document.title == "Three pages"
    assert document.metadata["pages"] == 3


def test_an_empty_page_keeps_the_numbers_of_the_others(parse: Parse) -> None:
    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    canvas.showPage()
    canvas.drawString(72, 700, "Only here.")
    canvas.showPage()
    canvas.save()
    document = parse(buffer.getvalue(), "a.pdf")
    assert [(s.level, s.start) for s in document.spans if s.kind == "page"] == [(2, 0)]
    assert document.title == "a.pdf"


def test_lines_become_paragraphs(parse: Parse, texts: Texts) -> None:
    first = "This sentence is long enough to be wrapped over the width of a page. " * 4
    second = "The second paragraph is also wrapped by the layout of the page. " * 4
    document = parse(
        pdf(paragraph("Heading here", "Heading1"), paragraph(first), paragraph(second)), "a.pdf"
    )
    assert " ".join(first.split()) in document.text
    assert " ".join(second.split()) in document.text
    assert texts(document, "heading") == ["Heading here"]


def test_headings_come_from_the_outline(parse: Parse) -> None:
    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    for number, (key, title, level) in enumerate([("a", "1. Setup", 0), ("b", "Details", 1)]):
        canvas.bookmarkPage(key)
        canvas.addOutlineEntry(title, key, level)
        canvas.drawString(72, 700 - 100 * number, title)
        canvas.drawString(72, 680 - 100 * number, "Some text that follows the heading of it.")
    canvas.save()
    document = parse(buffer.getvalue(), "a.pdf")
    found = [
        (s.level, document.text[s.start : s.end]) for s in document.spans if s.kind == "heading"
    ]
    assert found == [(1, "1. Setup"), (2, "Details")]


def test_hyphens_at_line_ends(parse: Parse) -> None:
    document = parse(
        drawn(
            [
                "The quick brown fox is well-known for its jumps and for an inter-",
                "national career. Being so well-",
                "known has its price, as everybody in the business of jumping will",
            ]
        ),
        "a.pdf",
    )
    assert "international career" in document.text
    assert "so well-known has" in document.text


def test_lines_that_end_early_stay_lines(parse: Parse) -> None:
    document = parse(
        drawn(["Apples 3", "Pears 4", "A long last line that sets the width"]), "a.pdf"
    )
    assert document.text.startswith("Apples 3\nPears 4\n")


def test_a_password(parse: Parse) -> None:
    with pytest.raises(EncryptedFile):
        parse(drawn(["secret"], encrypt=StandardEncryption("word")), "a.pdf")
    open_to_all = drawn(["open"], encrypt=StandardEncryption("", ownerPassword="owner"))
    assert parse(open_to_all, "a.pdf").text == "open"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", EmptyFile),
        (b"%PDF-1.7\n", CorruptFile),
        (b"no PDF", CorruptFile),
        (drawn(["x" * 50] * 40)[:300], CorruptFile),
        (raw_pdf("<</Type/Pages/Kids[]/Count 0>>"), NoText),
        (drawn([]), NoText),
        (drawn([" "]), NoText),
    ],
    ids=["empty", "header", "no pdf", "truncated", "page tree of 0", "no pages", "no text"],
)
def test_broken_pdfs(parse: Parse, data: bytes, reason: type[UnreadableFile]) -> None:
    with pytest.raises(reason) as caught:
        parse(data, "a.pdf")
    assert caught.value.message


def word(fill: Callable[[docx.document.Document], object]) -> bytes:
    document = docx.Document()
    fill(document)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def repacked(data: bytes, **changes: bytes | None) -> bytes:
    """A container with members replaced, or left out with None; `/` is written `__`."""
    wanted = {name.replace("__", "/"): content for name, content in changes.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", 8) as new:
        for name in old.namelist():
            content = wanted.pop(name.removesuffix(".xml"), old.read(name))
            if content is not None:
                new.writestr(name, content)
    assert not wanted
    return buffer.getvalue()


def report(document: docx.document.Document) -> None:
    document.add_heading("The report", 0)
    document.add_heading("Findings", 1)
    document.add_paragraph("First   words\tand more.")
    document.add_paragraph("bullet", style="List Bullet")
    document.add_paragraph("number", style="List Number")
    table = document.add_table(2, 2)
    for row, values in zip(table.rows, [("a|b", "c"), ("1\n2", "")], strict=True):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    document.add_heading("Details", 2)
    document.add_paragraph("The end.")


def test_a_word_document_in_order(parse: Parse, texts: Texts) -> None:
    document = parse(word(report), "a.docx")
    assert document.text == (
        "The report\n\nFindings\n\nFirst   words\tand more.\n\n- bullet\n- number\n\n"
        "| a\\|b | c |\n| 1 2 |  |\n\nDetails\n\nThe end."
    )
    assert document.title == "The report"
    headings = [
        (s.level, document.text[s.start : s.end]) for s in document.spans if s.kind == "heading"
    ]
    assert headings == [(1, "The report"), (1, "Findings"), (2, "Details")]
    assert texts(document, "row") == ["| a\\|b | c |", "| 1 2 |  |"]


def test_tracked_changes_read_as_accepted(parse: Parse) -> None:
    def fill(document: docx.document.Document) -> None:
        paragraph = document.add_paragraph("kept ")
        run = "<w:r><w:t>{}</w:t></w:r>"
        ns = nsdecls("w")
        paragraph._p.append(parse_xml(f"<w:ins {ns} w:id='1'>{run.format('new')}</w:ins>"))
        deleted = "<w:r><w:delText>old</w:delText></w:r>"
        paragraph._p.append(parse_xml(f"<w:del {ns} w:id='2'>{deleted}</w:del>"))

    assert parse(word(fill), "a.docx").text == "kept new"


def test_an_entity_in_a_word_document_is_not_expanded(limits: ParseLimits) -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 9))
    body = (
        f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "boom">{entities}]>'
        f"<w:document {nsdecls('w')}><w:body><w:p><w:r><w:t>text &e8;</w:t></w:r></w:p>"
        "</w:body></w:document>"
    )
    data = repacked(word(report), word__document=body.encode())
    try:
        text = parse_bytes(data, "a.docx", limits).text
    except CorruptFile:
        return
    assert "boom" not in text


@pytest.mark.parametrize(
    "data",
    [
        b"no zip",
        b"PK\x03\x04 but no more",
        word(report)[:2000],
        repacked(word(report), word__document=None),
        repacked(word(report), word__document=b"<not closed"),
        repacked(word(report), word__styles=b""),
    ],
    ids=["no zip", "zip magic", "truncated", "no document", "broken xml", "no styles"],
)
def test_broken_word_documents(parse: Parse, data: bytes) -> None:
    with pytest.raises(CorruptFile) as caught:
        parse(data, "a.docx")
    assert caught.value.message


def test_a_word_document_bomb(parse: Parse) -> None:
    with pytest.raises(ArchiveBomb):
        parse(repacked(word(report), word__document=b" " * 30_000_000), "a.docx")


def test_a_word_document_without_words(parse: Parse) -> None:
    with pytest.raises(NoText):
        parse(word(lambda document: None), "a.docx")
