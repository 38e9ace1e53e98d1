"""E-mails of both formats: headers, bodies, attachments as documents of their own."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage

import pytest

from rostra.ingest.archive import AttachmentSource, attachments_of
from rostra.ingest.document import ParsedDocument
from rostra.ingest.errors import (
    CorruptFile,
    NestedArchive,
    NoText,
    TooDeep,
    TooLarge,
    UnsupportedType,
)
from rostra.ingest.items import FailedSource, Source
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers import attachment_name, parse_bytes
from rostra.ingest.parsers.outlook import unpacked_rtf
from rostra.ingest.reasons import words_of

Parse = Callable[[bytes | str, str], ParsedDocument]
Texts = Callable[[ParsedDocument, str], list[str]]
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Bytes:
    """A source in memory."""

    uri: str
    name: str
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self) -> bytes:
        return self.data


def message(subject: str, body: str = "text") -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = subject, "Ann <ann@example.org>", "b@example.org"
    mail["Date"] = "Mon, 02 Mar 2026 10:00:00 +0100"
    mail.set_content(body)
    return mail


def test_headers_and_body(parse: Parse, texts: Texts) -> None:
    mail = message("Grüße aus Köln", "First line\nsecond\n\n> quoted\n")
    letter = parse(mail.as_bytes(), "a.eml")
    assert letter.text == (
        "Grüße aus Köln\n\nFrom: Ann <ann@example.org>\nTo: b@example.org\n"
        "Date: 2026-03-02T10:00:00+01:00\n\nFirst line\nsecond\n\n> quoted"
    )
    assert letter.title == "Grüße aus Köln"
    assert letter.media_type == "message/rfc822"
    assert letter.metadata["from"] == "Ann <ann@example.org>"
    assert texts(letter, "heading") == ["Grüße aus Köln"]
    assert texts(letter, "paragraph")[1:] == ["First line\nsecond", "> quoted"]


def test_the_page_of_several_forms_is_read(parse: Parse, texts: Texts) -> None:
    mail = message("Two forms", "plain form")
    mail.add_alternative(
        "<style>p{}</style><h2>Hi</h2><p>page form</p>"
        "<table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table>",
        subtype="html",
    )
    mail.get_payload()[1].add_related(PNG, "image", "png", cid="<logo>")  # type: ignore[union-attr,index]
    letter = parse(mail.as_bytes(), "a.eml")
    assert letter.text.endswith("Hi\n\npage form\n\n| A | B |\n| 1 | 2 |")
    assert "plain form" not in letter.text
    assert "attachments" not in letter.metadata, "a picture in the page is none"


EMPTY_PAGES = [
    "<html><body></body></html>",
    "<html><body><img src='cid:1'><p>&nbsp;</p></body></html>",
    "<html><head><style>p{}</style></head><p hidden>no</p></html>",
    "   ",
    "<div>" * 5_000 + "too deep to be read",
]


@pytest.mark.parametrize("page", EMPTY_PAGES)
def test_a_page_that_shows_nothing_gives_way_to_the_text(page: str, parse: Parse) -> None:
    mail = message("Two forms", "plain meeting text")
    mail.add_alternative(page, subtype="html")
    assert parse(mail.as_bytes(), "a.eml").text.endswith("\n\nplain meeting text")
    streams = outlook(
        **{
            "__substg1.0_1000001F": wide("plain meeting text"),
            "__substg1.0_10130102": page[:4000].encode(),
        }
    )
    assert parse(ole(streams), "a.msg").text.endswith("\n\nplain meeting text")


def test_rich_text_is_the_last_form(parse: Parse) -> None:
    rich = b"{\\rtf1 said in rich text}"
    body = struct.pack("<II4sI", 0, len(rich), b"MELA", 0) + rich
    page = {"__substg1.0_10130102": b"<html><body></body></html>"}
    letter = parse(ole(outlook(**{"__substg1.0_10090102": body, **page})), "a.msg")
    assert letter.text.endswith("\n\nsaid in rich text")
    plain = {"__substg1.0_1000001F": wide("in plain words")}
    damaged = {"__substg1.0_10090102": b"what"}
    letter = parse(ole(outlook(**damaged, **page, **plain)), "a.msg")
    assert letter.text.endswith("\n\nin plain words")
    with pytest.raises(CorruptFile, match="Rich Text"):
        parse(ole(outlook(**damaged, **page)), "a.msg")


def test_each_text_of_a_message_is_chosen_by_itself(parse: Parse) -> None:
    """Two texts in two forms each, and a page in parts with a picture between them."""
    first = "--a\nContent-Type: text/plain\n\nFirst plain\n--a\nContent-Type: text/html\n\n"
    data = (
        "Subject: s\nContent-Type: multipart/mixed; boundary=m\n\n"
        "--m\nContent-Type: multipart/alternative; boundary=a\n\n"
        f"{first}<p>First page</p>\n--a--\n"
        "--m\nContent-Type: multipart/alternative; boundary=b\n\n"
        "--b\nContent-Type: text/plain\n\nSecond plain\n"
        "--b\nContent-Type: multipart/mixed; boundary=c\n\n"
        "--c\nContent-Type: text/html\n\n<p>Second page</p>\n"
        "--c\nContent-Type: text/html\n\n<p>its end</p>\n--c--\n--b--\n--m--\n"
    )
    letter = parse(data, "a.eml")
    assert letter.text == "s\n\nFirst page\n\nSecond page\n\nits end"


def test_a_message_without_an_ending_is_recognised(parse: Parse) -> None:
    mail = message("Hello")
    mail["Message-ID"] = "<1@example.org>"
    assert parse(mail.as_bytes(), "12345").media_type == "message/rfc822"
    assert parse("Note: this is text\nabout: things\n\nReceived: no", "12345").media_type == (
        "text/plain"
    )


def letter_with_attachments() -> bytes:
    mail = message("Outer")
    mail.add_attachment(b"a,b\n1,2\n", maintype="text", subtype="csv", filename="../t/x.csv")
    inner = message("Inner", "inner text")
    inner.add_attachment(b"# Deep", maintype="text", subtype="markdown", filename="deep.md")
    mail.add_attachment(inner)
    mail.add_attachment(b"PK\x03\x04", maintype="application", subtype="zip", filename="a.zip")
    mail.add_attachment(b"\0", maintype="application", subtype="x-other", filename="a.xyz")
    mail.add_attachment(
        message("File").as_bytes(), maintype="application", subtype="octet-stream", filename="f.eml"
    )
    return mail.as_bytes()


def all_documents(source: Source, limits: ParseLimits) -> Mapping[str, ParsedDocument | str]:
    """Every document that a message gives, by address; or the code of why not."""
    document = parse_bytes(source.read(), source.name, limits)
    found: dict[str, ParsedDocument | str] = {source.uri: document}
    for item in attachments_of(source, document):
        if isinstance(item, FailedSource):
            found[item.uri] = item.error.code
        else:
            found |= all_documents(item, limits)
    return found


def test_attachments_are_documents_of_their_own(limits: ParseLimits) -> None:
    data = letter_with_attachments()
    outer = parse_bytes(data, "a.eml", limits)
    assert outer.metadata["attachments"] == "x.csv / Inner.eml / a.zip / a.xyz / f.eml"
    assert outer.text.endswith("Attachments: x.csv, Inner.eml, a.zip, a.xyz, f.eml")
    found = all_documents(Bytes("file:///a.eml", "a.eml", data), limits)
    texts = {
        uri: one if isinstance(one, str) else (one.title, one.text.split("\n\n")[-1])
        for uri, one in found.items()
    }
    assert {uri.removeprefix("file:///a.eml!/"): text for uri, text in texts.items()} == {
        "file:///a.eml": ("Outer", outer.text.split("\n\n")[-1]),
        "1/x.csv": ("x.csv", "| a | b |\n| 1 | 2 |"),
        "2/Inner.eml": ("Inner", "Attachments: deep.md"),
        "2/Inner.eml!/1/deep.md": ("Deep", "# Deep"),
        "3/a.zip": NestedArchive.code,
        "5/f.eml": ("File", "text"),
    }


def test_attachments_beyond_the_limit_are_told(limits: ParseLimits) -> None:
    mail = message("Many")
    for number in range(150):
        mail.add_attachment(b"a", maintype="text", subtype="plain", filename=f"{number}.txt")
    source = Bytes("file:///a.eml", "a.eml", mail.as_bytes())
    letter = parse_bytes(source.data, source.name, limits)
    assert letter.metadata["attachments_not_read"] == 50
    assert letter.text.endswith(", 99.txt and 50 more, which are not read")
    *items, last = attachments_of(source, letter)
    assert [type(item) for item in items] == [AttachmentSource] * 100
    assert isinstance(last, FailedSource)
    assert (last.uri, last.error.code) == ("file:///a.eml!/101-150", TooLarge.code)
    assert "150 attachments" in last.error.message
    streams = outlook(**{"__substg1.0_1000001F": wide("text")})
    letter = parse_bytes(ole(streams), "a.msg", limits)
    assert "attachments_not_read" not in letter.metadata


def test_attachments_that_are_not_there(limits: ParseLimits) -> None:
    data = letter_with_attachments()
    for number in (0, 6, -1, 10**30):
        with pytest.raises(CorruptFile):
            parse_bytes(data, attachment_name("a.eml", number, "x"), limits)
    with pytest.raises(CorruptFile, match="only messages"):
        parse_bytes(b"a,b\n", attachment_name("a.csv", 1, "x"), limits)
    with pytest.raises(CorruptFile, match="only messages"):
        name = attachment_name(attachment_name("a.eml", 1, "x.csv"), 1, "y")
        parse_bytes(data, name, limits)
    with pytest.raises(UnsupportedType):
        parse_bytes(b"MZ\x90\x00" + bytes(100), "a.eml", limits)


def test_messages_a_hundred_deep(limits: ParseLimits) -> None:
    mail = message("level 0")
    for level in range(1, 101):
        outer = message(f"level {level}")
        outer.add_attachment(mail)
        mail = outer
    found = all_documents(Bytes("file:///a.eml", "a.eml", mail.as_bytes()), limits)
    codes = [one for one in found.values() if isinstance(one, str)]
    titles = [one.title for one in found.values() if isinstance(one, ParsedDocument)]
    assert titles == [f"level {level}" for level in range(100, 94, -1)]
    assert codes == [TooDeep.code]


def test_parts_nested_beyond_reading(limits: ParseLimits) -> None:
    head = "".join(
        f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(3000)
    )
    with pytest.raises(TooDeep):
        parse_bytes(b"Subject: x\n" + head.encode() + b"\ntext", "a.eml", limits)


@pytest.mark.parametrize(
    "header",
    [
        b"=?utf-8?q?" + b"=C3" * 50_000 + b"?=",
        b"=?nonsense?b?AAAA?=",
        b"=?utf-8?b?A?=",
        b"(" * 100_000,
        b"\xff\xfe raw \xc3\xbc",
        b",".join([b'"a" <a@b>'] * 20_000),
    ],
)
def test_hostile_headers(header: bytes, parse: Parse) -> None:
    data = b"Subject: " + header + b"\nFrom: " + header + b"\nDate: " + header + b"\n\nbody"
    assert parse(data, "a.eml").text.endswith("body")


def test_damaged_parts(parse: Parse) -> None:
    data = (
        b"Subject: s\nContent-Type: text/plain; charset=nonsense\n"
        b"Content-Transfer-Encoding: base64\n\n!!!!"
    )
    assert parse(data, "a.eml").title == "s"
    half = letter_with_attachments()
    for size in range(200, len(half), 97):
        assert parse(half[:size], "a.eml").title == "Outer"


# --- Outlook ------------------------------------------------------------------------------------

FREE, END = 0xFFFFFFFF, 0xFFFFFFFE


def ole(streams: Mapping[tuple[str, ...], bytes]) -> bytes:
    """A compound file of version 3, after MS-CFB; all streams in its small sectors."""
    tree: dict[str, object] = {}
    for path, content in streams.items():
        folder = tree
        for part in path[:-1]:
            folder = folder.setdefault(part, {})  # type: ignore[assignment]
        folder[path[-1]] = content
    mini, mini_fat, entries = bytearray(), list[int](), list[bytearray]()

    def entry(name: str, kind: int) -> int:
        raw = bytearray(128)
        encoded = name.encode("utf-16-le")
        raw[: len(encoded)] = encoded
        struct.pack_into("<HBBIII", raw, 64, len(encoded) + 2, kind, 1, FREE, FREE, FREE)
        entries.append(raw)
        return len(entries) - 1

    def fill(parent: int, folder: dict[str, object]) -> None:
        previous = -1
        for name, content in folder.items():
            index = entry(name, 2 if isinstance(content, bytes) else 1)
            where = (entries[parent], 76) if previous < 0 else (entries[previous], 72)
            struct.pack_into("<I", where[0], where[1], index)
            previous = index
            if isinstance(content, bytes):
                assert len(content) < 4096
                first, count = len(mini_fat), -(-len(content) // 64)
                mini_fat.extend([*range(first + 1, first + count), END][:count])
                mini.extend(content.ljust(count * 64, b"\0"))
                struct.pack_into("<IQ", entries[index], 116, first if count else END, len(content))
            else:
                fill(index, content)  # type: ignore[arg-type]

    entry("Root Entry", 5)
    fill(0, tree)
    directory = b"".join(entries)
    small_fat = b"".join(struct.pack("<I", one) for one in mini_fat)
    parts = [
        part.ljust(-(-len(part) // 512) * 512, pad)
        for part, pad in ((directory, b"\0"), (small_fat, b"\xff"), (bytes(mini), b"\0"))
    ]
    starts, fat, sectors = [], [0xFFFFFFFD], 1
    for part in parts:
        count = len(part) // 512
        starts.append(sectors)
        fat += [*range(sectors + 1, sectors + count), END][:count]
        sectors += count
    struct.pack_into("<IQ", entries[0], 116, starts[2], len(mini))
    parts[0] = b"".join(entries).ljust(len(parts[0]), b"\0")
    assert len(fat) <= 128
    header = struct.pack(
        "<8s16sHHHHH6sIIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", bytes(16), 0x3E, 3,
        0xFFFE, 9, 6, bytes(6), 0, 1, starts[0], 0, 4096, starts[1], len(parts[1]) // 512,
        END, 0, 0,
    ) + struct.pack("<108I", *([FREE] * 108))  # fmt: skip
    return header + struct.pack("<128I", *fat, *([FREE] * (128 - len(fat)))) + b"".join(parts)


def properties(*dates: tuple[int, int], top: bool = True) -> bytes:
    values = b"".join(struct.pack("<HHIQ", 0x40, number, 6, value) for number, value in dates)
    return bytes(32 if top else 24) + values


def wide(text: str) -> bytes:
    return text.encode("utf-16-le")


PROPERTIES = "__properties_version1.0"
# 2026-03-02 09:00 UTC in steps of 100 ns since 1601.
MOMENT = 134_169_156_000_000_000


def outlook(**more: bytes) -> dict[tuple[str, ...], bytes]:
    streams = {
        (PROPERTIES,): properties((0x0039, MOMENT)),
        ("__substg1.0_0037001F",): wide("Quarter\0"),
        ("__substg1.0_0C1A001F",): wide("Ann"),
        ("__substg1.0_5D01001F",): wide("ann@example.org"),
        ("__substg1.0_0E04001F",): wide("Bob; Cid"),
    }
    return streams | {(name,): content for name, content in more.items()}


def test_an_outlook_message(parse: Parse, limits: ParseLimits) -> None:
    attached = "__attach_version1.0_#00000000"
    nested = ("__attach_version1.0_#00000001", "__substg1.0_3701000D")
    streams = outlook(
        **{"__substg1.0_1000001F": wide("Plain body"), "__substg1.0_10130102": b"<p>Page</p>"}
    )
    streams |= {
        (attached, "__substg1.0_3707001F"): wide("notes.md"),
        (attached, "__substg1.0_37010102"): b"# Notes\n\nfrom the meeting",
        (nested[0], "__substg1.0_3001001F"): wide("Earlier"),
        (*nested, PROPERTIES): properties(top=False),
        (*nested, "__substg1.0_0037001F"): wide("Earlier"),
        (*nested, "__substg1.0_1000001F"): wide("what was said"),
    }
    data = ole(streams)
    letter = parse(data, "no-ending")
    assert letter.text == (
        "Quarter\n\nFrom: Ann <ann@example.org>\nTo: Bob; Cid\nDate: 2026-03-02T09:00:00+00:00"
        "\n\nPage\n\nAttachments: notes.md, Earlier.msg"
    )
    found = all_documents(Bytes("file:///a.msg", "a.msg", data), limits)
    documents = [one for one in found.values() if isinstance(one, ParsedDocument)]
    assert [one.title for one in documents] == ["Quarter", "Notes", "Earlier"]
    assert documents[2].text == "Earlier\n\nwhat was said"


def test_compressed_rich_text(parse: Parse) -> None:
    # The example of MS-OXRTFCP 4.1.
    packed = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af8206f6c6878"
        "206265656c6461706e0d0a7d0a80 0fa0".replace(" ", "")
    )
    assert (
        unpacked_rtf(b"\x1d\0\0\0\x0d\0\0\0MELA\0\0\0\0" + b"{\\rtf1 plain}") == b"{\\rtf1 plain}"
    )
    with pytest.raises(CorruptFile):
        unpacked_rtf(packed[:10])
    with pytest.raises(CorruptFile):
        unpacked_rtf(packed[:8] + b"what" + packed[12:])
    # A literal run, then a reference to it: "ab" and four bytes from where it stands.
    stored = struct.pack("<II4sI", 0, 6, b"LZFu", 0) + bytes([0b100]) + b"ab" + bytes([0x0C, 0xF2])
    assert unpacked_rtf(stored) == b"ababab"
    body = struct.pack("<II4sI", 0, 200, b"MELA", 0) + b"{\\rtf1 said in \\b rich\\b0  text}"
    data = ole(outlook(**{"__substg1.0_10090102": body}))
    assert parse(data, "a.msg").text.endswith("\n\nsaid in rich text")


def test_long_subjects_are_text_and_a_bounded_title(parse: Parse, texts: Texts) -> None:
    letter = parse(message("word " * 500 + "end").as_bytes(), "a.eml")
    assert (len(letter.title), letter.title[-3:]) == (300, "rd…")
    assert texts(letter, "heading") == []
    assert texts(letter, "paragraph")[0].endswith("word end")
    escapes = "Subject: a\x1b[31mred\x07\x9b\n\nbody".encode()
    assert parse(escapes, "a.eml").title == "a [31mred"


def test_reasons_are_about_the_file(limits: ParseLimits) -> None:
    """Not about the interpreter that found the damage."""
    header = bytearray(ole(outlook()))
    # A sector of 2 ** 65535 bytes.
    header[30:32] = b"\xff\xff"
    with pytest.raises(CorruptFile, match="damaged: it holds a number that is far too large"):
        parse_bytes(bytes(header), "junk.msg", limits)
    number = b'{"cells": [], "nbformat": ' + b"9" * 5_000 + b"}"
    with pytest.raises(CorruptFile, match="it holds a number that is far too large"):
        parse_bytes(number, "a.ipynb", limits)
    assert words_of(KeyError()) == "KeyError"
    assert words_of(ValueError("long" * 500)) == "long" * 49 + "lon…"
    assert words_of(ValueError("first\nsecond")) == "first"


def test_damaged_outlook_messages(limits: ParseLimits) -> None:
    data = ole(outlook(**{"__substg1.0_1000001F": wide("body" * 100)}))
    with pytest.raises(CorruptFile, match="is none"):
        parse_bytes(b"plain text", "a.msg", limits)
    for size in range(100, len(data), 311):
        try:
            parse_bytes(data[:size], "a.msg", limits)
        except (CorruptFile, NoText):
            continue
    for at in range(512, len(data) - 4, 53):
        looped = data[:at] + struct.pack("<I", 1) + data[at + 4 :]
        try:
            parse_bytes(looped, "a.msg", limits)
        except (CorruptFile, NoText):
            continue


def test_sources_of_attachments_read_the_message(limits: ParseLimits) -> None:
    source = Bytes("file:///a.eml", "a.eml", letter_with_attachments())
    items = attachments_of(source, parse_bytes(source.data, source.name, limits))
    first = items[0]
    assert isinstance(first, AttachmentSource)
    assert (first.size, first.read()) == (source.size, source.data)
    plain = parse_bytes(b"# a", "a.md", limits)
    assert attachments_of(source, plain) == []
