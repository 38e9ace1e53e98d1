"""LaTeX: what its text says, with sections as headings, tables as rows, and maths as written.

Comments, layout and drawings are left out; arguments of unknown commands are text, so that none is
lost. Own commands without arguments are what they stand for; nothing else is executed, and files to
be included are named, not read. What always holds: time is linear in the file, as braces are paired
once, each end is looked for once, and an own command is read once.
"""

import re
import unicodedata
from dataclasses import dataclass

from rostra.ingest.builder import DocumentBuilder, clean_title, markdown_row
from rostra.ingest.document import JsonScalar, ParsedDocument, SpanKind
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers.latex_macros import DEFINING, DEFS, Macros, bounded
from rostra.ingest.parsers.latex_marks import Marks
from rostra.ingest.parsers.latex_words import (
    ACCENTS,
    DRAWINGS,
    DROPPED,
    LISTS,
    MATHS,
    REFERENCES,
    SECTIONS,
    SYMBOLS,
    TABLES,
    VERBATIM,
    WITH_ARGUMENT,
)
from rostra.ingest.parsers.plain import read_text

_TOKEN = re.compile(
    r"\\([a-zA-Z@]+)\*?[ \t]*|\\(.)|(%[^\n]*\n?[ \t]*)|(\$\$?)|([{}])|(\n[ \t]*\n\s*)"
    r"|(---?|``|''|[~&#])|([^\\%${}\n~&#`'-]+|.)",
    re.S,
)
_BLANKS = re.compile(r"[ \t]*\n?[ \t]*")
_NAME = re.compile(r"\s*\{([a-zA-Z@*]+)\}")
_LANGUAGE = re.compile(r"\s*\{[^{}\n]*\}")
_LABEL = re.compile(r"\\(?:label\{[^{}]*\}|nonumber|notag)\s*")
_COMMENT = re.compile(r"(?<!\\)%[^\n]*\n?[ \t]*")
_TYPOGRAPHY = {"---": "—", "--": "–", "``": "“", "''": "”", "~": " ", "&": " ", "#": "#"}
# Counted in the preamble too.
_BEFORE_TEXT = DEFINING | DEFS | {"title", "author", "let", "input", "include", "subfile"}
_INPUT = re.compile(r"\s{0,20}\{([^{}\n]{1,200})\}|[ \t]{0,20}([^\s{}\\%]{1,200})")
_MAX_INPUTS = 50
_MAX_DEPTH = 30
_MAX_FORMULA_CHARS = 20_000
# Commands that an author's own of the same name do not replace: what they do is not their text.
_STRUCTURE = frozenset(
    {"begin", "end", "item", "title", "author", "maketitle", "caption", "bibitem", "footnote"}
    | {"footnotetext", "thanks", "href", "verb", "lstinline", "par"}
    | {*SECTIONS, *REFERENCES, *DROPPED, *ACCENTS, *_BEFORE_TEXT}
)


@dataclass(slots=True)
class _List:
    """A list that is open; the number of its last item, -1 without numbers."""

    number: int


def parse(data: bytes, name: str, media_type: str, limits: ParseLimits) -> ParsedDocument:
    """Reads a LaTeX file.

    Raises:
        TooLarge: if the text is over its limit.
    """
    decoded, text = read_text(data, limits)
    reader = _Reader(text, DocumentBuilder(limits.max_text_chars))
    begin = text.find("\\begin{document}")
    reader.read(0, len(text), preamble=begin if begin >= 0 else 0)
    reader.flush()
    facts: dict[str, JsonScalar] = {**decoded.metadata}
    if reader.author:
        facts["author"] = clean_title(reader.author.replace(" ,", ","))
    if reader.inputs:
        more = f", ... {reader.included:,} in all" if reader.included > len(reader.inputs) else ""
        facts["inputs"] = ", ".join(reader.inputs) + more
    title = reader.title or reader.first_heading or name
    return reader.builder.build(title, media_type, facts)


