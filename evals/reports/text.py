"""Texts of documents and models as reports show them.

What always holds: what comes out is of bounded length, can be written as XML and UTF-8, and holds
no character that hides, or that turns the direction of the text around it; such characters are
shown by their number.
"""

import re
from typing import Any

import msgspec

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ud800-\udfff\ufffe\uffff\U000e0000-\U000e007f]"
)
_JOINER = "\u200d"  # holds emoji together, and letters of some scripts; it hides nothing


def visible(text: str) -> str:
    r"""The text with every character seen.

    >>> visible("a\x00b\u202ec\n")
    'a[U+0000]b[U+202E]c\n'
    """
    return _UNSEEN.sub(_by_number, text.replace("\r\n", "\n"))


def cut(text: str, longest: int) -> tuple[str, bool]:
    """The beginning of a text, and whether something is left out."""
    return (text, False) if len(text) <= longest else (text[:longest], True)


def shown(text: str, longest: int) -> str:
    """A visible text of bounded length that says how much is missing.

    >>> shown("abcdef", 4)
    'abcd … (2 more characters)'
    """
    kept, is_cut = cut(text, longest)
    return visible(kept) + (f" … ({len(text) - longest:,} more characters)" if is_cut else "")


def as_json(value: Any) -> str:
    """A value as JSON in lines; empty for one that says nothing."""
    if not value:
        return ""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _by_number(found: re.Match[str]) -> str:
    mark = found.group()
    return mark if mark == _JOINER else f"[U+{ord(mark):04X}]"
