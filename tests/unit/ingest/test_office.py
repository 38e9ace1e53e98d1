"""Presentations and workbooks: pages, notes, tables, dates and the values of formulas."""

import contextlib
import datetime
import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace

import openpyxl
import pptx
import pytest
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from rostra.core import Settings
from rostra.ingest.document import ParsedDocument
from rostra.ingest.errors import (
    ArchiveBomb,
    CorruptFile,
    EncryptedFile,
    NoText,
    TooLarge,
    UnsupportedType,
)
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers import parse_bytes

Parse = Callable[[bytes | str, str], ParsedDocument]
Texts = Callable[[ParsedDocument, str], list[str]]
SHEET_DATA = re.compile(rb"<sheetData ?/>|<sheetData>.*</sheetData>", re.S)


def presentation() -> bytes:
    show = pptx.Presentation()
    first = show.slides.add_slide(show.slide_layouts[0])
    first.shapes.title.text = "Plan of the\nyear"
    first.placeholders[1].text = "By Ann"
    second = show.slides.add_slide(show.slide_layouts[1])
    second.shapes.title.text = "Goals"
    body = second.placeholders[1].text_frame
    body.text = "Grow"
    deeper = body.add_paragraph()
    deeper.text, deeper.level = "in Asia", 1
    second.notes_slide.notes_text_frame.text = "Do not read this aloud."
    third = show.slides.add_slide(show.slide_layouts[6])
    table = third.shapes.add_table(2, 2, 0, 0, Inches(3), Inches(1)).table
    for row, values in enumerate([("Name", "Count"), ("a|b", "2")]):
        for column, value in enumerate(values):
            table.cell(row, column).text = value
    group = third.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = "in a group"
    show.slides.add_slide(show.slide_layouts[6])
    show.core_properties.author = "Ann"
    buffer = io.BytesIO()
    show.save(buffer)
    return buffer.getvalue()


