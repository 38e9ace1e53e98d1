"""Special tokens that a text must show, because what comes after them is read by them.

What always holds: only the tokens that the parsers know are shown; all other special tokens stay
hidden.
"""

from collections.abc import Callable
from dataclasses import replace

from rostra.serving.parsers.reasoning import CLOSE, OPEN
from rostra.serving.parsers.tool_calls import MARKERS
from rostra.serving.text.pieces import Pieces


def with_markers(pieces: Pieces, token_id: Callable[[str], int | None]) -> Pieces:
    """A vocabulary in which the markers of tool calls and of reasoning are text.

    Args:
        pieces: the tokenizer's vocabulary, which hides special tokens.
        token_id: the id of a token by its name.
    """
    found = {token: token_id(token) for token in (*MARKERS, OPEN, CLOSE)}
    shown = {
        number: token.encode()
        for token, number in found.items()
        if number is not None and number in pieces.special
    }
    if not shown:
        return pieces
    by_id = [shown.get(number, data) for number, data in enumerate(pieces.by_id)]
    return replace(pieces, by_id=by_id, special=pieces.special - shown.keys())
