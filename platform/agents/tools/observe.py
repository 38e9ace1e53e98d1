"""A tool's result as a model reads it: text of bounded length.

What always holds: the text is at most as long as asked, holds no control characters but newlines
and tabs, and says where something was left out; what is left of a result that is too long is its
head and its tail, at ends of sentences where these are near enough. Work is bounded by the limit,
not by the result.
"""

import json
import re
from typing import NamedTuple

from rostra.agents.events import DocumentSpan
from rostra.agents.guard.rewrite import Edit, moved, rewrite
from rostra.agents.tools.tool import ToolResult
from rostra.core import sentence_spans

_TAIL_SHARE = 0.25
_SAMPLE = 4096
_BINARY_SHARE = 0.1
# An end of a sentence is looked for in this share of what is shown.
_LOOK_BACK = 0.5
_CONTROL = re.compile(
    "\x1b\\[[0-?]{0,32}[ -/]{0,8}[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
)
_UNREADABLE = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\x80-\x9f\ufffd\ud800-\udfff]")


class Observed(NamedTuple):
    """A bounded result.

    Attributes:
        truncated: whether something was left out.
        bytes: of the whole result, in UTF-8 where it is text.
        documents: the result's spans of stored documents, where they stand in this text.
    """

    text: str
    truncated: bool
    bytes: int
    documents: tuple[DocumentSpan, ...]


def observed(result: ToolResult, limit: int) -> Observed:
    """Bounds a result.

    Args:
        result: of any size.
        limit: most characters of the text.
    """
    text = result.text
    if not text and result.structured is not None:
        text = json.dumps(result.structured, ensure_ascii=False, default=str)
    size = result.size if result.size is not None else _utf8_length(text)
    sample = text[:_SAMPLE]
    if len(_UNREADABLE.findall(sample)) > _BINARY_SHARE * len(sample):
        return Observed(f"Binary data, {size:,} bytes; not shown."[:limit], True, size, ())
    edits = _edits(text, limit)
    shown = rewrite(text, edits)
    cut = len(text) > limit
    return Observed(shown.text, cut, size, moved(result.documents, shown.kept))


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _edits(text: str, limit: int) -> list[Edit]:
    if len(text) <= limit:
        return _controls(text, 0, len(text))
    # The count is at most the whole text's, so its length bounds the notice's.
    room = limit - len(_notice(len(text)))
    if room < 0:
        return [*_controls(text, 0, limit), Edit(limit, len(text), "")]
    tail = int(room * _TAIL_SHARE)
    head_end = _sentence_end(text, room - tail)
    tail_start = _sentence_start(text, len(text) - tail)
    notice = _notice(tail_start - head_end)
    return [
        *_controls(text, 0, head_end),
        Edit(head_end, tail_start, notice),
        *_controls(text, tail_start, len(text)),
    ]


def _notice(characters: int) -> str:
    return f"\n\n⟨{characters:,} characters left out⟩\n\n"


def _controls(text: str, start: int, end: int) -> list[Edit]:
    return [
        Edit(*found.span(), "\n" if _ends_line(text, found.end()) else "")
        for found in _CONTROL.finditer(text, start, end)
    ]


def _ends_line(text: str, after: int) -> bool:
    """Whether the character before is a line end that is not a newline and has none beside it."""
    return text[after - 1] in "\r\x0b\x0c\x85\u2028\u2029" and text[after : after + 1] != "\n"


def _sentence_end(text: str, most: int) -> int:
    """The last end of a sentence up to there, or of a word, if one is near."""
    window = text[:most]
    ends = [end for _, end in sentence_spans(window)[:-1]]
    if ends and ends[-1] >= most * _LOOK_BACK:
        return ends[-1]
    space = max(window.rfind(" "), window.rfind("\n"))
    return space if space >= most * _LOOK_BACK else most


def _sentence_start(text: str, least: int) -> int:
    """The first beginning of a sentence from there on, or of a word, if one is near."""
    window = text[least:]
    starts = [start for start, _ in sentence_spans(window)[1:]]
    if starts and starts[0] <= len(window) * _LOOK_BACK:
        return least + starts[0]
    space = window.find(" ")
    return least + space + 1 if 0 <= space <= len(window) * _LOOK_BACK else least
