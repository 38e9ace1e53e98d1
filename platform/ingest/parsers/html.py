"""HTML as a person reads it: main text in blocks, code word for word, tables as Markdown rows.

Two steps: `boilerplate` empties what is not shown or is no part of the main text, `PageReader`
walks what is left. When that takes nearly all prose, the page is read again with all that is shown.
Headings are h1 to h6, and the terms of definition lists that can be linked to: reference pages
describe functions and settings that way.
"""

import re

from lxml import etree

from rostra.ingest.builder import DocumentBuilder, clean_title, markdown_row
from rostra.ingest.decode import DecodedText, decode_text
from rostra.ingest.document import JsonScalar, ParsedDocument, SpanKind
from rostra.ingest.errors import CorruptFile, NoText, TooDeep
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers.boilerplate import prune_boilerplate, prune_hidden
from rostra.ingest.parsers.grid import SpanBudget
from rostra.ingest.parsers.html_tables import (
    LINE_BREAK,
    DataTable,
    collapsed,
    data_table,
    short_row,
)


def _tags(names: str) -> tuple[str, ...]:
    return tuple(names.split())


_CHARSET = re.compile(
    rb"""<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)|<meta[^>]*?charset\s*=\s*["']?\s*([\w.:-]+)""",
    re.I,
)
_NOTE_CLASS = re.compile(r"\b(?:note|tip|warning|caution|important|danger|hint|admonition)\b", re.I)
# When less than this part of the prose is left, what went was not navigation.
_LEAST_KEPT = 0.2
_LEAST_DROPPED_CHARS = 200
_HARDLY_ANY_CHARS = 20

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    _tags(
        "address article aside blockquote body caption center dd details dir div dl dt fieldset "
        "figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main "
        "menu nav ol optgroup p section summary table tbody td tfoot th thead tr ul"
    )
)
_VERBATIM = frozenset({"pre", "listing", "xmp", "plaintext"})
# A block without these inside is one run of inline text.
_INSIDE = (*_BLOCKS, *_VERBATIM, "br")
_RUNS = frozenset({"p", "dt", "li", "dd", "td", "th", "figcaption", "caption", *_HEADINGS})
_MAX_TERM_CHARS = 200


def parse(data: bytes, name: str, media_type: str, limits: ParseLimits) -> ParsedDocument:
    """Reads a web page.

    Raises:
        TooLarge: if the text is over its limit.
        NoText: if nothing of it is shown.
        TooDeep: if elements are nested so deep that text would be lost.
        CorruptFile: if it is no HTML at all.
    """
    source, decoded = page_source(data)
    root = page_tree(source)
    titles = [title for title in root.iter("title") if not _is_drawn(title)]
    title = clean_title("".join(titles[0].itertext())) if titles else ""
    language = root.get("lang") or root.get("{http://www.w3.org/XML/1998/namespace}lang") or ""
    dropped = prune_boilerplate(root)
    reader = PageReader(DocumentBuilder(limits.max_text_chars))
    reader.read(root)
    kept = reader.builder.length
    if dropped.chars > _LEAST_DROPPED_CHARS and (
        kept < _HARDLY_ANY_CHARS or kept < _LEAST_KEPT * (kept + dropped.prose)
    ):
        root = page_tree(source)
        prune_hidden(root)
        reader = PageReader(DocumentBuilder(limits.max_text_chars))
        reader.read(root)
    metadata: dict[str, JsonScalar] = {**decoded.metadata}
    if language.strip():
        metadata["lang"] = language.strip()[:35]
    return reader.builder.build(title or reader.title or name, media_type, metadata)


def page_source(data: bytes) -> tuple[bytes, DecodedText]:
    """A page in UTF-8, decoded by what it says of itself."""
    found = _CHARSET.search(data, 0, 4096)
    declared = (found.group(1) or found.group(2)).decode("ascii") if found else None
    decoded = decode_text(data, declared)
    return decoded.text.replace("\x00", "\ufffd").encode("utf-8", errors="replace"), decoded


