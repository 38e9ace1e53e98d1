"""Words of answers, made alike as SQuAD's evaluation makes them.

Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of Text", 2016: lower case,
without punctuation, without English articles, words parted by single spaces.
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)


def normalize_answer(text: str) -> str:
    """An answer as it is compared.

    Beyond ASCII, quotation marks, dashes and other punctuation go too, and compatible forms of a
    character are one.
    """
    lowered = unicodedata.normalize("NFKC", text).lower()
    bare = "".join(
        character
        for character in lowered
        if character not in _PUNCTUATION and not unicodedata.category(character).startswith("P")
    )
    return " ".join(_ARTICLES.sub(" ", bare).split())


def words_of(text: str) -> list[str]:
    """The words of an answer as it is compared."""
    return normalize_answer(text).split()


def token_f1(predicted: Sequence[str], wanted: Sequence[str]) -> float:
    """F1 of two bags of words; 1 if both are empty, 0 if one is. Symmetric."""
    if not predicted or not wanted:
        return float(not predicted and not wanted)
    shared = sum((Counter(predicted) & Counter(wanted)).values())
    return 2 * shared / (len(predicted) + len(wanted))