def workbook(fill: Callable[[openpyxl.Workbook], None]) -> bytes:
    book = openpyxl.Workbook()
    fill(book)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def replaced(data: bytes, member: str, change: Callable[[bytes], bytes]) -> bytes:
    """A container with one member changed."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, change(content) if name == member else content)
    return buffer.getvalue()


def test_a_presentation(parse: Parse, texts: Texts) -> None:
    show = parse(presentation(), "plan.pptx")
    assert show.text == (
        "Plan of the year\n\nBy Ann\n\nGoals\n\n- Grow\n  - in Asia\n\n"
        "Notes:\nDo not read this aloud.\n\n| Name | Count |\n| a\\|b | 2 |\n\nin a group"
    )
    assert show.title == "Plan of the year"
    assert show.metadata == {"slides": 4, "author": "Ann"}
    assert texts(show, "heading") == ["Plan of the year", "Goals"]
    assert texts(show, "row") == ["| Name | Count |", "| a\\|b | 2 |"]
    pages = [(s.level, show.text[s.start : s.end]) for s in show.spans if s.kind == "page"]
    assert [number for number, _ in pages] == [1, 2, 3]
    assert pages[0][1] == "Plan of the year\n\nBy Ann"
    assert pages[2][1].startswith("| Name")


def with_charts() -> bytes:
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[5])
    slide.shapes.title.text = "Sales"
    place = (0, 0, Inches(4), Inches(3))
    shops = CategoryChartData(number_format="0%")
    shops.categories = ["Ulm", "Köln", "Jena"]
    shops.add_series("2025", (0.25, 0.5, None))
    shops.add_series("2026", (0.75, 1, 0.125))
    chart = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *place, shops).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Share by shop"
    chart.category_axis.axis_title.text_frame.text = "Shop"
    chart.value_axis.axis_title.text_frame.text = "Part of all"
    days = CategoryChartData()
    days.categories = [datetime.date(2026, 3, 1), datetime.date(2026, 3, 2)]
    days.add_series("Guests", (12, 1200.5))
    slide.shapes.add_chart(XL_CHART_TYPE.LINE, *place, days)
    points = XyChartData()
    series = points.add_series("Height")
    series.add_data_point(1.5, 2)
    series.add_data_point(3, 4.5)
    slide.shapes.add_chart(XL_CHART_TYPE.XY_SCATTER, *place, points)
    buffer = io.BytesIO()
    show.save(buffer)
    return buffer.getvalue()


def test_charts_are_their_titles_and_numbers(parse: Parse, texts: Texts) -> None:
    show = parse(with_charts(), "a.pptx")
    assert show.text.startswith("Sales\n\nShare by shop\n\nPart of all\n\n| Shop | 2025 |")
    assert texts(show, "row") == [
        "| Shop | 2025 | 2026 |",
        "| Ulm | 25% | 75% |",
        "| Köln | 50% | 100% |",
        "| Jena |  | 12.5% |",
        "|  | Guests |",
        "| 2026-03-01 | 12 |",
        "| 2026-03-02 | 1200.5 |",
        "|  | Height |",
        "| 1.5 | 2 |",
        "| 3 | 4.5 |",
    ]
    assert [show.text[s.start : s.end] for s in show.spans if s.kind == "page"] == [show.text]


def chart_parts(data: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(data)) as container:
        return sorted(name for name in container.namelist() if name.startswith("ppt/charts/chart"))


def test_charts_made_to_do_harm(parse: Parse, limits: ParseLimits) -> None:
    data = with_charts()
    part = chart_parts(data)[0]

    def claims(xml: bytes) -> bytes:
        xml = re.sub(rb'ptCount val="\d+"', b'ptCount val="4000000000"', xml)
        return xml.replace(b'idx="1"', b'idx="3999999999"').replace(b'idx="2"', b'idx="-1"')

    assert "| Ulm | 25% | 75% |" in parse(replaced(data, part, claims), "a.pptx").text

    def many(xml: bytes) -> bytes:
        points = b"".join(b'<c:pt idx="%d"><c:v>1</c:v></c:pt>' % n for n in range(2_000))
        long = (
            b"<c:ser><c:val><c:numRef><c:numCache>" + points + b"</c:numCache></c:numRef></c:val>"
        )
        one = (
            b'<c:ser><c:val><c:numLit><c:pt idx="1"><c:v>1</c:v></c:pt></c:numLit></c:val></c:ser>'
        )
        at = xml.index(b"<c:ser>")
        return xml[:at] + long + b"</c:ser>" + one * 9_000 + xml[at:]

    with pytest.raises(TooLarge):
        parse_bytes(replaced(data, part, many), "a.pptx", limits)
    with pytest.raises(TooLarge, match="columns"):
        parse_bytes(replaced(data, part, many), "a.pptx", replace(limits, max_columns=100))
    relations = "ppt/slides/_rels/slide1.xml.rels"
    lost = parse(
        replaced(data, relations, lambda xml: re.sub(rb"<[^<]*chart[^<]*/>", b"", xml)), "a"
    )
    assert (lost.text, lost.metadata["charts_not_read"]) == ("Sales", 3)


def test_a_workbook(parse: Parse, texts: Texts) -> None:
    def fill(book: openpyxl.Workbook) -> None:
        sheet = book.active
        assert sheet is not None
        sheet.title = "Sales"
        sheet["B2"] = "All figures in euros"
        rows = [
            ["Day", "Shop", "Sum", "Share", "Open"],
            [datetime.date(2026, 3, 1), "Köln", 1200.5, 0.125, True],
            [datetime.datetime(2026, 3, 2, 8, 30), "a|b\nc", 0.1 + 0.2, 1, False],
        ]
        for number, row in enumerate(rows, start=4):
            for column, value in enumerate(row, start=2):
                sheet.cell(number, column, value)
            sheet.cell(number, 5).number_format = "0.0%"
        sheet["B9"] = "A note below"
        hidden = book.create_sheet("Secret")
        hidden["A1"] = "hidden away"
        hidden.sheet_state = "veryHidden"
        book.create_sheet("Empty")
        book.properties.title = "Sales of 2026"

    book = parse(workbook(fill), "sales.xlsx")
    assert book.text == (
        "Sales\n\nAll figures in euros\n\n"
        "| Day | Shop | Sum | Share | Open |\n"
        "| 2026-03-01 | Köln | 1200.5 | 12.5% | TRUE |\n"
        "| 2026-03-02 08:30:00 | a\\|b c | 0.3 | 100% | FALSE |\n\n"
        "A note below"
    )
    assert book.title == "Sales of 2026"
    assert texts(book, "heading") == ["Sales"]
    assert texts(book, "row")[0] == "| Day | Shop | Sum | Share | Open |"


def test_merged_cells(parse: Parse, texts: Texts) -> None:
    def fill(book: openpyxl.Workbook) -> None:
        sheet = book.active
        assert sheet is not None
        rows = [["Marks of 2026"], ["Name", "Score", None, "Place"], [None, "Math", "Art"]]
        rows += [["Ann", 1, 2, "Ulm"], [None, 3, 4, "Bonn"], ["Bob", "absent", None, "Jena"]]
        for row in [*rows, ["A note on all of it"]]:
            sheet.append(row)
        merges = "A1:D1 A2:A3 B2:C2 D2:D3 A4:A5 B6:C6 A7:D7"
        for merge in merges.split():
            sheet.merge_cells(merge)
        sheet.append([])
        for row in [[None, "Score"], ["Name", "Math", "Art"], ["Cid", 5, 6]]:
            sheet.append(row)
        sheet.merge_cells("B9:C9")

    book = parse(workbook(fill), "a.xlsx")
    assert book.text.startswith("Sheet\n\nMarks of 2026\n\n| Name |")
    assert texts(book, "row") == [
        "| Name | Score Math | Score Art | Place |",
        "| Ann | 1 | 2 | Ulm |",
        "| Ann | 3 | 4 | Bonn |",
        "| Bob | absent | absent | Jena |",
        "| A note on all of it |  |  |  |",
        "| Name | Score Math | Score Art |",
        "| Cid | 5 | 6 |",
    ]


def test_cells_of_a_slide_that_span_others(parse: Parse, texts: Texts) -> None:
    values = [["Region", "Sales", ""], ["", "May", "June"], ["North", "1", "2"], ["", "3", "4"]]
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[6])
    frame = slide.shapes.add_table(4, 3, Inches(1), Inches(1), Inches(5), Inches(3))
    for row, cells in enumerate(values):
        for column, text in enumerate(cells):
            frame.table.cell(row, column).text = text
    for first, last in (((0, 0), (1, 0)), ((0, 1), (0, 2)), ((2, 0), (3, 0))):
        frame.table.cell(*first).merge(frame.table.cell(*last))
    buffer = io.BytesIO()
    show.save(buffer)
    document = parse(buffer.getvalue(), "a.pptx")
    assert texts(document, "row") == [
        "| Region | Sales May | Sales June |",
        "| North | 1 | 2 |",
        "| North | 3 | 4 |",
    ]
    assert texts(document, "page") == [document.text]


def test_merges_made_to_do_harm(parse: Parse) -> None:
    def fill(book: openpyxl.Workbook) -> None:
        sheet = book.active
        assert sheet is not None
        for number in range(1, 2_000, 2):
            sheet.cell(number, 1, "a")
            sheet.cell(number, 2, "b" * 300)

    def merge(xml: bytes) -> bytes:
        merges = b'<mergeCell ref="A1:XFD1048576"/>' + b"".join(
            b'<mergeCell ref="A%d:B1048576"/>' % number for number in range(1, 15_000)
        )
        odd = b'<mergeCell ref="A0:ZZZ9999999"/><mergeCell ref="B2"/><mergeCell ref="ZZ:1"/>'
        return xml.replace(
            b"</sheetData>", b"</sheetData><mergeCells>" + merges + odd + b"</mergeCells>"
        )

    data = replaced(workbook(fill), "xl/worksheets/sheet1.xml", merge)
    with contextlib.suppress(CorruptFile):
        assert len(parse(data, "a.xlsx").text) < 1_000_000


def test_formulas_give_their_stored_values(parse: Parse) -> None:
    def fill(book: openpyxl.Workbook) -> None:
        sheet = book.active
        assert sheet is not None
        sheet.append(["Name", "Twice"])
        sheet.append(["a", "=2*21"])

    def compute(xml: bytes) -> bytes:
        # A workbook made by Excel has the values beside the formulas; openpyxl writes none.
        assert b"<v></v>" in xml or b"<v/>" in xml or b"<v />" in xml
        for empty in (b"<v></v>", b"<v/>", b"<v />"):
            xml = xml.replace(empty, b"<v>42</v>")
        return xml

    book = parse(replaced(workbook(fill), "xl/worksheets/sheet1.xml", compute), "a.xlsx")
    assert book.text == "Sheet\n\n| Name | Twice |\n| a | 42 |"


def test_a_cell_far_away_costs_nothing(parse: Parse) -> None:
    def fill(book: openpyxl.Workbook) -> None:
        sheet = book.active
        assert sheet is not None
        sheet["A1"], sheet["XFD1"], sheet["A50000"] = "near", "right", "below"

    assert parse(workbook(fill), "a.xlsx").text == "Sheet\n\n| near | right |\n\nbelow"


def test_too_many_columns_and_rows(limits: ParseLimits) -> None:
    cells = b"".join(b"<c><v>1</v></c>" for _ in range(20_000))

    def widened(xml: bytes) -> bytes:
        return SHEET_DATA.sub(b"<sheetData><row>" + cells + b"</row></sheetData>", xml)

    def far(xml: bytes) -> bytes:
        row = b'<sheetData><row r="2000000000"><c><v>1</v></c></row></sheetData>'
        return SHEET_DATA.sub(row, xml)

    empty = workbook(lambda book: None)
    for change, match in ((widened, "16,384 columns"), (far, "1,048,576 rows")):
        with pytest.raises(TooLarge, match=match):
            parse_bytes(replaced(empty, "xl/worksheets/sheet1.xml", change), "a.xlsx", limits)


ENTITIES = b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 10))
BOMB = b'<!DOCTYPE x [<!ENTITY e0 "boom">' + ENTITIES + b"]>"


def explode(xml: bytes) -> bytes:
    """Declares nested entities and uses the largest as text."""
    head, mark, rest = xml.partition(b"?>")
    body = rest if mark else xml
    at = body.index(b">", body.index(b"<")) + 1
    return (head + mark if mark else b"") + BOMB + body[:at] + b"&e9;" + body[at:]


@pytest.mark.parametrize(
    "member", ["xl/workbook.xml", "xl/worksheets/sheet1.xml", "[Content_Types].xml"]
)
def test_entity_bombs_in_a_workbook(member: str, limits: ParseLimits) -> None:
    def fill(book: openpyxl.Workbook) -> None:
        sheet = book.active
        assert sheet is not None
        sheet.append(["a", "b"])

    bomb = replaced(workbook(fill), member, explode)
    with contextlib.suppress(CorruptFile):
        assert "boomboom" not in parse_bytes(bomb, "a.xlsx", limits).text


@pytest.mark.parametrize("member", ["ppt/presentation.xml", "ppt/slides/slide1.xml"])
def test_entity_bombs_in_a_presentation(member: str, limits: ParseLimits) -> None:
    bomb = replaced(presentation(), member, explode)
    with contextlib.suppress(CorruptFile):
        assert "boomboom" not in parse_bytes(bomb, "a.pptx", limits).text


@pytest.mark.parametrize("name", ["a.pptx", "a.xlsx"])
def test_damaged_containers(name: str, limits: ParseLimits) -> None:
    def fill(book: openpyxl.Workbook) -> None:
        book.active.append(["a", "b"])  # type: ignore[union-attr]

    data = presentation() if name == "a.pptx" else workbook(fill)
    for size in (30, len(data) // 2, len(data) - 10):
        with pytest.raises(CorruptFile):
            parse_bytes(data[:size], name, limits)
    with zipfile.ZipFile(io.BytesIO(data)) as container:
        members = container.namelist()
    for member in members:
        damaged = replaced(data, member, lambda xml: xml[: len(xml) // 2])
        try:
            parse_bytes(damaged, name, limits)
        except (CorruptFile, NoText):
            continue


def test_bombs_and_nested_containers(limits: ParseLimits) -> None:
    for name, data in (("a.pptx", presentation()), ("a.xlsx", workbook(lambda book: None))):
        buffer = io.BytesIO(data)
        with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as container:
            container.writestr("ppt/media/image9.bin", b"\0" * 20_000_000)
        with pytest.raises(ArchiveBomb):
            parse_bytes(buffer.getvalue(), name, limits)
    # What is embedded is neither opened nor taken for the file itself.
    buffer = io.BytesIO(presentation())
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as container:
        container.writestr("ppt/embeddings/sheet.xlsx", workbook(lambda book: None))
    assert parse_bytes(buffer.getvalue(), "no-ending", limits).title == "Plan of the year"


def test_wrong_endings(limits: ParseLimits) -> None:
    """The content decides between containers; what is none of them is refused."""
    assert parse_bytes(presentation(), "a.xlsx", limits).title == "Plan of the year"
    for name in ("a.pptx", "a.xlsx", "a.epub"):
        with pytest.raises(CorruptFile, match="is none"):
            parse_bytes(b"just text", name, limits)
        ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le")
        with pytest.raises(EncryptedFile):
            parse_bytes(ole, name, limits)
    with pytest.raises(UnsupportedType, match="before 2007"):
        parse_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "a.xls", limits)


def test_an_empty_workbook_has_no_text(settings: Settings) -> None:
    with pytest.raises(NoText):
        parse_bytes(workbook(lambda book: None), "a.xlsx", ParseLimits.of(settings))
