"""Incremental decoding against decoding all ids at once."""

from collections.abc import Callable, Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders

from rostra.serving.text.detokenize import Detokenizer
from rostra.serving.text.pieces import Pieces, read_pieces
from tests.unit.serving.text.vocabularies import byte_level, sentencepiece


def metaspace() -> Tokenizer:
    tokenizer = sentencepiece()
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    return tokenizer


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "byte_level": byte_level,
    "sentencepiece": sentencepiece,
    "gemma": lambda: sentencepiece(strip=False),
    "metaspace": metaspace,
}
TOKENIZERS = {name: make() for name, make in KINDS.items()}
PIECES = {name: read_pieces(tokenizer) for name, tokenizer in TOKENIZERS.items()}
kinds = pytest.mark.parametrize("kind", list(KINDS))

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["👩‍👩‍👧", " the lazy", "東京", "  ", "<tool_call>", "é", "\n\n"]
)


@st.composite
def id_lists(draw: st.DrawFn, kind: str) -> list[int]:
    """Encoded text, single bytes and anything, in any order; ids beyond the vocabulary too."""
    tokenizer = TOKENIZERS[kind]
    size = tokenizer.get_vocab_size()
    anything = st.lists(st.integers(0, size + 2), max_size=6)
    bytes_ = st.lists(st.integers(3, 258), max_size=5)
    encoded = TEXTS.map(lambda text: tokenizer.encode(text, add_special_tokens=False).ids)
    parts = draw(st.lists(st.one_of(encoded, encoded, bytes_, anything), max_size=5))
    return [token for part in parts for token in part]


def cut(ids: list[int], random: Random) -> list[list[int]]:
    pieces = []
    while ids:
        count = random.randint(0, 3)
        pieces.append(ids[:count])
        ids = ids[count:]
    return pieces


@kinds
@given(data=st.data(), seed=st.integers(0, 1000))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.data_too_large])
def test_pieces_join_to_the_whole(kind: str, data: st.DataObject, seed: int) -> None:
    ids = data.draw(id_lists(kind))
    detokenizer = Detokenizer(PIECES[kind])
    shown = "".join(detokenizer.push(part) for part in cut(ids, Random(seed))) + detokenizer.flush()
    assert shown == TOKENIZERS[kind].decode(ids, skip_special_tokens=True)


@kinds
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_text_continues_its_prompt(kind: str, data: st.DataObject) -> None:
    """With a prompt of whole characters, output is what the prompt's text lacks of the whole."""
    tokenizer = TOKENIZERS[kind]
    prompt = tokenizer.encode(data.draw(TEXTS), add_special_tokens=False).ids
    prompt = data.draw(st.sampled_from([[], [1]])) + prompt + data.draw(st.sampled_from([[], [2]]))
    output = tokenizer.encode(data.draw(TEXTS), add_special_tokens=False).ids
    detokenizer = Detokenizer(PIECES[kind], prompt)
    shown = "".join(detokenizer.push([token]) for token in output) + detokenizer.flush()
    before = tokenizer.decode(prompt, skip_special_tokens=True)
    whole = tokenizer.decode(prompt + output, skip_special_tokens=True)
    assert before + shown == whole


@kinds
@pytest.mark.parametrize("text", ["é", "👩‍👩‍👧", "x東京y", "🎉🎉"])
def test_no_part_of_a_character_is_shown(kind: str, text: str) -> None:
    detokenizer = Detokenizer(PIECES[kind])
    ids = TOKENIZERS[kind].encode(text, add_special_tokens=False).ids
    shown = [detokenizer.push([token]) for token in ids] + [detokenizer.flush()]
    assert "".join(shown) == text
    assert all("\ufffd" not in piece for piece in shown)