def page_tree(source: bytes) -> etree._Element:
    """The elements of a page in UTF-8, without comments.

    Raises:
        NoText: if there are none.
        TooDeep: if they are nested so deep that text would be lost.
        CorruptFile: if it is no HTML at all.
    """
    parser = etree.HTMLParser(
        encoding="utf-8",
        remove_comments=True,
        remove_pis=True,
        recover=True,
        huge_tree=True,
        no_network=True,
    )
    try:
        root = etree.fromstring(source, parser)
    except etree.XMLSyntaxError as error:
        if "empty" in str(error):
            raise NoText("the page is empty") from None
        raise CorruptFile(f"the page cannot be read: {error}") from None
    if root is None:
        raise NoText("the page is empty")
    for entry in parser.error_log:
        if "depth" in entry.message:
            # libxml2 drops what is nested deeper than it follows.
            raise TooDeep("the page's elements are nested too deeply")
    return root


def _is_drawn(title: etree._Element) -> bool:
    parent = title.getparent()
    return parent is not None and parent.tag == "svg"


class PageReader:
    """Walks a pruned page and writes it; one after the other of several pages of a book."""

    def __init__(self, builder: DocumentBuilder) -> None:
        self.builder = builder
        self.title = ""
        self._inline: list[str] = []
        # Counters of the open lists, 0 for bullets, and the mark of an item that has no text yet.
        self._lists: list[int] = []
        self._marker = ""
        # What was written last, so that items stand close and terms stay at what they name.
        self._last: str = ""
        self._term_start = -1
        self._open_terms = 0
        self._entry_lists: dict[etree._Element, bool] = {}
        self._spans = SpanBudget()

    def read(self, root: etree._Element) -> None:
        """Reads everything under `root`."""
        walker = etree.iterwalk(root, events=("start", "end"))
        for event, element in walker:
            tag = element.tag
            if event == "start":
                if tag in _BLOCKS or tag in _VERBATIM:
                    self._flush(element.getparent())
                    if self._open(element, tag):
                        walker.skip_subtree()
                        continue
                elif tag == "br":
                    self._inline.append(LINE_BREAK)
                if element.text:
                    self._inline.append(element.text)
            else:
                if tag in _BLOCKS:
                    self._flush(element)
                    self._close(tag)
                if element.tail:
                    self._inline.append(element.tail)
        self._flush(None)
        self._entry_lists.clear()

    def _open(self, element: etree._Element, tag: str) -> bool:
        """Begins a block; True if all of it was read."""
        if tag in _VERBATIM:
            self._code(element)
            return True
        if tag == "table":
            table = data_table(element, self._spans)
            if table is None:
                return False
            self._table(element, table)
            return True
        if tag in {"ul", "ol", "menu", "dir"}:
            self._lists.append(_first_number(element) if tag == "ol" else 0)
        elif tag == "dl":
            self._open_terms += 1
        elif tag == "li":
            self._item()
        elif tag == "tr" and (lines := short_row(element)):
            self._write("\n".join(lines), None)
            return True
        if tag in _RUNS and next(element.iterdescendants(*_INSIDE), None) is None:
            if text := collapsed("".join(element.itertext())):
                self._write(text, element)
            return True
        return False

    def _close(self, tag: str) -> None:
        if tag in {"ul", "ol", "menu", "dir"}:
            if self._lists:
                self._lists.pop()
        elif tag == "dl":
            self._open_terms -= 1
            if self._last in {"term", "entry"}:
                self._last = "paragraph"
        elif tag == "li":
            self._marker = ""

    def _item(self) -> None:
        if not self._lists:
            self._marker = "- "
            return
        indent = "  " * (len(self._lists) - 1)
        number = self._lists[-1]
        if number:
            self._lists[-1] += 1
        self._marker = f"{indent}{number}. " if number else f"{indent}- "

    def _flush(self, block: etree._Element | None) -> None:
        """Writes the inline text so far, which stands in `block`."""
        if not self._inline:
            return
        raw = "".join(self._inline)
        self._inline.clear()
        if LINE_BREAK not in raw:
            if text := collapsed(raw):
                self._write(text, block)
            return
        lines = [collapsed(line) for line in raw.split(LINE_BREAK)]
        if block is not None and block.tag in _HEADINGS:
            self._write(" ".join(filter(None, lines)), block)
        elif block is not None and block.tag == "dt":
            for line in filter(None, lines):
                self._write(line, block)
        else:
            # An empty line between two breaks separates blocks.
            for run in re.split(r"\n{2,}", "\n".join(lines).strip("\n")):
                if run:
                    self._write(run, block)

    def _write(self, text: str, block: etree._Element | None) -> None:
        """Writes a run of inline text as what its block element makes it."""
        tag = "" if block is None else block.tag
        if block is not None and tag in _HEADINGS and not _is_note(block):
            self._heading(text, tag)
        elif block is not None and tag == "dt":
            self._term(text, block)
        elif self._marker:
            newlines = 1 if self._last == "item" else 2
            self.builder.block(self._marker + text, SpanKind.LIST_ITEM, newlines=newlines)
            self._marker = ""
            self._last = "item"
        elif self._last in {"term", "entry"}:
            self.builder.block(text, SpanKind.PARAGRAPH, newlines=1)
            if self._last == "term":
                self.builder.mark(SpanKind.LIST_ITEM, self._term_start, self.builder.length)
            self._last = "paragraph"
        else:
            self.builder.block(text, SpanKind.PARAGRAPH)
            self._last = "paragraph"

    def _heading(self, text: str, tag: str) -> None:
        text = text.removesuffix("¶").rstrip()
        if text:
            self.builder.block(text, SpanKind.HEADING, _HEADINGS[tag])
            self._last = "heading"
            if tag == "h1" and not self.title:
                self.title = text

    def _term(self, text: str, element: etree._Element) -> None:
        """A term of a definition list; its definition follows on the next line."""
        newlines = 1 if self._last in {"term", "entry"} else 2
        start, end = self.builder.add(text, newlines)
        if element.get("id") and len(text) <= _MAX_TERM_CHARS and self._ends_its_section(element):
            self.builder.mark(SpanKind.HEADING, start, end, min(6, 4 + self._open_terms))
            self._last = "entry"
            return
        if self._last != "term":
            self._term_start = start
        self._last = "term"

    def _ends_its_section(self, term: etree._Element) -> bool:
        """Whether only further definition lists and sections follow the term's list.

        Text after the list would otherwise seem to belong to its last term.
        """
        entries = term.getparent()
        if entries is None or entries.tag != "dl":
            return False
        if entries not in self._entry_lists:
            whole = entries
            parent = whole.getparent()
            while parent is not None and len(parent) == 1 and parent.tag == "div":
                whole, parent = parent, parent.getparent()
            self._entry_lists[entries] = not any(
                sibling.tag not in {"dl", "section", "div", *_HEADINGS}
                or (sibling.tag == "div" and _is_text(sibling))
                for sibling in whole.itersiblings()
            )
        return self._entry_lists[entries]

    def _code(self, element: etree._Element) -> None:
        for line_break in element.iter("br"):
            line_break.text = "\n"
        text = "".join(element.itertext()).replace("\xa0", " ").strip("\n").rstrip()
        if text.strip():
            newlines = 1 if self._last in {"term", "entry"} else 2
            self.builder.block(text, SpanKind.CODE, newlines=newlines)
            self._last = "code"
            self._marker = ""

    def _table(self, element: etree._Element, table: DataTable) -> None:
        caption = element.find("caption")
        if caption is not None and (text := collapsed("".join(caption.itertext()))):
            self._write(text, None)
        for line in table.above:
            self._write(line, None)
        if table.rows:
            self.builder.table([markdown_row(cells) for cells in table.rows])
            self._last = "table"


def _first_number(element: etree._Element) -> int:
    try:
        return max(1, int(element.get("start") or 1))
    except ValueError:
        return 1


def _is_note(heading: etree._Element) -> bool:
    """Whether a heading is the label of a note, which begins no section."""
    parent = heading.getparent()
    return parent is not None and bool(_NOTE_CLASS.search(parent.get("class") or ""))


def _is_text(element: etree._Element) -> bool:
    """Whether a `div` that follows a list is text of its own, not a section with a heading."""
    first = next(element.iterdescendants("p", "pre", "ul", "table", "dl", *_HEADINGS), None)
    return first is not None and first.tag not in {"dl", *_HEADINGS}
