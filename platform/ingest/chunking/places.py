"""Where a chunk stands in its document: the headings above it, its table's header, its page.

What always holds: a context is one line of at most 40 tokens and repeats nothing that the chunk
holds itself; a table's header has room of its own, see `tables`.
"""

from bisect import bisect_right

from rostra.core import Tokenizer, collapse_whitespace
from rostra.ingest.blocks import Block, blocks_of
from rostra.ingest.chunking.chunk import CONTEXT_TOKENS, Chunk
from rostra.ingest.chunking.tables import TableHeaders
from rostra.ingest.document import ParsedDocument, Span, SpanKind

SEPARATOR = " > "
Path = tuple[Span, ...]


def common_path(one: Path, other: Path) -> Path:
    """The headings that stand above both."""
    length = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        length += 1
    return one[:length]


class Places:
    """Makes chunks of ranges of one document.

    Args:
        document: what is cut.
        tokenizer: the embedder's.
        headers: of the document's tables; None leaves them out.
    """

    def __init__(
        self,
        document: ParsedDocument,
        tokenizer: Tokenizer,
        headers: TableHeaders | None = None,
    ) -> None:
        self._document = document
        self._tokenizer = tokenizer
        self._headers = headers
        self._pages = [span for span in document.spans if span.kind is SpanKind.PAGE]
        self._page_starts = [page.start for page in self._pages]
        self._known: dict[tuple[str, ...], str] = {}
        self._blocks: list[Block] | None = None
        self._block_starts: list[int] = []

    def chunk(self, start: int, end: int, path: Path, scope: tuple[str, ...] = ()) -> Chunk:
        """A range as a chunk.

        Args:
            start: first code point.
            end: code point after the last.
            path: headings above all of it, itself included where it begins with them.
            scope: what else stands around it, outermost first, such as a class.
        """
        at = bisect_right(self._page_starts, start) - 1
        page = self._pages[at].level if at >= 0 else None
        header = self._headers.header(start, end) if self._headers else ""
        return Chunk(start, end, page, self._context(start, path, scope), header=header)

    def path(self, start: int, end: int) -> Path:
        """The headings above all of a range."""
        if self._blocks is None:
            self._blocks = blocks_of(self._document)
            self._block_starts = [block.start for block in self._blocks]
        blocks = self._blocks
        at = max(0, bisect_right(self._block_starts, start) - 1)
        if at < len(blocks) and blocks[at].end <= start:
            at += 1
        path: Path | None = None
        while at < len(blocks) and blocks[at].start < end and path != ():
            path = blocks[at].path if path is None else common_path(path, blocks[at].path)
            at += 1
        return path or ()

    def _context(self, start: int, path: Path, scope: tuple[str, ...]) -> str:
        """Title and headings of a chunk that it does not hold itself."""
        text = self._document.text
        own = {
            _comparable(text[heading.start : heading.end])
            for heading in path
            if heading.start >= start
        }
        names = [self._document.title]
        names += [text[heading.start : heading.end] for heading in path]
        names += scope
        kept: list[str] = []
        for name in map(collapse_whitespace, names):
            seen = _comparable(name)
            if (
                name
                and seen not in own
                and not any(_comparable(one).startswith(seen) for one in kept)
            ):
                kept.append(name)
        key = tuple(kept)
        if key not in self._known:
            self._known[key] = self._fitted(kept)
        return self._known[key]

    def _fitted(self, names: list[str]) -> str:
        """The names in one line; the middle ones go first when they are too long."""
        while len(names) > 2 and self._count(SEPARATOR.join(names)) > CONTEXT_TOKENS:
            del names[1]
        context = SEPARATOR.join(names)
        offsets = self._tokenizer.offsets(context)
        if len(offsets) > CONTEXT_TOKENS:
            context = context[: offsets[CONTEXT_TOKENS - 1][1]]
        return context.strip()

    def _count(self, text: str) -> int:
        return len(self._tokenizer.offsets(text))


def _comparable(name: str) -> str:
    return collapse_whitespace(name).casefold()
