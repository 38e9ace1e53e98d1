"""What a library says of a damaged file, as a part of the reason that a person reads."""

_MAX_CHARS = 200
# Python's own limit on numbers of thousands of digits; its hint is about the interpreter.
_NUMBER_LIMIT = "integer string conversion"


def words_of(error: Exception) -> str:
    """The first line of an error's message, of at most 200 code points; else the error's name."""
    text = str(error).strip().split("\n", 1)[0].strip()
    if _NUMBER_LIMIT in text:
        return "it holds a number that is far too large"
    if len(text) > _MAX_CHARS:
        text = text[: _MAX_CHARS - 1].rstrip() + "…"
    return text or type(error).__name__
