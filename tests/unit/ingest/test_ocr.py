"""Text recognition: images and scanned pages, without it, and when its time is over."""

import io
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from rostra.core import Settings
from rostra.ingest import media
from rostra.ingest.document import ParsedDocument
from rostra.ingest.errors import CorruptFile, NoText, TooLarge, UnsupportedType
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parser_process import ParserProcess
from rostra.ingest.parsers import ocr, parse_bytes
from rostra.ingest.parsers.image import page_ranges
from rostra.ingest.parsers.ocr import TextBox, in_lines

Parse = Callable[[bytes | str, str], ParsedDocument]
needs_ocr = pytest.mark.skipif(not media.has_ocr(), reason="the extra `ocr` is not installed")
MISSING = "rostra_has_no_such_module"


def picture(*lines: str) -> Image.Image:
    image = Image.new("RGB", (560, 40 + 40 * len(lines)), "white")
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(24)
    for number, line in enumerate(lines):
        pen.text((20, 20 + 40 * number), line, fill="black", font=font)
    return image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def scanned(*pages: str | Image.Image | None) -> bytes:
    """A PDF of pages with text, with a picture of text, or blank."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(560, 200))
    for page in pages:
        if isinstance(page, str):
            canvas.drawString(50, 100, page)
        elif page is not None:
            canvas.drawImage(ImageReader(page), 0, 200 - page.height, page.width, page.height)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


@needs_ocr
@pytest.mark.parametrize(
    ("kind", "name"), [("PNG", "a.png"), ("JPEG", "a.jpg"), ("TIFF", "a.tif"), ("WEBP", "a.webp")]
)
def test_an_image(kind: str, name: str, parse: Parse) -> None:
    found = parse(encoded(picture("The invoice number is 4711"), kind), name)
    assert found.text == "The invoice number is 4711"
    assert found.metadata == {"pages": 1, "ocr": True}
    assert [s.level for s in found.spans if s.kind == "page"] == [1]


@needs_ocr
def test_frames_are_pages_and_clear_parts_are_paper(parse: Parse) -> None:
    clear = Image.new("RGBA", (560, 80), (0, 0, 0, 0))
    ImageDraw.Draw(clear).text(
        (20, 20), "Black on nothing", fill="black", font=ImageFont.load_default(24)
    )
    assert parse(encoded(clear, "PNG"), "a.png").text == "Black on nothing"
    pages = [picture("First page"), picture("Second page")]
    both = parse(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]), "a.tiff")
    assert both.text == "First page\n\nSecond page"
    assert [s.level for s in both.spans if s.kind == "page"] == [1, 2]


WORDS = ("The quarterly report of the museum", "In March the number was 4,711", "See the garden")


@needs_ocr
@pytest.mark.parametrize("turn", [90, 270])
def test_pictures_on_their_side(turn: int, parse: Parse) -> None:
    image = picture(*WORDS).rotate(turn, expand=True)
    assert parse(encoded(image, "PNG"), "a.png").text == " ".join(WORDS)


@needs_ocr
def test_scans_on_their_head(parse: Parse) -> None:
    page = parse(scanned(picture(*WORDS).rotate(180)), "a.pdf")
    assert page.text == " ".join(WORDS)


class Engine:
    """Finds one line of this score in pictures of these widths, a worse one in others."""

    def __init__(self, score: float, *widths: int) -> None:
        self.score = score
        self.widths = widths
        self.seen: list[tuple[int, ...]] = []

    def __call__(self, picture: np.ndarray[Any, Any]) -> SimpleNamespace:
        self.seen.append(picture.shape)
        good = picture.shape[1] in self.widths
        box = [(0, 0), (90, 0), (90, 20), (0, 20)]
        return SimpleNamespace(
            boxes=[box], txts=["good" if good else "bad"], scores=[self.score if good else 0.6]
        )


def test_what_is_tried_and_for_how_long(
    limits: ParseLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(engine: Engine, seconds: float = 100.0) -> list[str]:
        monkeypatch.setattr(ocr, "_engine", lambda: engine)
        reader = ocr.Recogniser(replace(limits, ocr_seconds=seconds))
        return [line.text for line in reader.lines(np.zeros((50, 100, 3), np.uint8))]

    upright = Engine(0.95, 100)
    assert (read(upright), len(upright.seen)) == (["good"], 1)
    turned = Engine(0.95, 50)
    assert (read(turned), len(turned.seen)) == (["good"], 2)
    hasty = Engine(0.95, 50)
    assert (read(hasty, 0.0), len(hasty.seen)) == ([], 1)
    fair = Engine(0.8, 100)
    assert (read(fair), len(fair.seen)) == (["good"], 4)
    noise = Engine(0.7, 100, 50)
    assert (read(noise), len(noise.seen)) == ([], 4)


@needs_ocr
def test_scanned_pages_among_others(parse: Parse) -> None:
    data = scanned("A page with a layer of text", picture("Scanned words"), None)
    found = parse(data, "a.pdf")
    assert found.text == "A page with a layer of text\n\nScanned words"
    assert (found.metadata["pages"], found.metadata["ocr_pages"]) == (3, "2")
    assert "pages_not_read" not in found.metadata, "a blank page is nothing to read"
    pages = [(s.level, found.text[s.start : s.end]) for s in found.spans if s.kind == "page"]
    assert pages[1] == (2, "Scanned words")


@needs_ocr
def test_what_is_left_when_the_time_is_over(limits: ParseLimits) -> None:
    data = scanned("A page with a layer of text", picture("Scanned words"), picture("More words"))
    hasty = replace(limits, ocr_seconds=0.0)
    found = parse_bytes(data, "a.pdf", hasty)
    assert found.text == "A page with a layer of text"
    assert found.metadata["pages_not_read"] == "2-3"
    assert "ROSTRA_PARSE_TIMEOUT" in str(found.metadata["pages_not_read_hint"])


def test_without_text_recognition(limits: ParseLimits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "OCR_MODULES", (MISSING,))
    with pytest.raises(UnsupportedType) as caught:
        parse_bytes(encoded(picture("words"), "PNG"), "a.png", limits)
    assert "pip install 'rostra[ocr]'" in str(caught.value.hint)
    assert not media.is_listed("a.png"), "a folder's images are passed over"
    with pytest.raises(NoText) as none:
        parse_bytes(scanned(picture("Scanned words")), "a.pdf", limits)
    assert "pip install 'rostra[ocr]'" in str(none.value.hint)
    found = parse_bytes(scanned("Some text on a page", picture("x y z")), "a.pdf", limits)
    assert found.metadata["pages_not_read"] == "2"
    assert "pip install 'rostra[ocr]'" in str(found.metadata["pages_not_read_hint"])


@needs_ocr
def test_hostile_images(limits: ParseLimits) -> None:
    good = encoded(picture("words"), "PNG")
    for size in (10, 40, len(good) // 2):
        with pytest.raises(CorruptFile):
            parse_bytes(good[:size], "a.png", limits)
    for name in ("a.png", "a.jpg", "a.tiff", "a.webp"):
        with pytest.raises(CorruptFile, match="is none"):
            parse_bytes(b"plain text", name, limits)
    blank = encoded(Image.new("1", (12_000, 12_000)), "PNG")
    assert len(blank) < 100_000
    with pytest.raises(TooLarge, match="pixels"):
        parse_bytes(blank, "a.png", limits)
    huge = bytearray(good)
    huge[16:24] = b"\x7f\xff\xff\xff" * 2
    with pytest.raises((TooLarge, CorruptFile)):
        parse_bytes(bytes(huge), "a.png", limits)
    with pytest.raises(NoText):
        parse_bytes(encoded(Image.new("RGB", (300, 100), "white"), "PNG"), "a.png", limits)
    with pytest.raises(NoText):
        parse_bytes(encoded(Image.new("RGB", (8, 8)), "PNG"), "icon.png", limits)
    frames = [Image.new("1", (20, 20)) for _ in range(30)]
    many = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    with pytest.raises(TooLarge, match="pages"):
        parse_bytes(many, "a.tiff", replace(limits, max_pages=20))


@needs_ocr
async def test_the_guarded_process_has_memory_for_it(settings: Settings) -> None:
    """A page of the usual size and memory by default; the models stay for the next file."""
    page = Image.new("RGB", (1240, 1754), "white")
    page.paste(picture("Read in a process of its own"), (100, 100))
    async with ParserProcess(settings) as parser:
        found = await parser.parse("a.jpg", encoded(page, "JPEG"))
        assert found.text == "Read in a process of its own"
        first = parser.pid
        assert (await parser.parse("a.png", encoded(picture("again"), "PNG"))).text == "again"
        assert parser.pid == first


def test_boxes_to_lines() -> None:
    boxes = [
        TextBox("right", 110, 12, 150, 31),
        TextBox("left", 10, 10, 100, 30),
        TextBox("column", 400, 11, 500, 31),
        TextBox("below", 10, 40, 100, 60),
    ]
    assert [line.text for line in in_lines(boxes)] == ["left right", "column", "below"]
    assert in_lines([]) == []


def test_page_ranges() -> None:
    assert page_ranges([1, 2, 3, 7, 9, 10]) == "1-3, 7, 9-10"
    assert len(page_ranges(list(range(0, 10_000, 2)))) < 1000