def test_what_is_certain_is_shown_at_once() -> None:
    """Text of whole tokens is not held back; nor, in byte-level vocabularies, whole characters."""
    detokenizer = Detokenizer(PIECES["byte_level"])
    first, second, third = "東".encode()
    alphabet = {bytes_: token for token, bytes_ in enumerate(PIECES["byte_level"].by_id)}
    pushed = [alphabet[bytes([byte])] for byte in (first, second, third, first)]
    assert [detokenizer.push([token]) for token in pushed] == ["", "", "東", ""]
    assert detokenizer.flush() == "\ufffd"
    for kind, tokenizer in TOKENIZERS.items():
        detokenizer = Detokenizer(PIECES[kind])
        ids = tokenizer.encode("the lazy dog", add_special_tokens=False).ids
        shown = "".join(detokenizer.push([token]) for token in ids)
        assert shown == tokenizer.decode(ids)


def test_an_invalid_run_of_byte_tokens() -> None:
    """SentencePiece's way: the run as a whole is invalid, so each of its bytes is."""
    pieces = PIECES["sentencepiece"]
    byte = {pieces.by_id[token][0]: token for token in pieces.single_bytes}
    detokenizer = Detokenizer(pieces)
    ids = [byte[value] for value in "é".encode()] + [byte[0xFF]]
    assert detokenizer.push(ids) == ""
    assert detokenizer.flush() == "\ufffd" * 3


def test_a_prompts_broken_end_does_not_leak() -> None:
    pieces = PIECES["byte_level"]
    byte = {bytes_: token for token, bytes_ in enumerate(pieces.by_id)}
    first, second = (byte[bytes([value])] for value in "é".encode())
    detokenizer = Detokenizer(pieces, [first])
    assert detokenizer.push([second, byte[b"a"]]) == "\ufffda"


@pytest.mark.parametrize(
    ("prompt", "expected"), [("", "fox"), ("</s>", "fox"), ("a", " fox"), ("a</s>", " fox")]
)
def test_leading_space(prompt: str, expected: str) -> None:
    tokenizer = TOKENIZERS["sentencepiece"]
    detokenizer = Detokenizer(PIECES["sentencepiece"], tokenizer.encode(prompt).ids)
    ids = tokenizer.encode("fox").ids
    assert tokenizer.id_to_token(ids[0]).startswith("▁")
    assert detokenizer.push(ids) + detokenizer.flush() == expected


def test_each_token_costs_constant_time() -> None:
    """Counted in looks at the vocabulary: one a token, and the prompt only until its last text."""
    looks = 0

    class Counted(list[bytes]):
        def __getitem__(self, index):  # type: ignore[no-untyped-def]
            nonlocal looks
            looks += 1
            return super().__getitem__(index)

    for kind in KINDS:
        pieces = PIECES[kind]
        counted = Pieces(
            pieces.byte_level,
            Counted(pieces.by_id),
            pieces.special,
            pieces.single_bytes,
            pieces.leading,
            pieces.leading_token,
        )
        ids = TOKENIZERS[kind].encode("the lazy dog " * 50, add_special_tokens=False).ids
        looks = 0
        detokenizer = Detokenizer(counted, ids * 10)
        assert looks == 1
        for token in ids:
            detokenizer.push([token])
        assert looks == 1 + len(ids)


@kinds
def test_bytes_of_tokens(kind: str) -> None:
    """A token's bytes are what it adds to a text that goes on."""
    tokenizer, pieces = TOKENIZERS[kind], PIECES[kind]
    [anchor] = [number for token, number in tokenizer.get_vocab().items() if token == "d"]

    def text(ids: Sequence[int]) -> str:
        return tokenizer.decode([anchor, *ids], skip_special_tokens=True)

    for token in range(tokenizer.get_vocab_size() + 3):
        expected = text([token]).removeprefix("d")
        assert pieces.bytes_of(token).decode(errors="replace") == expected
    for special in pieces.special:
        assert pieces.bytes_of(special) == b""


def test_every_byte_has_a_token() -> None:
    for kind in KINDS:
        assert {bytes([byte]) for byte in range(256)} <= set(PIECES[kind].by_id)


def test_an_unknown_kind_of_vocabulary() -> None:
    tokenizer = byte_level()
    tokenizer.decoder = decoders.WordPiece()
    with pytest.raises(ValueError, match="WordPiece"):
        read_pieces(tokenizer)
    tokenizer.decoder = decoders.Fuse()
    with pytest.raises(ValueError, match="neither"):
        read_pieces(tokenizer)
