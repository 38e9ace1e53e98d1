"""What MCP servers answer, as text for models: content blocks, structured content, resources.

What always holds: every block leaves a trace in the text, binary ones a description instead of
their bytes; a part is named a part of a stored document only if the server may say so and the part
is as long as the place it names.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mcp.types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from rostra.agents.events import DocumentSpan, Origin
from rostra.agents.mcp.sieve import STANDS_IN
from rostra.agents.tools.tool import ToolResult

_MAX_SPANS = 1000
_MAX_DEPTH = 12
_VERBATIM = ("text", "quote")


def result_of(answer: CallToolResult, *, cites: bool) -> ToolResult:
    """A tool's answer.

    Args:
        cites: whether the server may name parts of stored documents: objects in the structured
            content with `document_id`, `start`, `end` and, as `text` or `quote`, what stands there.
    """
    text, size = _joined(answer.content)
    structured = answer.structured_content
    if cites and structured is not None and not answer.is_error:
        page = _Page()
        page.add(structured)
        if page.spans:
            told = page.text
            return ToolResult(
                told,
                origin=Origin.DOCUMENT,
                documents=tuple(page.spans),
                structured=structured,
                size=_bytes(told),
            )
    if structured is not None and (not answer.content or _says(text, structured)):
        text = _told(structured)
        size = _bytes(text)
    return ToolResult(text, structured=structured, is_error=answer.is_error, size=size)


def _says(text: str, structured: Any) -> bool:
    """Whether a text is nothing but the structured content, as servers write it for old clients."""
    try:
        return bool(json.loads(text) == structured)
    except (ValueError, RecursionError):
        return False


def _told(structured: Any) -> str:
    """Structured content in as few words as can be: indented JSON makes poor sentences."""
    if isinstance(structured, dict) and not any(
        isinstance(value, dict | list) for value in structured.values()
    ):
        return "; ".join(f"{name}: {_scalar(value)}" for name, value in structured.items())
    return json.dumps(structured, ensure_ascii=False)


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def resource_of(
    contents: Iterable[TextResourceContents | BlobResourceContents],
) -> ToolResult:
    """A resource's contents."""
    told = [_resource(part) for part in contents]
    return ToolResult("\n".join(text for text, _ in told), size=sum(size for _, size in told))


def block_text(block: ContentBlock) -> str:
    """One block as text."""
    return _block(block)[0]


def has_words(block: ContentBlock) -> bool:
    """Whether a block itself has text that is more than white space."""
    match block:
        case TextContent(meta=meta) if meta and STANDS_IN in meta:
            return False
        case TextContent(text=text) | EmbeddedResource(resource=TextResourceContents(text=text)):
            return bool(text.strip())
    return False


def _joined(blocks: Iterable[ContentBlock]) -> tuple[str, int]:
    told = [_block(block) for block in blocks]
    return "\n".join(text for text, _ in told), sum(size for _, size in told)


def _block(block: ContentBlock) -> tuple[str, int]:
    """Text of a block, and bytes of what it stands for."""
    match block:
        case TextContent(text=text):
            return text, _bytes(text)
        case ImageContent(data=data, mime_type=kind):
            return _binary("image", kind, data)
        case AudioContent(data=data, mime_type=kind):
            return _binary("audio", kind, data)
        case EmbeddedResource(resource=resource):
            return _resource(resource)
        case ResourceLink():
            about = f": {block.description}" if block.description else ""
            text = f"[resource {block.uri} ({block.title or block.name}){about}]"
            return text, _bytes(text)


def _resource(part: TextResourceContents | BlobResourceContents) -> tuple[str, int]:
    if isinstance(part, TextResourceContents):
        return f"[resource {part.uri}]\n{part.text}", _bytes(part.text)
    return _binary(f"resource {part.uri}", part.mime_type or "of unknown type", part.blob)


def _binary(what: str, kind: str, base64: str) -> tuple[str, int]:
    size = len(base64) * 3 // 4 - base64[-2:].count("=")
    return f"[{what}, {kind}, {size:,} bytes, not shown]", size


def _bytes(text: str) -> int:
    return len(text.encode(errors="replace"))


@dataclass
class _Page:
    """Structured content written out, with the places of its passages."""

    spans: list[DocumentSpan] = field(default_factory=list)
    _parts: list[str] = field(default_factory=list)
    _length: int = 0

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def add(self, value: Any, depth: int = 0) -> None:
        """Writes a JSON value, passages word for word."""
        if depth > _MAX_DEPTH:
            self._put(json.dumps(value, ensure_ascii=False) + "\n")
        elif isinstance(value, dict):
            passage = _passage(value) if len(self.spans) < _MAX_SPANS else None
            skipped = passage[0] if passage else None
            simple = {k: v for k, v in value.items() if k != skipped and not _nested(v)}
            if simple:
                self._put(", ".join(f"{k}: {_plain(v)}" for k, v in simple.items()) + "\n")
            if passage is not None:
                name, span_of = passage
                self.spans.append(span_of(self._length))
                self._put(value[name] + "\n\n")
            for key, inner in value.items():
                if _nested(inner) and inner:
                    self._put(f"{key}:\n")
                    self.add(inner, depth + 1)
        elif isinstance(value, list):
            for inner in value:
                self.add(inner, depth + 1)
        else:
            self._put(_plain(value) + "\n")

    def _put(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)


def _passage(value: dict[str, Any]) -> "tuple[str, _SpanAt] | None":
    """The key that holds the words of a part of a document, and its span; None: it is none."""
    document, start, end = value.get("document_id"), value.get("start"), value.get("end")
    if not isinstance(document, str) or type(start) is not int or type(end) is not int:
        return None
    for name in _VERBATIM:
        words = value.get(name)
        if isinstance(words, str) and words and start >= 0 and len(words) == end - start:
            return name, _SpanAt(document, start, end)
    return None


@dataclass(frozen=True, slots=True)
class _SpanAt:
    document_id: str
    start: int
    end: int

    def __call__(self, at: int) -> DocumentSpan:
        return DocumentSpan(at, self.document_id, self.start, self.end)


def _nested(value: Any) -> bool:
    return isinstance(value, dict | list)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
