"""The one form in which text is stored, so that offsets mean the same everywhere.

What always holds for `normalize_text(s)`: line ends are a single newline, there is no NUL and no
surrogate code point, the text is valid UTF-8 when encoded, and normalising twice changes nothing.
Offsets into stored text count Unicode code points, which is what `str` indexes by.
"""

import re

_LINE_END = re.compile(r"\r\n?|\u2028|\u2029|\x0b|\x0c|\x85")
_SURROGATE = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


def normalize_text(text: str) -> str:
    """Returns the storable form of any string."""
    text = _LINE_END.sub("\n", text)
    if "\x00" in text:
        text = text.replace("\x00", _REPLACEMENT)
    return _SURROGATE.sub(_REPLACEMENT, text)


def collapse_whitespace(text: str) -> str:
    """Returns the text on one line, single-spaced; for titles and previews, never for offsets."""
    return " ".join(text.split())
