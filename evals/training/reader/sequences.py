"""Examples as token ids in files that are mapped into memory, and batches of them.

What always holds: files are written once, whole; a sequence that was read again is the one that was
written; a batch is a function of a random state alone.
"""

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from evals.training.atomic import replacing
from evals.training.errors import ExamplesMissing
from evals.training.reader.layout import (
    END,
    MARKERS,
    MOST_NUMBERS,
    SPECIAL,
    STEP,
    STOP,
)
from evals.training.reader.net import Batch
from evals.training.reader.tasks import Asked
from evals.training.reader.vocabulary import number_id

_COLUMNS = ("tokens", "targets", "marks", "gold")
_IGNORED = -100


@dataclass(frozen=True, slots=True)
class Marks:
    """Tokens that sequences are read by.

    Attributes:
        owners: token -> number, of the markers of sentences.
        numbers: tokens of the numbers from 1 on.
    """

    owners: Mapping[int, int]
    numbers: tuple[int, ...]
    end: int
    step: int
    stop: int

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "Marks":
        """Those of a vocabulary."""
        ids = {name: int(tokenizer.token_to_id(name) or 0) for name in SPECIAL}
        return cls(
            {ids[name]: at for at, name in enumerate(MARKERS, 1)},
            tuple(number_id(tokenizer, at) for at in range(1, MOST_NUMBERS + 1)),
            ids[END],
            ids[STEP],
            ids[STOP],
        )


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """A prompt and its answer in token ids.

    Attributes:
        tokens: [T] int32, without the last one of the answer.
        targets: [T] int32: the token to come, or -100.
        marks: [T] int32: at the end of a sentence its number, before a decision or the first number
            of an answer -1, else 0.
        gold: [G] int32: numbers that answer; 0 alone where none does; none where nothing is read.
    """

    tokens: np.ndarray
    targets: np.ndarray
    marks: np.ndarray
    gold: np.ndarray


def tokenised(asked: Asked, tokenizer: Tokenizer, marks: Marks) -> TokenSequence:
    """The token ids of an example."""

    def ids(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    prompt, answer = ids(asked.prompt), [*ids(asked.answer), marks.end]
    tokens = [*prompt, *answer[:-1]]
    targets = [_IGNORED] * (len(prompt) - 1) + answer
    marked = [0] * len(tokens)
    if asked.reads:
        number = 0
        for at, token in enumerate(prompt):
            number = marks.owners.get(token, number)
            if token == marks.stop:
                marked[at] = number
        marked[len(prompt) - 1] = -1
        numbers = set(marks.numbers)
        first = next((at for at, token in enumerate(answer) if token in numbers), None)
        if asked.gold and first is not None:
            marked[len(prompt) - 1 + first] = -1
    return TokenSequence(
        np.array(tokens, np.int32),
        np.array(targets, np.int32),
        np.array(marked, np.int32),
        np.array((asked.gold or (0,)) if asked.reads else (), np.int32),
    )


def write_sequences(folder: Path, sequences: Iterable[TokenSequence]) -> int:
    """Writes sequences, the shortest first; returns how many.

    Raises:
        OSError: the disk is full or not writable.
    """
    kept = sorted(sequences, key=lambda one: (len(one.tokens), one.tokens.tobytes()))
    lengths = [[len(one.tokens), len(one.gold)] for one in kept]
    ends = np.cumsum(np.array(lengths, np.int64).reshape(-1, 2), axis=0)
    for name in _COLUMNS:
        values = [getattr(one, name) for one in kept]
        _write(folder / f"{name}.npy", np.concatenate([np.zeros(0, np.int32), *values]))
    _write(folder / "ends.npy", ends)
    return len(kept)


def _write(path: Path, values: np.ndarray) -> None:
    with replacing(path) as draft, draft.open("wb") as file:
        np.save(file, values)


class StoredSequences:
    """Sequences of a folder that `write_sequences` wrote, mapped into memory.

    Raises:
        ExamplesMissing: they are not there.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._ends = np.load(folder / "ends.npy")
            self._columns = {
                name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _COLUMNS
            }
        except (OSError, ValueError) as error:
            raise ExamplesMissing(
                f"{folder}: {error}", hint="Run `python -m evals.training build reader` first."
            ) from None

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, at: int) -> TokenSequence:
        start, end = (self._ends[at - 1] if at else np.zeros(2, np.int64)), self._ends[at]
        return TokenSequence(
            *(
                np.array(self._columns[name][start[row] : end[row]])
                for name, row in zip(_COLUMNS, (0, 0, 0, 1), strict=True)
            )
        )

    @property
    def tokens(self) -> int:
        """Of all sequences."""
        return int(self._ends[-1, 0]) if len(self) else 0

    def digest(self) -> bytes:
        """sha256 of all sequences."""
        digest = hashlib.sha256(self._ends.tobytes())
        for name in _COLUMNS:
            digest.update(self._columns[name].tobytes())
        return digest.digest()

    def draw(self, rng: random.Random, tokens: int) -> Batch:
        """Neighbours in length, of about so many tokens together."""
        chosen: list[TokenSequence] = []
        for at in range(rng.randrange(len(self)), len(self)):
            found = self[at]
            if chosen and (len(chosen) + 1) * len(found.tokens) > tokens:
                break
            chosen.append(found)
        return padded(chosen)


def padded(sequences: Sequence[TokenSequence]) -> Batch:
    """A batch, padded on the right."""

    def rows(name: str, fill: int) -> torch.Tensor:
        values = [torch.from_numpy(getattr(one, name).astype(np.int64)) for one in sequences]
        return torch.nn.utils.rnn.pad_sequence(values, batch_first=True, padding_value=fill)

    marks = rows("marks", 0)
    gold = torch.zeros(len(sequences), MOST_NUMBERS + 1, dtype=torch.bool)
    for row, one in enumerate(sequences):
        gold[row, one.gold.astype(np.int64)] = True
    return Batch(
        tokens=rows("tokens", 0),
        targets=rows("targets", _IGNORED),
        ends=marks.clamp(min=0),
        gold=gold,
        decides=marks < 0,
        lengths=torch.tensor([len(one.tokens) for one in sequences]),
    )
