"""Cuts source code by its syntax tree: functions and classes stay whole where they fit.

What is too large is cut into the parts it is made of; small neighbours inside of one definition are
put together, and a comment or decorator goes with what follows it. The signatures of the classes
and functions around a chunk are its context. Text that is no code, and languages without a grammar,
are cut by another chunker.

What always holds: see `Chunker`; chunks begin and end where lines do, but for parts of a line that
is itself too long; nothing is repeated. Grammars are those of tree-sitter, from a wheel: nothing is
fetched.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tree_sitter_language_pack

from rostra.core import Tokenizer, collapse_whitespace
from rostra.ingest.chunking.chunk import Chunk, Chunker
from rostra.ingest.chunking.cuts import Cuts, trimmed
from rostra.ingest.chunking.places import Places
from rostra.ingest.document import ParsedDocument
from rostra.ingest.media import CODE_PREFIX

# Where our media types name a language otherwise than the grammars do.
_GRAMMARS = {"cuda": "cpp", "objective-c": "objc", "shell": "bash", "terraform": "hcl"}
_DEFINES = frozenset(
    {
        "class", "constructor", "enum", "function", "impl", "interface", "method", "mod", "module",
        "namespace", "object", "protocol", "struct", "trait",
    }
)  # fmt: skip
_ROLES = frozenset({"declaration", "definition", "item", "specifier"})
_BEFORE = ("annotation", "attribute", "attribute_item", "comment", "decorator")
_DEEPEST = 100
# A larger text is cut otherwise: a tree takes some hundred bytes a node.
_MOST_CHARS = 2_000_000
_SIGNATURE_CHARS = 200
Scope = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is not cut any further.

    Attributes:
        scope: signatures of the definitions around where it begins, outermost first.
        inner: likewise around where it ends; longer when it begins a definition that was cut.
        leads: whether it belongs to what follows it.
    """

    start: int
    end: int
    scope: Scope
    inner: Scope
    leads: bool = False


@dataclass(frozen=True, slots=True)
class CodeChunker:
    """See this module.

    Args:
        tokenizer: the embedder's.
        max_tokens: most tokens of a chunk.
        otherwise: for everything that is no code in a known language.
    """

    tokenizer: Tokenizer
    max_tokens: int
    otherwise: Chunker

    def chunk(self, document: ParsedDocument) -> list[Chunk]:
        """See `Chunker`."""
        text = document.text
        if not document.media_type.startswith(CODE_PREFIX) or len(text) > _MOST_CHARS:
            return self.otherwise.chunk(document)
        source = text.encode()
        root = _tree(source, document.media_type.removeprefix(CODE_PREFIX))
        if root is None:
            return self.otherwise.chunk(document)
        cutter = _Cutter(text, source, Cuts(text, self.tokenizer), self.max_tokens)
        places = Places(document, self.tokenizer)
        units = cutter.units(root, 0, len(text), (), (), 0)
        return [
            places.chunk(unit.start, unit.end, (), unit.scope)
            for unit in cutter.joined(cutter.led(units))
        ]


