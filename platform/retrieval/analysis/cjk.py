"""Chinese, Japanese and Korean, which do not write words apart."""

import regex  # type: ignore[import-untyped] # it ships no types

from rostra.retrieval.analysis.words import folded, words

_IDEOGRAPHS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}ー々"
_RUN = regex.compile(rf"(?P<cjk>[{_IDEOGRAPHS}]+)|[^{_IDEOGRAPHS}]+")


def bigrams(run: str) -> list[str]:
    """Each two neighbouring characters; one that stands alone as it is."""
    return [run] if len(run) == 1 else [run[at : at + 2] for at in range(len(run) - 1)]


def with_bigrams(word: str) -> list[str]:
    """A word's terms where these scripts have no spaces: bigrams of theirs, the rest whole."""
    found: list[str] = []
    for run in _RUN.finditer(word):
        found += [run.group()] if run["cjk"] is None else bigrams(run.group())
    return found


class CjkAnalyzer:
    """Each two neighbouring characters of these scripts; words of others as they are.

    A character that stands alone is a term of its own, so a query of one character finds only such
    ones, unless it asks for a prefix.

    Source: Nie, Gao, Zhang and Zhou, "On the use of words and n-grams for Chinese information
    retrieval", IRAL 2000.
    """

    name = "cjk-1"

    def terms(self, text: str) -> list[str]:
        found: list[str] = []
        for run in _RUN.finditer(folded(text)):
            piece = run.group()
            if run["cjk"] is None:
                found += words(piece)
            else:
                found += bigrams(piece)
        return found
