"""What the evidence scorer reads: question and passage as tokens, and which tokens a sentence has.

What always holds: a row is `[CLS] question [SEP] context, newline, passage [SEP]` with at most
`QUESTION_TOKENS` of the question and `ROW_TOKENS` in all; a token belongs to the sentence in which
it begins; each sentence of a passage has its tokens in one row only, however many rows a long
passage needs, unless nothing but a cut leaves it without any.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rostra.core import ModelUnavailable

if TYPE_CHECKING:
    import torch

Span = tuple[int, int]

QUESTION_TOKENS = 48
ROW_TOKENS = 384
# Of the sentences before a row's first one, so many tokens are read with it.
_LEAD_TOKENS = 64
# A context longer than this, in tokens, loses its end.
_CONTEXT_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage to be read.

    Attributes:
        context: the headings above it; read with it, never scored.
        text: its words.
        spans: `[start, end)` of each sentence in `text`, ordered and disjoint.
    """

    context: str
    text: str
    spans: Sequence[Span]


@dataclass(frozen=True, slots=True)
class Row:
    """One reading of the net.

    Attributes:
        ids: tokens.
        second: where the passage's tokens begin.
        sentences: for each sentence of the passage, the positions in `ids` of its tokens; none for
            a sentence that this row does not score.
    """

    ids: list[int]
    second: int
    sentences: list[list[int]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as tensors; B rows of at most T tokens and S sentences.

    Attributes:
        ids: int64 [B, T].
        mask: int64 [B, T], 1 where a token is.
        types: int64 [B, T], 1 for the passage's tokens and the mark that ends them.
        pool: float32 [B, S, T], weights of the mean over a sentence's tokens.
        scored: bool [B, S], sentences with tokens.
    """

    ids: "torch.Tensor"
    mask: "torch.Tensor"
    types: "torch.Tensor"
    pool: "torch.Tensor"
    scored: "torch.Tensor"

    def to(self, device: str) -> "Batch":
        """The same on another device."""
        return Batch(
            self.ids.to(device),
            self.mask.to(device),
            self.types.to(device),
            self.pool.to(device),
            self.scored.to(device),
        )


class Featuriser:
    """Makes rows by a BERT tokenizer. Safe to share between threads.

    Args:
        folder: of the encoder, with its tokenizer.json.

    Raises:
        ModelUnavailable: there is no tokenizer, or it is not BERT's.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        try:
            found: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the library raises nothing narrower
            raise ModelUnavailable(f"no tokenizer can be read in {folder}: {error}") from None
        found.no_truncation()
        found.no_padding()
        first, last = found.token_to_id("[CLS]"), found.token_to_id("[SEP]")
        if first is None or last is None:
            raise ModelUnavailable(f"the tokenizer in {folder} is not BERT's")
        self._tokenizer = found
        self._first, self._last = first, last

    def row(self, question: str, passage: Passage) -> Row:
        """The first row of a passage, cut where it is full. What training reads."""
        return next(self.rows(question, [passage]))[1]

    def rows(self, question: str, passages: Sequence[Passage]) -> Iterator[tuple[int, Row]]:
        """All rows of some passages, each with the place of its passage."""
        asked = self._tokenizer.encode(question, add_special_tokens=False).ids[:QUESTION_TOKENS]
        opening = [self._first, *asked, self._last]
        contexts = self._tokenizer.encode_batch(
            [passage.context for passage in passages], add_special_tokens=False
        )
        texts = self._tokenizer.encode_batch(
            [passage.text for passage in passages], add_special_tokens=False
        )
        for place, (passage, context, text) in enumerate(
            zip(passages, contexts, texts, strict=True)
        ):
            head = opening + context.ids[:_CONTEXT_TOKENS]
            room = ROW_TOKENS - len(head) - 1
            members = _members(text.offsets, passage.spans)
            for start, end, scored in _windows(members, len(text.ids), room):
                shift = len(head) - start
                sentences = [
                    [at + shift for at in tokens if start <= at < end] if number in scored else []
                    for number, tokens in enumerate(members)
                ]
                ids = [*head, *text.ids[start:end], self._last]
                yield place, Row(ids, len(opening), sentences)


def _members(offsets: Sequence[Span], spans: Sequence[Span]) -> list[list[int]]:
    """For each sentence, the tokens that begin in it."""
    members: list[list[int]] = [[] for _ in spans]
    number = 0
    for at, (start, _) in enumerate(offsets):
        while number < len(spans) and start >= spans[number][1]:
            number += 1
        if number < len(spans) and start >= spans[number][0]:
            members[number].append(at)
    return members


def _windows(
    members: Sequence[Sequence[int]], total: int, room: int
) -> Iterator[tuple[int, int, range]]:
    """Cuts a passage into rows: first and last token, and which sentences are scored there.

    A passage that fits is one row. Otherwise a row takes whole sentences while they fit, and reads
    some of what stands before them; a sentence longer than a row is read as far as it fits.
    """
    if total <= room or not members:
        yield 0, min(total, room), range(len(members))
        return
    number = start = 0
    while number < len(members):
        first = number
        while number < len(members):
            tokens = members[number]
            if tokens and tokens[-1] >= start + room:
                break
            number += 1
        if number == first:  # it is longer than what the lead leaves of a row
            start = members[number][0]
            number += 1
        yield start, min(total, start + room), range(first, number)
        while number < len(members) and not members[number]:
            number += 1
        if number < len(members):
            start = max(0, members[number][0] - _LEAD_TOKENS)


def make_batch(rows: Sequence[Row], *, tokens: int = 0) -> Batch:
    """Puts rows together.

    Args:
        rows: at least one.
        tokens: to which rows are padded; the longest row's by default.
    """
    import torch

    longest = max(tokens, *(len(row.ids) for row in rows))
    most = max(1, *(len(row.sentences) for row in rows))
    ids = torch.zeros(len(rows), longest, dtype=torch.int64)
    mask, types = torch.zeros_like(ids), torch.zeros_like(ids)
    pool = torch.zeros(len(rows), most, longest)
    for at, row in enumerate(rows):
        length = len(row.ids)
        ids[at, :length] = torch.tensor(row.ids)
        mask[at, :length] = 1
        types[at, row.second : length] = 1
        for number, members in enumerate(row.sentences):
            if members:
                pool[at, number, members] = 1 / len(members)
    return Batch(ids, mask, types, pool, pool.sum(-1) > 0)