class _Cutter:
    """Cuts one source text; all ranges are code points."""

    def __init__(self, text: str, source: bytes, cuts: Cuts, limit: int) -> None:
        self._text = text
        self._cuts = cuts
        self._limit = limit
        self._line_starts = [0, *(at + 1 for at, one in enumerate(text) if one == "\n")]
        # How many code points begin before each byte.
        begins = (np.frombuffer(source, np.uint8) & 0xC0) != 0x80
        self._points = np.concatenate(([0], np.cumsum(begins)))

    def units(
        self,
        node: Any,
        start: int,
        end: int,
        scope: Scope,
        inner: Scope,
        depth: int,
        *,
        is_body: bool = False,
    ) -> Iterator[_Unit]:
        """The lines of a node: whole if they fit, else by its children, else line by line.

        Args:
            node: whose lines these are.
            start: first code point.
            end: code point after the last.
            scope: of what begins where the range does.
            inner: of everything else in it.
            depth: of the tree so far.
            is_body: whether it is the body of a definition that does not fit: that is cut further
                in any case, so that its beginning goes with the definition's own lines.
        """
        if (whole := trimmed(self._text, start, end)) is None:
            return
        segments = [] if node.type.endswith(_BEFORE) else list(self._segments(node, start, end))
        if self._cuts.fits(*whole, self._limit) and not (is_body and len(segments) > 1):
            leads = node.type.endswith(_BEFORE) or scope != inner
            yield _Unit(*whole, scope, inner, leads)
            return
        if not segments or depth == _DEEPEST:
            yield from self._lines(start, end, scope, inner)
            return
        body = None
        if depth and (signature := self._signature(node)):
            inner = (*inner, signature)
            body = node.child_by_field_name("body")
        for child, first, last in segments:
            outer = scope if first == start else inner
            yield from self.units(
                child, first, last, outer, inner, depth + 1, is_body=child == body
            )

    def led(self, units: Iterator[_Unit]) -> Iterator[_Unit]:
        """Puts comments, decorators and beginnings of definitions with what follows them."""
        waiting: _Unit | None = None
        for unit in units:
            if waiting is None:
                waiting = unit
            elif waiting.leads and self._fit_together(waiting, unit):
                waiting = _Unit(waiting.start, unit.end, waiting.scope, unit.inner, unit.leads)
            else:
                yield waiting
                waiting = unit
        if waiting is not None:
            yield waiting

    def joined(self, units: Iterator[_Unit]) -> Iterator[_Unit]:
        """Puts small neighbours in one definition together."""
        group: _Unit | None = None
        for unit in units:
            if group is None:
                group = unit
            elif (
                unit.scope == unit.inner == group.inner or self._closes(unit)
            ) and self._fit_together(group, unit):
                group = _Unit(group.start, unit.end, group.scope, group.inner)
            else:
                yield group
                group = unit
        if group is not None:
            yield group

    def _closes(self, unit: _Unit) -> bool:
        """Whether it is closing brackets and the like alone, whatever they are of."""
        part = self._text[unit.start : unit.end]
        return len(part) < 40 and not any(map(str.isalnum, part))

    def _fit_together(self, one: _Unit, other: _Unit) -> bool:
        return self._cuts.fits(one.start, other.end, self._limit)

    def _segments(self, node: Any, start: int, end: int) -> Iterator[tuple[Any, int, int]]:
        """The range in lines by child; children that begin on one line go by the largest."""
        found: list[tuple[Any, int]] = []
        for child in node.children:
            at = int(self._points[child.start_byte])
            at = max(start, self._line_starts[bisect_right(self._line_starts, at) - 1])
            if at >= end or child.end_byte == child.start_byte:
                continue
            if not found:
                found.append((child, start))
            elif at > found[-1][1]:
                found.append((child, at))
            elif _width(child) > _width(found[-1][0]):
                found[-1] = (child, found[-1][1])
        for number, (child, first) in enumerate(found, 1):
            yield child, first, found[number][1] if number < len(found) else end

    def _lines(self, start: int, end: int, scope: Scope, inner: Scope) -> Iterator[_Unit]:
        position = start
        while position < end:
            newline = self._text.find("\n", position, end)
            after = end if newline < 0 else newline + 1
            for piece in self._cuts.pieces(position, after, self._limit):
                yield _Unit(*piece, scope, inner)
                scope = inner
            position = after

    def _signature(self, node: Any) -> str:
        """What a definition says before its body; empty for other nodes."""
        words = node.type.split("_")
        if _DEFINES.isdisjoint(words) or not (len(words) == 1 or words[-1] in _ROLES):
            return ""
        if not node.is_named:
            return ""
        body = node.child_by_field_name("body")
        start = int(self._points[node.start_byte])
        end = int(self._points[node.end_byte if body is None else body.start_byte])
        said = self._text[start : min(end, start + _SIGNATURE_CHARS)]
        if body is None:
            said = said.partition("\n")[0]
        return collapse_whitespace(said).rstrip(" {:")


def _width(node: Any) -> int:
    width: int = node.end_byte - node.start_byte
    return width


def _tree(source: bytes, language: str) -> Any:
    """The root of a source text's tree; None where there is no grammar or it reads nothing."""
    name: Any = _GRAMMARS.get(language, language)
    try:
        parser = tree_sitter_language_pack.get_parser(name)
    except LookupError:
        return None
    root = parser.parse(source).root_node
    return None if root.type == "ERROR" else root
