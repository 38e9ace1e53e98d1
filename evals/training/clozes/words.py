"""Words of a text, and which of them say something."""

import re

_WORD = re.compile(r"[A-Za-z0-9_][\w.\-']*")
_STOP_WORDS = """
a an the of to in on for and or is are was were be been it its this that these those with as by at
from not no can will may if then than which who what when where how why do does did has have had
there their they you your we our also such any all each other more most some into over only when
"""
_STOP = frozenset(_STOP_WORDS.split())
_FEWEST, _MOST = 6, 45  # words of a sentence of prose
_LETTERS = 0.85


def words(text: str) -> list[str]:
    """Its words, identifiers whole.

    >>> words("Call os.path.join() twice.")
    ['Call', 'os.path.join', 'twice.']
    """
    return _WORD.findall(text)


def content_words(text: str) -> list[str]:
    """Those that say something, without marks at their ends.

    >>> content_words("The list is sorted in place.")
    ['list', 'sorted', 'place']
    """
    found = (word.strip("'.-") for word in words(text))
    return [word for word in found if len(word) > 1 and word.lower() not in _STOP]


def is_prose(sentence: str) -> bool:
    """Whether it is a sentence that could answer a question, and no code, title or list of names.

    >>> is_prose("The server writes a checkpoint every five minutes by default.")
    True
    >>> is_prose("for (i = 0; i < n; i++) { a[i] = b[i]; }")
    False
    """
    if not _FEWEST <= len(words(sentence)) <= _MOST:
        return False
    letters = sum(one.isalpha() or one == " " for one in sentence) / len(sentence)
    return letters > _LETTERS and sentence[-1] in ".!?:"
