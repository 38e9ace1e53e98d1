"""Sentence boundaries as offsets, for chunking and for picking sentences to quote.

What always holds for `sentence_spans(text)`: spans are ordered, disjoint, not empty, begin and end
with a character that is no whitespace, and together hold every character that is no whitespace.

A blank line always ends a sentence. A single newline ends one unless it looks like the wrap of a
paragraph: list items, table rows, headings and lines of code are sentences of their own.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

import sentencex

_STRUCTURE = re.compile(
    r"\s{4,}|\t|\s*(?:[-*+•◦▪‣·–]\s|\(?\w{1,3}[.)]\s|[|>#$%]|```|~~~|>>>|\.\.\s)"
)
_CODE_END = re.compile(r"[;{}\[\\|]\s*$")
# Marks that open a word in the middle of a sentence as often as at its beginning.
_OPENING = "`\"'(“‘«["
_FINAL = ".!?:"
# A line shorter than this is not the full line of a wrapped paragraph.
_SHORTEST_WRAP = 40
# What the library takes for an end: abbreviations before a number or a name, and list markers.
_ABBREVIATION = re.compile(
    r"\b(?:approx|ca|cf|ch|chap|eq|eqs|fig|figs|no|nos|pp|resp|sec|sect|tab|vol|vs)\.$",
    re.IGNORECASE,
)
_MARKER = re.compile(r"\(?(?:\d{1,3}|[A-Za-z])[.)]$")
_LONGEST_ABBREVIATION = 10


def sentence_spans(
    text: str, start: int = 0, end: int | None = None, *, language: str = "en"
) -> list[tuple[int, int]]:
    """Finds the sentences of `text[start:end]`.

    Args:
        text: any text; newlines are `\\n`.
        start: first code point looked at.
        end: code point after the last; None is the end of the text.
        language: ISO 639-1 code, decides abbreviations.

    Returns:
        `[start, end)` of each sentence, in code points of `text`.
    """
    end = len(text) if end is None else end
    spans: list[tuple[int, int]] = []
    for block_start, block_end in _blocks(text, start, end):
        for group_start, group_end in _unwrapped(text, block_start, block_end):
            spans.extend(_split(text, group_start, group_end, language))
    return spans


def _blocks(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Runs of lines without a blank line between them."""
    position = start
    block_start = -1
    while position < end:
        newline = text.find("\n", position, end)
        line_end = end if newline < 0 else newline
        if not text[position:line_end].strip():
            if block_start >= 0:
                yield block_start, position
                block_start = -1
        elif block_start < 0:
            block_start = position
        position = line_end + 1
    if block_start >= 0:
        yield block_start, end


def _unwrapped(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Groups of lines that are one hard-wrapped paragraph; most often single lines."""
    block = text[start:end]
    if "\n" not in block.strip():
        yield start, end
        return
    lines = block.split("\n")
    width = max(len(line.rstrip()) for line in lines)
    group_start = position = start
    for line, following in pairwise(lines):
        position += len(line) + 1
        if not _continues(line.rstrip(), following, width):
            yield group_start, position
            group_start = position
    yield group_start, end


def _continues(line: str, following: str, width: int) -> bool:
    """Whether `following` carries on the paragraph of `line` in text wrapped at `width`."""
    if _STRUCTURE.match(following) or _CODE_END.search(line) or line.lstrip()[:1] in {"|", "#"}:
        return False
    words = following.split(maxsplit=1)
    if not words or width < _SHORTEST_WRAP:
        return False
    # A greedy wrap breaks only where the next word does not fit.
    if len(line) + 1 + len(words[0]) >= width:
        return True
    if len(line) < _SHORTEST_WRAP or len(line) * 3 < width * 2:
        return False
    return words[0][0].islower() or (words[0][0] in _OPENING and line[-1] not in _FINAL)


def _split(text: str, start: int, end: int, language: str) -> Iterator[tuple[int, int]]:
    group = text[start:end]
    pieces = sentencex.segment(language, group)
    if "".join(pieces) != group:
        pieces = [group]
    sentence_start = -1
    position = start
    for piece in pieces:
        following = position + len(piece)
        stripped = piece.strip()
        if stripped:
            if sentence_start < 0:
                sentence_start = position + len(piece) - len(piece.lstrip())
            sentence_end = position + len(piece.rstrip())
            after = text[following : following + 1]
            if not _goes_on(text[sentence_start:sentence_end], after):
                yield sentence_start, sentence_end
                sentence_start = -1
        position = following
    if sentence_start >= 0:
        yield sentence_start, sentence_end


def _goes_on(sentence: str, after: str) -> bool:
    """Whether what seems to be a sentence is only the beginning of one, `after` comes next."""
    if len(sentence) <= 5 and _MARKER.match(sentence):
        return True
    lower = after.isdigit() or after.islower()
    return lower and _ABBREVIATION.search(sentence[-_LONGEST_ABBREVIATION:]) is not None
