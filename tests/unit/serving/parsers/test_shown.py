"""Markers of tool calls are shown although tokenizers call them special; nothing else is."""

from rostra.serving.parsers.shown import with_markers
from rostra.serving.text.detokenize import Detokenizer
from rostra.serving.text.pieces import Pieces

TOKENS = ["<s>", "[TOOL_CALLS]", "look", "[ARGS]", "{}", "<think>"]


def token_id(token: str) -> int | None:
    return TOKENS.index(token) if token in TOKENS else None


def pieces(special: set[int]) -> Pieces:
    by_id = [b"" if n in special else token.encode() for n, token in enumerate(TOKENS)]
    return Pieces(True, by_id, frozenset(special), frozenset(), 0, False)


def test_markers_are_text_and_other_special_tokens_are_not() -> None:
    shown = with_markers(pieces({0, 1, 3}), token_id)
    assert Detokenizer(shown).push(range(6)) == "[TOOL_CALLS]look[ARGS]{}<think>"
    assert shown.special == {0}


def test_a_vocabulary_that_hides_no_marker_stays_as_it_is() -> None:
    plain = pieces({0})
    assert with_markers(plain, token_id) is plain
