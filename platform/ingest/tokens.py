"""Where the tokens of a long text begin, so that counting the tokens of any part is two searches.

What always holds: the text is tokenised piece by piece, never as a whole, so time and memory stay
linear; pieces end at line ends where there are any. A run that the tokenizer reads as one unknown
token, or drops, counts as one token for every 64 code points, so that no part of a text is free.
"""

from array import array
from bisect import bisect_left
from operator import sub

from rostra.core import Tokenizer

_PIECE_CHARS = 16 * 1024
_MAX_TOKEN_CHARS = 64


class TokenIndex:
    """The tokens of one text.

    Args:
        text: the text.
        tokenizer: says where tokens lie.
    """

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self.starts = array("q")
        position = 0
        while position < len(text):
            end = _piece_end(text, position)
            self._add(text, position, tokenizer.offsets(text[position:end]), end)
            position = end

    def count(self, start: int, end: int) -> int:
        """Tokens that begin in `[start, end)`; at least 1 for a part that is not empty."""
        if start >= end:
            return 0
        return max(1, bisect_left(self.starts, end) - bisect_left(self.starts, start))

    def _add(self, text: str, base: int, offsets: list[tuple[int, int]], end: int) -> None:
        if offsets and _are_ordinary(offsets, end - base):
            self.starts.extend([base + start for start, _ in offsets])
            return
        starts = self.starts
        reached = base
        for token_start, token_end in offsets:
            start, stop = base + token_start, base + token_end
            if start - reached > _MAX_TOKEN_CHARS:
                self._add_unread(text, reached, start)
            if stop <= start:
                continue
            # Tokens of one character's bytes share its offsets: sorted all the same.
            starts.append(max(start, starts[-1]) if starts else start)
            starts.extend(range(start + _MAX_TOKEN_CHARS, stop, _MAX_TOKEN_CHARS))
            reached = max(reached, stop)
        if end - reached > _MAX_TOKEN_CHARS:
            self._add_unread(text, reached, end)

    def _add_unread(self, text: str, start: int, end: int) -> None:
        """Counts a gap between tokens that is more than whitespace."""
        gap = text[start:end]
        start += len(gap) - len(gap.lstrip())
        self.starts.extend(range(start, start + len(gap.strip()), _MAX_TOKEN_CHARS))


def _are_ordinary(offsets: list[tuple[int, int]], length: int) -> bool:
    """Whether tokens lie in order, with neither a token nor a gap over 64 code points."""
    starts, ends = zip(*offsets, strict=True)
    widths = list(map(sub, ends, starts))
    gaps = list(map(sub, (*starts[1:], length), ends))
    return bool(
        starts[0] <= _MAX_TOKEN_CHARS
        and min(widths) > 0
        and max(widths) <= _MAX_TOKEN_CHARS
        and min(gaps) >= 0
        and max(gaps) <= _MAX_TOKEN_CHARS
    )


def _piece_end(text: str, start: int) -> int:
    end = start + _PIECE_CHARS
    if end >= len(text):
        return len(text)
    for separator in ("\n", " "):
        found = text.rfind(separator, start, end)
        if found > start:
            return found + 1
    return end
