"""An answer's claims: the statements that its citations back, and the sentences that none backs.

What always holds: claims are in the answer's order and do not overlap, and each has a letter or a
digit; marks such as `[2]` are no part of them.
"""

import re
from collections.abc import Sequence

from rostra.core import sentence_spans

_MARKS = re.compile(r"\s*\[\d{1,3}\]")
_WORD = re.compile(r"\w")


def without_marks(text: str) -> str:
    """An answer's text without the marks of its citations."""
    return _MARKS.sub("", text).strip()


def claims_of(
    text: str, cited: Sequence[tuple[int, int]], *, marked: bool
) -> tuple[list[str], list[int]]:
    """The claims of an answer, and which of them each citation backs.

    Args:
        cited: the `[start, end)` that each citation backs, in code points of the answer.
        marked: the text has marks, which are taken out.

    Returns:
        claims, and for each citation the place of its claim, -1 if it backs none alone.
    """
    places: list[tuple[int, int]] = []
    reached = 0
    for start, end in sorted(set(cited)):
        if start < reached:
            continue  # backs a part of what another citation backs
        places += sentence_spans(text, reached, start)
        places.append((start, end))
        reached = end
    places += sentence_spans(text, reached)
    said = [(place, _said(text[slice(*place)], marked)) for place in places]
    kept = [(place, claim) for place, claim in said if _WORD.search(claim)]
    backed = [_around([place for place, _ in kept], one) for one in cited]
    return [claim for _, claim in kept], backed


def _said(text: str, marked: bool) -> str:
    # A mark before a full stop leaves the stop behind.
    return without_marks(text).lstrip(" .,;:!?") if marked else text


def _around(places: Sequence[tuple[int, int]], cited: tuple[int, int]) -> int:
    for at, (start, end) in enumerate(places):
        if start <= cited[0] and cited[1] <= end:
            return at
    return -1
