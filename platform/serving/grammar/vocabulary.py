"""The model's tokens as byte strings, as grammars see them.

What always holds: the tuple is as long as the model's output layer; a token that spells no text
(special, padding, unknown) is the empty byte string and is never allowed by a grammar, unless the
grammar names the token itself.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import Any, Protocol, TypeVar, cast

import torch
import xgrammar

WORD_BITS = 32
MAX_REMEMBERED = 64
NOT_TEXT = b"\xff"
# No byte of UTF-8.

T = TypeVar("T")


class TokenBytes(Protocol):
    """The part of the text tokenizer that a vocabulary is made from."""

    def token_bytes(self, token: int) -> bytes: ...

    def token_text(self, token: int) -> str: ...


class Vocabulary:
    """Tokens, how text is cut into them, and masks over them.

    Args:
        tokens: bytes of each token id; empty for tokens that spell no text.
        eos_token_ids: the model's end tokens.
        named: special tokens by their name, which a grammar may name (`[TOOL_CALLS]`).
        encode: the tokenizer's own way to cut text; None cuts into the fewest tokens.
    """

    def __init__(
        self,
        tokens: Sequence[bytes],
        eos_token_ids: Iterable[int] = (),
        *,
        named: dict[str, int] | None = None,
        encode: Callable[[str], list[int]] | None = None,
    ) -> None:
        self.eos_token_ids = tuple(eos_token_ids)
        ends = set(self.eos_token_ids)
        self.tokens = tuple(b"" if i in ends else token for i, token in enumerate(tokens))
        self.named = dict(named or {})
        self._encode = encode
        self._memory: OrderedDict[bytes, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def words(self) -> int:
        """int32 words of a mask row."""
        return -(-len(self.tokens) // WORD_BITS)

    @cached_property
    def stop_token(self) -> int:
        """A token for xgrammar to end with: an end token, or one that spells nothing.

        Raises:
            ValueError: if every token spells text.
        """
        if self.eos_token_ids:
            return self.eos_token_ids[0]
        for token, spelled in enumerate(self.tokens):
            if not spelled:
                return token
        raise ValueError("a vocabulary without end token and without special tokens")

    @cached_property
    def fingerprint(self) -> str:
        """Names the content; equal vocabularies have equal fingerprints."""
        digest = blake2b(digest_size=16)
        digest.update(repr(self.eos_token_ids).encode())
        for token in self.tokens:
            digest.update(len(token).to_bytes(4, "little") + token)
        return digest.hexdigest()

    @cached_property
    def info(self) -> xgrammar.TokenizerInfo:
        """What xgrammar compiles for and matches with.

        Padded to whole words: it would allow the bits after the last token. It never allows tokens
        without bytes, so those that a grammar may name get bytes that are in no text.
        """
        size = self.words * WORD_BITS
        spelled = [*self.tokens, *[b""] * (size - len(self.tokens))]
        for token in self.named.values():
            if token < len(self.tokens) and token not in self.eos_token_ids:
                spelled[token] = self.tokens[token] or NOT_TEXT + str(token).encode()
        return xgrammar.TokenizerInfo(
            spelled,
            xgrammar.VocabType.RAW,
            vocab_size=size,
            stop_token_ids=list(self.eos_token_ids) or [self.stop_token],
        )

    @cached_property
    def ids(self) -> dict[bytes, int]:
        """The lowest token that spells these bytes."""
        found: dict[bytes, int] = {}
        for token, spelled in enumerate(self.tokens):
            if spelled:
                found.setdefault(spelled, token)
        return found

    @cached_property
    def in_order(self) -> tuple[list[bytes], list[int]]:
        """All tokens that spell text, sorted by their bytes, and their ids."""
        pairs = sorted((spelled, token) for token, spelled in enumerate(self.tokens) if spelled)
        return [spelled for spelled, _ in pairs], [token for _, token in pairs]

    @cached_property
    def longest(self) -> int:
        """Bytes of the longest token."""
        return max(map(len, self.ids), default=0)

    def remember(self, key: bytes, make: Callable[[], T]) -> T:
        """What `make` made for this key lately; the last few keys are kept."""
        with self._lock:
            if key in self._memory:
                self._memory.move_to_end(key)
                return cast(T, self._memory[key])
        made = make()
        with self._lock:
            self._memory[key] = made
            if len(self._memory) > MAX_REMEMBERED:
                self._memory.popitem(last=False)
        return made

    def bits(self, tokens: Iterable[int]) -> torch.Tensor:
        """A mask row [words] int32 with these tokens allowed."""
        words = [0] * self.words
        for token in tokens:
            words[token // WORD_BITS] |= 1 << (token % WORD_BITS)
        return torch.tensor(
            [word - (1 << WORD_BITS) if word >> (WORD_BITS - 1) else word for word in words],
            dtype=torch.int32,
        )

    def encode(self, text: str) -> list[int]:
        """Cuts text as the tokenizer does, if its tokens spell exactly this text."""
        if self._encode is not None:
            tokens = self._encode(text)
            if b"".join(self.tokens[token] for token in tokens) == text.encode():
                return tokens
        return self.segment(text.encode()) or []

    def segment(self, data: bytes) -> list[int] | None:
        """The fewest tokens that spell `data`; None if no tokens do.

        Shortest path over the cuts, O(len(data) * longest token).
        """
        ids, reach = self.ids, self.longest
        # Best way to reach each cut: number of tokens, and the last of them.
        counts = [0] + [-1] * len(data)
        last: list[tuple[int, int]] = [(0, 0)] * (len(data) + 1)
        for start in range(len(data)):
            if counts[start] < 0:
                continue
            for end in range(start + 1, min(start + reach, len(data)) + 1):
                token = ids.get(data[start:end])
                if token is None:
                    continue
                if counts[end] < 0 or counts[start] + 1 < counts[end]:
                    counts[end] = counts[start] + 1
                    last[end] = (start, token)
        if counts[-1] < 0:
            return None
        tokens: list[int] = []
        end = len(data)
        while end:
            end, token = last[end]
            tokens.append(token)
        return tokens[::-1]


def make_vocabulary(
    tokenizer: TokenBytes,
    size: int,
    eos_token_ids: Iterable[int],
    *,
    special: Iterable[int] = (),
    named: dict[str, int] | None = None,
    encode: Callable[[str], list[int]] | None = None,
) -> Vocabulary:
    """The vocabulary of a tokenizer, padded to the model's output layer.

    Args:
        tokenizer: gives the bytes of each token.
        size: rows of the output layer.
        eos_token_ids: the model's end tokens.
        special: tokens that spell no text.
        named: special tokens that a grammar may name; None is all of `special`.
        encode: how the tokenizer cuts plain text, without special tokens.
    """
    skipped = set(special)
    tokens = [b"" if token in skipped else tokenizer.token_bytes(token) for token in range(size)]
    if named is None:
        named = {tokenizer.token_text(token): token for token in skipped}
    return Vocabulary(tokens, eos_token_ids, named=named, encode=encode)
