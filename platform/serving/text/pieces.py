"""What each token id adds to a text, read from a tokenizer's own description.

Two kinds of vocabulary cover the decoders served here: byte-level BPE, whose tokens are bytes in
disguise, and SentencePiece's, whose tokens are text with "▁" for a space and `<0x0A>` for single
bytes.

What always holds: special tokens and ids beyond the vocabulary add nothing; a text's bytes are its
tokens' bytes one after the other, apart from a leading space that the tokenizer puts in front of
every text and takes away again.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@dataclass(frozen=True, slots=True)
class Pieces:
    """The vocabulary as bytes.

    Attributes:
        byte_level: the tokens of a character may each hold some of its bytes, any token may.
        by_id: bytes that each token id adds to a text.
        special: ids that are not shown.
        single_bytes: ids that stand for one byte each, where only these can hold part of a
            character; empty when `byte_level`.
        leading: how many leading spaces of a whole text are not shown.
        leading_token: likewise all spaces of a whole text's first token.
    """

    byte_level: bool
    by_id: list[bytes]
    special: frozenset[int]
    single_bytes: frozenset[int]
    leading: int
    leading_token: bool

    def bytes_of(self, token: int) -> bytes:
        return self.by_id[token] if 0 <= token < len(self.by_id) else b""


def read_pieces(tokenizer: Tokenizer) -> Pieces:
    """Reads the vocabulary.

    Raises:
        ValueError: if the tokenizer turns tokens into text in a way that is not known here.
    """
    # The state that a decoder is pickled by is its description in tokenizer.json.
    decoder = tokenizer.decoder
    steps = decoding_steps(json.loads(decoder.__getstate__()) if decoder else None)
    special = frozenset(
        token for token, added in tokenizer.get_added_tokens_decoder().items() if added.special
    )
    tokens = tokenizer.get_vocab(with_added_tokens=True)
    kinds = [step["type"] for step in steps]
    if kinds == ["ByteLevel"]:
        to_byte = byte_level_alphabet()
        by_id = [b""] * (max(tokens.values(), default=-1) + 1)
        for token, number in tokens.items():
            if number not in special:
                by_id[number] = byte_level_bytes(token, to_byte)
        return Pieces(True, by_id, special, frozenset(), 0, False)
    return read_sentencepiece(tokens, special, steps)


def read_sentencepiece(
    tokens: dict[str, int], special: frozenset[int], steps: list[dict[str, Any]]
) -> Pieces:
    space = ""
    fallback = False
    leading = 0
    leading_token = False
    for step in steps:
        match step:
            case {"type": "Replace", "pattern": {"String": str(pattern)}, "content": " "}:
                space = pattern
            case {"type": "Metaspace", "replacement": str(pattern)}:
                space = pattern
                leading_token = step.get("prepend_scheme", "always") != "never"
            case {"type": "ByteFallback"}:
                fallback = True
            case {"type": "Fuse"}:
                pass
            case {"type": "Strip", "content": " ", "start": int(start), "stop": 0}:
                leading = start
            case _:
                raise ValueError(f"its decoder has a step that is not known: {step}")
    if not space:
        raise ValueError("it is neither byte-level nor a SentencePiece vocabulary")
    by_id = [b""] * (max(tokens.values(), default=-1) + 1)
    single_bytes = set()
    for token, number in tokens.items():
        if number in special:
            continue
        if fallback and (byte := BYTE_TOKEN.fullmatch(token)):
            by_id[number] = bytes([int(byte[1], 16)])
            single_bytes.add(number)
        else:
            by_id[number] = token.replace(space, " ").encode()
    return Pieces(False, by_id, special, frozenset(single_bytes), leading, leading_token)


def decoding_steps(decoder: dict[str, Any] | None) -> list[dict[str, Any]]:
    """A decoder's description as a flat list of steps."""
    if decoder is None:
        return []
    if decoder["type"] == "Sequence":
        return [step for part in decoder["decoders"] for step in decoding_steps(part)]
    return [decoder]


def byte_level_alphabet() -> dict[str, int]:
    """Which byte each character of a byte-level vocabulary stands for (GPT-2's table).

    Printable bytes of Latin-1 stand for themselves, the others for characters from U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    shifted = {chr(0x100 + n): byte for n, byte in enumerate(others)}
    return {chr(byte): byte for byte in printable} | shifted


def byte_level_bytes(token: str, to_byte: dict[str, int]) -> bytes:
    """An added token may hold characters outside the alphabet; then it is meant literally."""
    try:
        return bytes([to_byte[character] for character in token])
    except KeyError:
        return token.encode()
