"""Where a text may be cut so that each side has as many tokens as it was given.

What always holds: a cut is a code point strictly inside of what is cut; it lies between words
wherever the second half of what fits has such a place; a part cut inside a word is counted as it
is read alone, since its tokens change.
"""

from bisect import bisect_left

from rostra.core import Tokenizer
from rostra.ingest.chunking.tables import TableHeaders
from rostra.ingest.tokens import TokenIndex


def check_sizes(max_tokens: int, overlap: int) -> None:
    """Refuses what no chunker can do.

    Raises:
        ValueError: if `max_tokens` is less than 1, or `overlap` is negative or not less than it.
    """
    if max_tokens < 1 or not 0 <= overlap < max_tokens:
        raise ValueError(f"max_tokens={max_tokens} and overlap={overlap} do not go together")


def is_between_words(text: str, at: int) -> bool:
    """Whether one of the characters beside a code point is whitespace, or the text ends there."""
    return not 0 < at < len(text) or text[at - 1].isspace() or text[at].isspace()


def trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    """A range without the whitespace around it; None if there is nothing else."""
    part = text[start:end]
    stripped = part.strip()
    if not stripped:
        return None
    first = start + len(part) - len(part.lstrip())
    return first, first + len(stripped)


class Cuts:
    """Cuts one text by tokens.

    Args:
        text: the text.
        tokenizer: the embedder's.
        headers: of its tables, whose tokens a part that begins in one leaves free of its limit.
    """

    def __init__(
        self, text: str, tokenizer: Tokenizer, headers: TableHeaders | None = None
    ) -> None:
        self.text = text
        self._headers = headers
        self.tokens = TokenIndex(text, tokenizer)
        self._tokenizer = tokenizer

    def fits(self, start: int, end: int, limit: int) -> bool:
        """Whether a part has at most so many tokens, also when it is read alone."""
        return self._fits(start, end, self._limit(start, limit))

    def _limit(self, start: int, limit: int) -> int:
        return limit - self._headers.reserved(start) if self._headers else limit

    def _fits(self, start: int, end: int, limit: int) -> bool:
        if self.tokens.count(start, end) > limit:
            return False
        if is_between_words(self.text, start) and is_between_words(self.text, end):
            return True
        return len(self._tokenizer.offsets(self.text[start:end])) <= limit

    def furthest(self, start: int, end: int, limit: int) -> int:
        """The code point at which to end a part from `start`: `end` if all of it fits the limit."""
        limit = self._limit(start, limit)
        if self._fits(start, end, limit):
            return end
        starts = self.tokens.starts
        first = bisect_left(starts, start)
        last = bisect_left(starts, end)
        cut = min(first + limit, last - 1)
        while cut > first + (limit + 1) // 2 and not is_between_words(self.text, starts[cut]):
            cut -= 1
        if cut <= first or not is_between_words(self.text, starts[cut]):
            cut = min(first + limit, last - 1)
        while cut > first + 1 and not self._fits(start, starts[cut], limit):
            cut -= 1
        at = starts[cut] if 0 <= cut < len(starts) else end
        return at if start < at < end else min(start + 1, end)

    def pieces(self, start: int, end: int, limit: int) -> list[tuple[int, int]]:
        """A range in parts that each fit the limit, without the whitespace around them."""
        found = []
        while start < end:
            at = self.furthest(start, end, limit)
            if (part := trimmed(self.text, start, at)) is not None:
                found.append(part)
            start = at
        return found
