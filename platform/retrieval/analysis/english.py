"""English."""

import re
import threading
from collections.abc import Sequence

import Stemmer

from rostra.retrieval.analysis.cjk import with_bigrams

# A word is a run of letters and digits; an underscore or hyphen inside identifiers splits it.
_WORD = re.compile(r"[^\W_]+")
# Function words carry no topic in a question; English's closed classes only.
_FUNCTION_WORDS = """
a an and are as at be been but by can could did do does for from had has have how i if in into is
it its me my of on or our shall should so than that the their them then there these they this those
to was we were what when where which who whom whose why will with would you your
"""
_STOP_WORDS = frozenset(_FUNCTION_WORDS.split())


class EnglishAnalyzer:
    """Unicode words, case-folded, English function words dropped, Porter-2 stems.

    Words of other languages pass through whole unless an English suffix happens to fit; Chinese,
    Japanese and Korean, which do not write words apart, give each two neighbouring characters.
    """

    name = "english-2"

    def __init__(self) -> None:
        # The stemmer keeps a cache of its own and is not safe to share, so threads take turns.
        # Without its cache, which is slow once more words than it holds have been seen.
        self._stem = Stemmer.Stemmer("english", 0)
        self._turn = threading.Lock()

    def terms(self, text: str) -> list[str]:
        return self._stems(_words(text))

    def terms_of_pieces(self, pieces: Sequence[str]) -> tuple[list[str], list[int]]:
        """See `PieceAnalyzer`."""
        words: list[str] = []
        sizes: list[int] = []
        for piece in pieces:
            word = piece.casefold()
            if not piece.isascii():
                found = _words(piece)
                words += found
                sizes.append(len(found))
            elif word in _STOP_WORDS:
                sizes.append(0)
            else:  # letters and digits alone are one word
                words.append(word)
                sizes.append(1)
        return self._stems(words), sizes

    def _stems(self, words: list[str]) -> list[str]:
        with self._turn:
            stems: list[str] = self._stem.stemWords(words)
        return stems


def _words(text: str) -> list[str]:
    found = [word for word in _WORD.findall(text.casefold()) if word not in _STOP_WORDS]
    if text.isascii():
        return found
    return [term for word in found for term in ([word] if word.isascii() else with_bigrams(word))]
