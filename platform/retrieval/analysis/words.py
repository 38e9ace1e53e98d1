"""Words of any language that writes them apart, as they are."""

import unicodedata

import regex  # type: ignore[import-untyped] # it ships no types

# A letter or digit and what follows it; marks belong to letters (Devanagari's vowels are marks).
_WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*")


def folded(text: str) -> str:
    """A text with what is compatible made equal: case, width, ligatures, composed letters.

    Source: Unicode Standard Annex 15 (NFKC) and section 3.13 (case folding).
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def words(text: str) -> list[str]:
    """The words of a folded text."""
    found: list[str] = _WORD.findall(text)
    return found


class UnicodeAnalyzer:
    """Words in any script, folded; none is dropped or stemmed."""

    name = "unicode-1"

    def terms(self, text: str) -> list[str]:
        return words(folded(text))
