"""Languages that Snowball knows: stems, and no stop words."""

import threading

import Stemmer
from stop_words import AVAILABLE_LANGUAGES, get_stop_words

from rostra.retrieval.analysis.words import folded, words

# English has its own analyzer; the others are variants or not languages of today's texts.
_LEFT_OUT = frozenset({"english", "porter", "dutch_porter"})


def snowball_languages() -> list[str]:
    """The languages of `SnowballAnalyzer`, by their English names."""
    return sorted(set(Stemmer.algorithms()) - _LEFT_OUT)


class SnowballAnalyzer:
    """Words in any script, folded, without the language's stop words, as Snowball stems.

    Source: M. Porter, "Snowball: a language for stemming algorithms", 2001; stop words are those of
    the package stop-words, where it has the language.

    Args:
        language: one of `snowball_languages`.

    Raises:
        ValueError: it is none of them.
    """

    def __init__(self, language: str) -> None:
        if language not in snowball_languages():
            raise ValueError(f"no stemmer for {language!r}")
        self.name = f"{language}-1"
        stop_words = get_stop_words(language) if language in AVAILABLE_LANGUAGES else []
        self._stop_words = frozenset(word for line in stop_words for word in words(folded(line)))
        # Not safe to share; threads take turns.
        self._stem = Stemmer.Stemmer(language)
        self._turn = threading.Lock()

    def terms(self, text: str) -> list[str]:
        kept = [word for word in words(folded(text)) if word not in self._stop_words]
        with self._turn:
            stems: list[str] = self._stem.stemWords(kept)
        return stems
