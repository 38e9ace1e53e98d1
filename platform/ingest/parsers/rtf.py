"""RTF: paragraphs, lists, tables and headings; headings by outline levels and styles.

Read here rather than by a library, because those give flat text: which paragraph is a heading, an
item or a cell is lost. What always holds: time is linear in the file; unknown control words are
passed over, as the specification wants; hidden and deleted text, headers, footers, comments and
pictures are no part of the text. Source: Rich Text Format Specification 1.9.1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from rostra.ingest.builder import DocumentBuilder, clean_title, markdown_row
from rostra.ingest.document import JsonScalar, ParsedDocument, SpanKind
from rostra.ingest.errors import CorruptFile, TooDeep
from rostra.ingest.limits import ParseLimits

_TOKEN = re.compile(
    r"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|([\r\n\x00]+)"
    r"|([^\\{}\r\n\x00]+)|\\\Z",
    re.S,
)
_CHARACTERS: Mapping[str, str] = MappingProxyType(
    {
        "tab": "\t",
        "line": "\n",
        "emdash": "—",
        "endash": "–",
        "emspace": " ",
        "enspace": " ",
        "qmspace": " ",
        "bullet": "•",
        "lquote": "‘",
        "rquote": "’",
        "ldblquote": "“",
        "rdblquote": "”",
        "nestcell": " ",
        "nestrow": "\n",
    }
)
_SYMBOLS: Mapping[str, str] = MappingProxyType(
    {"~": "\xa0", "_": "\u2011", "{": "{", "}": "}", "\\": "\\", "\t": "\t"}
)
_SKIPPED_WORDS = (
    "colortbl pict object header headerl headerr headerf footer footerl footerr footerf fldinst "
    "annotation atnid atnauthor atnref atndate xe tc rxe bkmkstart bkmkend listtable "
    "listoverridetable revtbl rsidtbl generator filetbl themedata datastore latentstyles "
    "ftnsep ftnsepc aftnsep aftnsepc nonesttables private mmathPr nonshppict objdata "
    "pntxta pntxtb do"
)
_SKIPPED = frozenset(_SKIPPED_WORDS.split())
_MARKS = frozenset({"listtext", "pntext"})
_SINKS: Mapping[str, str] = MappingProxyType(
    {"fonttbl": "font", "stylesheet": "style", "footnote": "note", "info": "info"}
)
_INFO = frozenset({"title", "author"})
_CHARSETS: Mapping[int, str] = MappingProxyType(
    {
        77: "mac_roman",
        128: "cp932",
        129: "cp949",
        130: "johab",
        134: "gbk",
        136: "big5",
        161: "cp1253",
        162: "cp1254",
        163: "cp1258",
        177: "cp1255",
        178: "cp1256",
        186: "cp1257",
        204: "cp1251",
        222: "cp874",
        238: "cp1250",
        254: "cp437",
        255: "cp850",
    }
)
_HEADING = re.compile(r"heading (\d)", re.I)
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DEPTH = 10_000


@dataclass(frozen=True, slots=True)
class _State:
    """What a group inherits and gives back at its end."""

    sink: str = "text"
    hidden: bool = False
    # Characters that stand for a \u escape to readers that do not know it.
    fallback: int = 1
    font: int = -1


def parse(data: bytes, name: str, media_type: str, limits: ParseLimits) -> ParsedDocument:
    """Reads a Rich Text file.

    Raises:
        CorruptFile: if it ends before it is complete.
        TooDeep: if its groups are nested deeper than any writer nests them.
        TooLarge: if the text is over its limit.
    """
    reader = RtfReader(DocumentBuilder(limits.max_text_chars))
    complete = reader.read(data.decode("latin-1"))
    if not complete:
        raise CorruptFile("the RTF is cut off")
    facts: dict[str, JsonScalar] = {}
    if author := clean_title(reader.info.get("author", "")):
        facts["author"] = author
    title = clean_title(reader.info.get("title", "")) or reader.first_heading or name
    return reader.builder.build(title, media_type, facts)


class RtfReader:
    """Reads one RTF text, its bytes given as code points."""

    def __init__(self, builder: DocumentBuilder) -> None:
        self.builder = builder
        self.info: dict[str, str] = {}
        self.first_heading = ""
        self._state = _State()
        self._stack: list[_State] = []
        self._codec = "cp1252"
        self._fonts: dict[int, str] = {}
        self._styles: dict[int, int] = {}
        # Text of each sink, and bytes not decoded yet.
        self._text: dict[str, list[str]] = {}
        self._bytes: list[str] = []
        self._skip = 0
        # The style or font that a table of them defines at the moment.
        self._defined = -1
        self._level = 0
        self._style_level = 0
        self._indent: int | None = None
        self._in_table = False
        self._cells: list[str] = []
        self._rows: list[str] = []
        self._in_list = False

    def read(self, source: str) -> bool:
        """Reads everything; False if the text ends before its last group does."""
        position = 0
        while position < len(source):
            found = _TOKEN.match(source, position)
            if found is None:
                break
            position = found.end()
            word, number, code, symbol, brace, _, plain = found.groups()
            if brace == "{":
                self._open()
            elif brace == "}":
                self._close()
                if not self._stack:
                    break
            elif word is not None:
                if word == "bin" and number is not None:
                    position += max(0, int(number))
                else:
                    self._word(word, None if number is None else int(number))
            elif code is not None:
                self._put(chr(int(code, 16)))
            elif symbol is not None:
                self._symbol(symbol)
            elif plain is not None:
                self._put(plain)
        self._paragraph()
        self._table()
        return not self._stack

    def _open(self) -> None:
        self._decode()
        self._skip = 0
        if len(self._stack) >= _MAX_DEPTH:
            raise TooDeep("the RTF's groups are nested too deeply")
        self._stack.append(self._state)

    def _close(self) -> None:
        self._decode()
        self._skip = 0
        if not self._stack:
            return
        sink = self._state.sink
        if sink == "style":
            self._define_style()
        elif sink in _INFO:
            self.info.setdefault(sink, self._taken(sink))
        self._state = self._stack.pop()
        if sink == "mark" and self._state.sink != "mark":
            self._taken("mark")
            self._indent = self._indent or 0

    def _into(self, sink: str) -> None:
        """Sends the rest of this group elsewhere."""
        if self._state.sink != "skip":
            self._state = replace(self._state, sink=sink)

    def _word(self, word: str, number: int | None) -> None:
        self._decode()
        self._skip = 0
        state = self._state
        on = number != 0
        if word in _SKIPPED:
            self._into("skip")
        elif word in _MARKS:
            self._into("mark")
        elif word in _SINKS:
            self._into(_SINKS[word])
        elif word in _INFO and state.sink == "info":
            self._into(word)
        elif word == "u" and number is not None:
            self._decoded(chr(number % 0x10000))
            self._skip = state.fallback
        elif word == "uc" and number is not None:
            self._state = replace(state, fallback=max(0, number))
        elif word == "f" and number is not None:
            self._state = replace(state, font=number)
            self._defined = number if state.sink == "font" else self._defined
        elif word == "fcharset" and state.sink == "font":
            self._fonts[self._defined] = _CHARSETS.get(number or 0, "")
        elif word in {"v", "deleted"}:
            self._state = replace(state, hidden=on)
        elif word == "plain":
            self._state = replace(state, hidden=False, font=-1)
        elif word in {"ansicpg", "mac", "pc", "pca"}:
            self._codec = _codec(word, number or 0)
        elif state.sink in {"text", "style"}:
            self._layout(word, number)

    def _layout(self, word: str, number: int | None) -> None:
        """Words about paragraphs, in the text or in the definition of a style."""
        if word == "outlinelevel":
            self._level = number + 1 if number is not None and 0 <= number < 9 else 0
        elif word == "s" and number is not None:
            self._defined = number
            self._style_level = self._styles.get(number, 0)
        elif self._state.sink == "style":
            return
        elif word in {"par", "sect", "page", "column"}:
            self._end_paragraph()
        elif word == "pard":
            self._level = self._style_level = 0
            self._indent = None
            self._in_table = False
        elif word == "intbl":
            self._in_table = True
        elif word == "ls":
            self._indent = self._indent or 0
        elif word == "ilvl" and number is not None:
            self._indent = min(8, max(0, number))
        elif word == "cell":
            self._cells.append(self._taken("text"))
            self._notes()
        elif word == "row":
            self._row()
        elif word in _CHARACTERS:
            self._decoded(_CHARACTERS[word])

    def _symbol(self, symbol: str) -> None:
        self._decode()
        self._skip = 0
        if symbol == "*":
            # What follows may be ignored by those who do not know it; lists' marks are known.
            self._into("skip")
        elif symbol in "\r\n" and self._state.sink == "text":
            self._end_paragraph()
        elif symbol in _SYMBOLS:
            self._decoded(_SYMBOLS[symbol])

    def _put(self, characters: str) -> None:
        """Takes bytes, less those that stand for an escape before them."""
        if self._skip:
            skipped = min(self._skip, len(characters))
            self._skip -= skipped
            characters = characters[skipped:]
        if characters and self._state.sink != "skip" and not self._state.hidden:
            self._bytes.append(characters)

    def _decode(self) -> None:
        if self._bytes:
            raw = "".join(self._bytes).encode("latin-1")
            self._bytes.clear()
            codec = self._fonts.get(self._state.font) or self._codec
            self._decoded(raw.decode(codec, errors="replace"))

    def _decoded(self, text: str) -> None:
        state = self._state
        if state.sink != "skip" and not state.hidden:
            self._text.setdefault(state.sink, []).append(text)

    def _taken(self, sink: str) -> str:
        """The text of a sink so far, which is empty afterwards."""
        text = "".join(self._text.pop(sink, ()))
        if _SURROGATE.search(text):
            # Characters beyond 16 bits are written as two escapes.
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return text.strip()

    def _define_style(self) -> None:
        name = self._taken("style").rstrip(";")
        found = _HEADING.match(name)
        level = int(found.group(1)) if found else 1 if name.lower() == "title" else self._level
        if self._defined >= 0 and level:
            self._styles[self._defined] = min(6, level)
        self._level = self._style_level = 0
        self._defined = -1

    def _end_paragraph(self) -> None:
        if self._in_table:
            self._decoded("\n")
        else:
            self._paragraph()

    def _paragraph(self) -> None:
        self._decode()
        text = self._taken("text")
        if not text:
            self._in_list = False
            return
        self._table()
        level = min(6, self._level or self._style_level)
        if level:
            text = " ".join(text.split())
            self.builder.block(text, SpanKind.HEADING, level)
            self.first_heading = self.first_heading or text
        elif self._indent is not None:
            newlines = 1 if self._in_list else 2
            mark = f"{'  ' * self._indent}- "
            self.builder.block(mark + " ".join(text.split()), SpanKind.LIST_ITEM, newlines=newlines)
        else:
            self.builder.block(text, SpanKind.PARAGRAPH)
        self._in_list = not level and self._indent is not None
        self._notes()

    def _notes(self) -> None:
        if (note := self._taken("note")) and not self._cells and not self._in_table:
            self.builder.block(note, SpanKind.PARAGRAPH)
        elif note:
            self._cells[-1:] = [f"{self._cells[-1] if self._cells else ''} {note}"]

    def _row(self) -> None:
        if rest := self._taken("text"):
            self._cells.append(rest)
        if any(self._cells):
            self._rows.append(markdown_row(self._cells))
        self._cells = []

    def _table(self) -> None:
        self._row()
        if self._rows:
            self.builder.table(self._rows)
            self._rows = []
            self._in_list = False


def _codec(word: str, number: int) -> str:
    """The codec that a file says its bytes are in."""
    named = {"mac": "mac_roman", "pc": "cp437", "pca": "cp850"}.get(word)
    if named is not None:
        return named
    codec = "utf-8" if number == 65001 else f"cp{number}"
    try:
        b"a".decode(codec)
    except (LookupError, UnicodeError):
        return "cp1252"
    return codec
