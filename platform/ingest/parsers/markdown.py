"""Markdown: the text is the source itself; markdown-it-py says where its parts are.

Inline markup is left as written, so a quote of the document is a quote of the file.
"""

import re

from markdown_it import MarkdownIt
from markdown_it.token import Token

from rostra.ingest.builder import clean_title, make_document
from rostra.ingest.document import ParsedDocument, Span, SpanKind
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers.plain import read_text

_FRONT_MATTER = re.compile(r"---[ \t]*\n(?=[\w\"'#-])(.*?\n)??(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.S)
_FRONT_TITLE = re.compile(r"^title[ \t]*:[ \t]*(.+?)[ \t]*$", re.M | re.I)
_MARKUP = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|[`*]+|\s#+\s*$")
# A longer one is a paragraph above a line that only looks like the underlining of a heading.
_LONGEST_UNDERLINED = 200
_KINDS = {
    "paragraph_open": SpanKind.PARAGRAPH,
    "list_item_open": SpanKind.LIST_ITEM,
    "fence": SpanKind.CODE,
    "code_block": SpanKind.CODE,
    "table_open": SpanKind.TABLE,
    "tr_open": SpanKind.ROW,
    "html_block": SpanKind.PARAGRAPH,
}


def parse(data: bytes, name: str, media_type: str, limits: ParseLimits) -> ParsedDocument:
    """Reads a Markdown file.

    Raises:
        TooLarge: if the text is over its limit.
    """
    decoded, text = read_text(data, limits)
    front = _FRONT_MATTER.match(text)
    body = "\n" * text.count("\n", 0, front.end()) + text[front.end() :] if front else text
    markdown = MarkdownText(text, body)
    title = (front and _front_title(front.group(1) or "")) or markdown.title or name
    return make_document(text, title, media_type, markdown.spans, decoded.metadata)


class MarkdownText:
    """Where the parts of a text in Markdown are.

    Args:
        text: normalised.
        body: what is parsed, with the same lines; the text without its front matter.

    Attributes:
        spans: headings, paragraphs, items, tables, code.
        title: the first heading of the highest level; empty without headings.
    """

    def __init__(self, text: str, body: str | None = None) -> None:
        reader = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])
        tokens = reader.parse(text if body is None else body)
        lines = _Lines(text)
        self.spans: list[Span] = []
        headings: list[tuple[int, str]] = []
        for token, following in zip(tokens, [*tokens[1:], None], strict=False):
            if token.map is None:
                continue
            if token.type == "heading_open" and following is not None:
                if token.markup in "=-" and len(following.content) > _LONGEST_UNDERLINED:
                    self.spans.append(Span(SpanKind.PARAGRAPH, *lines.range(*token.map)))
                    continue
                level = int(token.tag[1])
                self.spans.extend(_heading(text, lines, token, following.content, level))
                headings.append((level, following.content))
            elif (kind := _KINDS.get(token.type)) is not None:
                start, end = lines.range(token.map[0], token.map[1])
                if start < end:
                    self.spans.append(Span(kind, start, end))
        self.title = _title(headings)


class _Lines:
    """Offsets of line ranges."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0, *(newline.end() for newline in re.finditer("\n", text))]

    def range(self, first: int, last: int) -> tuple[int, int]:
        """Lines `[first, last)` without the whitespace after them and blank lines before them."""
        start = self._at(first)
        part = self._text[start : self._at(last)]
        end = start + len(part.rstrip())
        if start < end:
            blank = len(part) - len(part.lstrip())
            start += part.rfind("\n", 0, blank) + 1
        return start, end

    def _at(self, line: int) -> int:
        return self._starts[line] if line < len(self._starts) else len(self._text)


def _heading(text: str, lines: _Lines, token: Token, content: str, level: int) -> list[Span]:
    if token.map is None or not content:
        return []
    start, end = lines.range(*token.map)
    first_line = content.split("\n", 1)[0]
    at = text.find(first_line, start, end)
    if at < 0:
        return [Span(SpanKind.HEADING, start, end, level)]
    # A heading underlined with `===` may have several lines; its own words end before that.
    rest = text.find(content, at, end)
    stop = at + len(content) if rest == at else at + len(first_line)
    return [Span(SpanKind.HEADING, at, stop, level)]


def _front_title(front: str) -> str:
    found = _FRONT_TITLE.search(front)
    return clean_title(found.group(1).strip("\"'")) if found else ""


def _title(headings: list[tuple[int, str]]) -> str:
    """The first heading of the highest level."""
    if not headings:
        return ""
    top = min(level for level, _ in headings)
    words = next(words for level, words in headings if level == top)
    return clean_title(_MARKUP.sub(r"\1", words))