class _Reader:
    """Reads one source; positions are those of the source."""

    def __init__(self, source: str, builder: DocumentBuilder) -> None:
        self.builder = builder
        self.title = ""
        self.author = ""
        self.first_heading = ""
        # Files that the source would include: the first of them, and their number.
        self.inputs: list[str] = []
        self.included = 0
        self._source = source
        self._marks = Marks(source)
        self._macros = Macros(source, self._marks, builder.check)
        self._ended = False
        self._out: list[str] = []
        self._lists: list[_List] = []
        self._mark = ""
        self._last_item = False
        self._depth = 0
        # Whether blocks are written; not in an argument.
        self._inline = False

    def read(self, position: int, end: int, preamble: int = 0) -> None:
        """Reads a range; of what comes before `preamble` only titles and names count."""
        source = self._source
        while position < end and not self._ended:
            found = _TOKEN.match(source, position, end)
            if found is None:
                return
            word, sign, _, dollar, _, gap, typography, plain = found.groups()
            position = found.end()
            if position <= preamble and word not in _BEFORE_TEXT:
                if word in DROPPED:
                    position = self._marks.dropped(position, end, DROPPED[word])
                continue
            if word is not None:
                position = self._word(word, position, end)
            elif sign is not None:
                position = self._sign(sign, position, end)
            elif dollar is not None:
                position = self._formula(dollar, position, end)
            elif gap is not None:
                self._break()
            elif typography is not None:
                self._out.append(_TYPOGRAPHY.get(typography, typography))
            elif plain is not None:
                self._out.append(plain)

    def flush(self, kind: SpanKind = SpanKind.PARAGRAPH) -> None:
        """Ends the paragraph at hand."""
        if self._inline:
            self._out.append(" ")
            return
        text = _tidy("".join(self._out))
        self._out.clear()
        if not text:
            return
        if self._mark:
            newlines = 1 if self._last_item else 2
            self.builder.block(self._mark + text, SpanKind.LIST_ITEM, newlines=newlines)
            self._mark = ""
            self._last_item = True
        else:
            self.builder.block(text, kind)
            self._last_item = False

    def _break(self) -> None:
        if not self._mark or "".join(self._out).strip():
            self.flush()

    def _word(self, word: str, position: int, end: int) -> int:
        if self._macros.knows(word) and (word in SYMBOLS or word not in _STRUCTURE):
            self._own(word, position)
        elif word in SECTIONS:
            position, text = self._argument(position, end)
            self._heading(text, SECTIONS[word])
        elif word == "begin":
            position = self._begin(position, end)
        elif word == "end":
            position = self._end(position, end)
        elif word == "item":
            position = self._item(position, end)
        elif word in {"title", "author"}:
            position, text = self._argument(position, end)
            if word == "title":
                self.title = self.title or clean_title(text)
            else:
                self.author = self.author or text
        elif word == "maketitle":
            if self.title:
                self._heading(self.title, 1)
        elif word in {"caption", "bibitem", "footnote", "footnotetext", "thanks", "href"}:
            position = self._special(word, position, end)
        elif word in REFERENCES:
            position, text = self._argument(position, end)
            self._out.append(f"[{text}]")
        elif word in {"input", "include", "subfile"}:
            position = self._input(position, end)
        elif word in DEFINING or word in DEFS:
            position = self._macros.define(word, position, end)
        elif word == "let":
            position = self._macros.alias(position, end)
        elif word in DROPPED:
            position = self._marks.dropped(position, end, DROPPED[word])
        elif word in {"verb", "lstinline"}:
            position = self._verb(position, end)
        elif word in SYMBOLS:
            self._out.append(SYMBOLS[word])
        elif word in ACCENTS:
            position, text = self._accented(position, end)
            self._out.append(_with_accent(text, ACCENTS[word]))
        elif word == "par":
            self._break()
        else:
            # Unknown or about type: its arguments are text.
            position = self._marks.optional(position, end)
        return position

    def _own(self, word: str, position: int) -> None:
        """Writes what a command of the source's own stands for."""
        macro = self._macros.get(word)
        if macro is None:
            return
        macro.in_use = True
        if macro.text is not None:
            self._out.append(macro.text)
        elif not macro.is_blocks:
            macro.text = bounded(self._text(macro.start, macro.stop))
            self._out.append(macro.text)
        elif not self._inline and self._depth < _MAX_DEPTH:
            self._depth += 1
            self.read(macro.start, macro.stop)
            self._depth -= 1
        macro.in_use = False
        if self._source[position - 1] in " \t":
            # TeX takes the blank for the command's end, and authors see to it that it is there.
            self._out.append(" ")

    def _input(self, position: int, end: int) -> int:
        """Notes the name of a file that would be included."""
        found = _INPUT.match(self._source, position, end)
        if found is None:
            return position
        self.included += 1
        if len(self.inputs) < _MAX_INPUTS:
            self.inputs.append(clean_title(found.group(1) or found.group(2)))
        return found.end()

    def _special(self, word: str, position: int, end: int) -> int:
        if word == "href":
            position, _ = self._argument(position, end)
            position, text = self._argument(position, end)
            self._out.append(text)
            return position
        position = self._marks.optional(position, end)
        position, text = self._argument(position, end)
        if word == "caption":
            self.flush()
            self._out.append(text)
            self.flush()
        elif word == "bibitem":
            self.flush()
            self._out.append(f"[{text}] ")
        elif text.strip():
            self._out.append(f" ({text.strip()})")
        return position

    def _heading(self, text: str, level: int) -> None:
        text = clean_title(text)
        if self._inline or not text:
            self._out.append(text)
            return
        self.flush()
        self.builder.block(text, SpanKind.HEADING, level)
        self.first_heading = self.first_heading or text
        self._last_item = False

    def _begin(self, position: int, end: int) -> int:
        found = _NAME.match(self._source, position, end)
        if found is None:
            return position
        name = found.group(1)
        position = found.end()
        inside = name in MATHS or name in VERBATIM or name in TABLES or name in DRAWINGS
        if inside:
            stop = self._marks.find(f"\\end{{{name}}}", position, end)
            after = min(end, stop + len(name) + 6)
            if name in MATHS:
                self._display(position, stop)
            elif name in VERBATIM:
                self._code(name, position, stop)
            elif name in TABLES:
                self._table(name, position, stop)
            return after
        self.flush()
        if name in LISTS:
            self._lists.append(_List(0 if "enum" in name else -1))
            self._mark = ""
        elif name == "abstract":
            self._heading("Abstract", 2)
        position = self._marks.optional(position, end)
        if name in WITH_ARGUMENT:
            position, _ = self._argument(position, end)
        elif name == "frame":
            following = _BLANKS.match(self._source, position, end)
            at = following.end() if following else position
            if self._source[at : at + 1] == "{":
                position, title = self._argument(at, end)
                self._heading(title, 2)
        return position

    def _end(self, position: int, end: int) -> int:
        found = _NAME.match(self._source, position, end)
        if found is None:
            return position
        self.flush()
        self._ended = found.group(1) == "document" and not self._inline
        if found.group(1) in LISTS and self._lists:
            self._lists.pop()
            self._mark = ""
            if not self._lists:
                self._last_item = False
        return found.end()

    def _item(self, position: int, end: int) -> int:
        self.flush()
        label = ""
        if self._source[position : position + 1] == "[":
            stop = self._marks.bracket(position, end)
            label = self._text(position + 1, stop) + " "
            position = stop + 1
        if self._lists and self._lists[-1].number >= 0:
            self._lists[-1].number += 1
        number = self._lists[-1].number if self._lists else -1
        indent = "  " * min(8, max(0, len(self._lists) - 1))
        self._mark = f"{indent}{number}. " if number > 0 and not label else f"{indent}- "
        self._out.append(label)
        return position

    def _sign(self, sign: str, position: int, end: int) -> int:
        if sign in "([":
            close = "\\)" if sign == "(" else "\\]"
            stop = self._marks.find(close, position, end)
            if sign == "(":
                self._out.append(f"${_formula(self._source[position:stop])}$")
            else:
                self._display(position, stop)
            return min(end, stop + 2)
        if sign == "\\":
            self._out.append("\n")
            return self._marks.optional(position, end)
        if sign in ACCENTS:
            position, text = self._accented(position, end)
            self._out.append(_with_accent(text, ACCENTS[sign]))
        elif sign in "&%$#_{}":
            self._out.append(sign)
        elif sign in " ,;:>\n":
            self._out.append(" ")
        return position

    def _formula(self, dollar: str, position: int, end: int) -> int:
        """A formula between dollars, which does not reach past its paragraph."""
        stop = position
        limit = min(end, position + _MAX_FORMULA_CHARS)
        while True:
            stop = self._source.find(dollar, stop, limit)
            if stop < 0:
                self._out.append("$")
                return position
            if self._source[stop - 1] != "\\":
                break
            stop += 1
        if dollar == "$$":
            self._display(position, stop)
        else:
            self._out.append(f"${_formula(self._source[position:stop])}$")
        return stop + len(dollar)

    def _display(self, start: int, end: int) -> None:
        formula = _formula(self._source[start:end])
        if self._inline or self._mark:
            self._out.append(f" $${formula}$$ ")
        elif formula:
            self.flush()
            self.builder.block(f"$${formula}$$", SpanKind.PARAGRAPH)
            self._last_item = False

    def _code(self, name: str, start: int, end: int) -> None:
        if self._source[start : start + 1] == "[":
            start = self._marks.bracket(start, end) + 1
        if name == "minted" and (
            found := re.compile(r"\s*\{[^{}\n]*\}").match(self._source, start)
        ):
            start = found.end()
        code = self._source[start:end].strip("\n").rstrip()
        if self._inline:
            self._out.append(code)
        elif code.strip():
            self.flush()
            self.builder.block(code, SpanKind.CODE)
            self._last_item = False

    def _table(self, name: str, start: int, end: int) -> None:
        position = self._marks.optional(start, end)
        for _ in range(2 if name in {"tabularx", "tabulary", "tabular*"} else 1):
            if self._source[position : position + 1] == "{":
                position = min(end, self._marks.closing.get(position, position) + 1)
        rows = []
        for cells in self._marks.cells(position, end):
            texts = [_tidy(self._text(first, last)) for first, last in cells]
            if any(texts):
                rows.append(markdown_row(texts))
        if self._inline:
            self._out.append("\n".join(rows))
        elif rows:
            self.flush()
            self.builder.table(rows)
            self._last_item = False

    def _verb(self, position: int, end: int) -> int:
        if position >= end:
            return position
        close = self._source[position]
        close = "}" if close == "{" else close
        line = self._source.find("\n", position, end)
        stop = self._source.find(close, position + 1, line if line >= 0 else end)
        if stop < 0:
            return position
        self._out.append(self._source[position + 1 : stop])
        return stop + 1

    def _argument(self, position: int, end: int) -> tuple[int, str]:
        """Where an argument ends, and its text; optional ones before it are passed over."""
        position = self._marks.optional(position, end)
        found = _BLANKS.match(self._source, position, end)
        position = found.end() if found else position
        if self._source[position : position + 1] != "{":
            return position, ""
        stop = self._marks.closing.get(position)
        if stop is None or stop > end:
            return position + 1, ""
        return stop + 1, self._text(position + 1, stop)

    def _accented(self, position: int, end: int) -> tuple[int, str]:
        """The letter under an accent: in braces, or the next one."""
        at = position
        while at < end and self._source[at] in " \t":
            at += 1
        if self._source[at : at + 1] == "{":
            return self._argument(at, end)
        if self._source.startswith("\\i", at):
            return min(end, at + 2), "ı"
        return min(end, at + 1), self._source[at : min(end, at + 1)]

    def _text(self, start: int, end: int) -> str:
        """The text of a range as one run."""
        if self._depth >= _MAX_DEPTH:
            return self._source[start:end]
        outer = (self._out, self._inline, self._mark)
        self._out, self._inline, self._mark = [], True, ""
        self._depth += 1
        try:
            self.read(start, end)
            return _tidy("".join(self._out))
        finally:
            self._out, self._inline, self._mark = outer
            self._depth -= 1


def _formula(source: str) -> str:
    """A formula as written, on one line, without its labels and comments."""
    return " ".join(_LABEL.sub("", _COMMENT.sub("", source)).split())


def _with_accent(letter: str, accent: str) -> str:
    letter = {"ı": "i", "ȷ": "j"}.get(letter, letter)
    return unicodedata.normalize("NFC", letter[:1] + accent) + letter[1:]


def _tidy(text: str) -> str:
    """Running text: single blanks, and line ends where they were asked for."""
    return " ".join(text.split())
