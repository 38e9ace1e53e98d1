"""Packs as token ids in files that are mapped into memory, and batches of them.

What always holds: files are written once, whole; a pack that was read again is the one that was
written; a batch is a function of a random state alone.
"""

import hashlib
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from evals.training.atomic import replacing
from evals.training.errors import ExamplesMissing
from evals.training.reader.layout import ASKED, END, MARKERS, MOST_NUMBERS, SPECIAL, STEP
from evals.training.reader.net import Packs
from evals.training.reader.tasks import Pack
from evals.training.reader.vocabulary import number_id

PADDING, BLIND, WORDS, DECIDES = -1, 1, 2, 4
_FIELDS = ("material", "owner", "questions", "segment", "flags", "targets", "gold", "ends")


@dataclass(frozen=True, slots=True)
class Marks:
    """Tokens that packs are read by.

    Attributes:
        owners: token -> number, of the markers of sentences.
        numbers: tokens of the numbers from 1 on.
    """

    owners: Mapping[int, int]
    numbers: tuple[int, ...]
    end: int
    step: int
    asked: int
    special: frozenset[int]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "Marks":
        """Those of a vocabulary."""
        ids = {name: int(tokenizer.token_to_id(name) or 0) for name in SPECIAL}
        return cls(
            {ids[name]: at for at, name in enumerate(MARKERS, 1)},
            tuple(number_id(tokenizer, at) for at in range(1, MOST_NUMBERS + 1)),
            ids[END],
            ids[STEP],
            ids[ASKED],
            frozenset(ids.values()),
        )


@dataclass(frozen=True, slots=True)
class TokenPack:
    """A pack in token ids.

    Attributes:
        material: [P] int32.
        owner: [P] int32: number of the sentence that a token belongs to, or 0.
        questions: [Q] int32.
        segment: [Q] int32: which question a token belongs to.
        flags: [Q] int32: `BLIND`, `WORDS`, `DECIDES`.
        targets: [Q] int32: the token to come, or -100.
        gold: [G, 2] int32: question, number; number 0 where nothing answers.
    """

    material: np.ndarray
    owner: np.ndarray
    questions: np.ndarray
    segment: np.ndarray
    flags: np.ndarray
    targets: np.ndarray
    gold: np.ndarray


def tokenised(pack: Pack, tokenizer: Tokenizer, marks: Marks) -> TokenPack:
    """A pack's token ids."""

    def ids(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    shown = ids(pack.material)
    questions: list[int] = []
    segment: list[int] = []
    flags: list[int] = []
    targets: list[int] = []
    gold: list[tuple[int, int]] = []
    numbers = set(marks.numbers)
    for at, asked in enumerate(pack.asked):
        prompt, answer = ids(asked.prompt), [*ids(asked.answer), marks.end]
        tokens = [*prompt, *answer[:-1]]
        own = [0 if asked.reads else BLIND] * len(tokens)
        coming = [-100] * (len(prompt) - 1) + answer
        if asked.reads:
            words = prompt.index(marks.asked) if marks.asked in prompt else len(prompt) - 1
            for place in range(words):
                if prompt[place] not in marks.special:
                    own[place] |= WORDS
            own[len(prompt) - 1] |= DECIDES
            first = next((i for i, token in enumerate(answer) if token in numbers), None)
            if asked.gold and first is not None:
                own[len(prompt) - 1 + first] |= DECIDES
            gold += [(at, number) for number in asked.gold or (0,)]
        questions += tokens
        segment += [at] * len(tokens)
        flags += own
        targets += coming
    owner, number = [], 0
    for token in shown:
        number = marks.owners.get(token, 0 if token in marks.special else number)
        owner.append(number)
    return TokenPack(
        material=np.array(shown, np.int32),
        owner=np.array(owner, np.int32),
        questions=np.array(questions, np.int32),
        segment=np.array(segment, np.int32),
        flags=np.array(flags, np.int32),
        targets=np.array(targets, np.int32),
        gold=np.array(gold, np.int32).reshape(-1, 2),
    )


def write_packs(folder: Path, packs: Iterable[TokenPack]) -> int:
    """Writes packs, shortest material first; returns how many.

    Raises:
        OSError: the disk is full or not writable.
    """
    kept = sorted(packs, key=lambda pack: (len(pack.material), pack.material.tobytes()))
    columns = {name: [getattr(pack, name) for pack in kept] for name in _FIELDS[:-1]}
    ends = np.cumsum(
        [[len(pack.material), len(pack.questions), len(pack.gold)] for pack in kept], axis=0
    )
    for name, values in columns.items():
        _write(folder / f"{name}.npy", np.concatenate(values))
    _write(folder / "ends.npy", ends.reshape(-1, 3).astype(np.int64))
    return len(kept)


def _write(path: Path, values: np.ndarray) -> None:
    with replacing(path) as draft, draft.open("wb") as file:
        np.save(file, values)


class StoredPacks:
    """Packs of a folder that `write_packs` wrote, mapped into memory.

    Raises:
        ExamplesMissing: it is not there.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._columns = {
                name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _FIELDS
            }
        except (OSError, ValueError) as error:
            raise ExamplesMissing(
                f"{folder}: {error}", hint="Run `python -m evals.training build reader` first."
            ) from None

    def __len__(self) -> int:
        return len(self._columns["ends"])

    def __getitem__(self, at: int) -> TokenPack:
        ends = self._columns["ends"]
        start, end = (ends[at - 1] if at else np.zeros(3, np.int64)), ends[at]
        places = {"material": 0, "owner": 0, "gold": 2}
        return TokenPack(
            *(
                np.array(self._columns[name][start[row] : end[row]])
                for name, row in ((one, places.get(one, 1)) for one in _FIELDS[:-1])
            )
        )

    @property
    def tokens(self) -> int:
        """Of all packs, material and questions."""
        return int(self._columns["ends"][-1, :2].sum()) if len(self) else 0

    def digest(self) -> bytes:
        """sha256 of all packs."""
        digest = hashlib.sha256()
        for name in _FIELDS:
            digest.update(self._columns[name].tobytes())
        return digest.digest()

    def draw(self, rng: random.Random, tokens: int) -> Packs:
        """Neighbours in length, of about so many tokens together."""
        first = rng.randrange(len(self))
        chosen: list[TokenPack] = []
        widest = [0, 0]
        for at in range(first, len(self)):
            pack = self[at]
            wide = [
                max(widest[0], len(pack.material)),
                max(widest[1], len(pack.questions)),
            ]
            if chosen and (len(chosen) + 1) * sum(wide) > tokens:
                break
            chosen.append(pack)
            widest = wide
        return padded(chosen)


def padded(packs: list[TokenPack]) -> Packs:
    """A batch of packs, padded on the right."""

    def rows(name: str, fill: int) -> torch.Tensor:
        values = [torch.from_numpy(getattr(pack, name).astype(np.int64)) for pack in packs]
        return torch.nn.utils.rnn.pad_sequence(values, batch_first=True, padding_value=fill)

    segment, flags = rows("segment", PADDING), rows("flags", 0)
    material = rows("material", 0)
    blind = (flags & BLIND) > 0
    lengths = torch.tensor([len(pack.material) for pack in packs])
    place = torch.arange(segment.shape[1])
    begins = torch.ones_like(segment, dtype=torch.bool)
    begins[:, 1:] = segment[:, 1:] != segment[:, :-1]
    begun = torch.where(begins, place, 0).cummax(1).values
    positions = place - begun + torch.where(blind, 0, lengths[:, None])
    count = max(1, int(segment.max()) + 1)
    gold = torch.zeros(len(packs), count, MOST_NUMBERS + 1, dtype=torch.bool)
    for at, pack in enumerate(packs):
        for question, number in pack.gold:
            gold[at, question, number] = True
    return Packs(
        material=material,
        owner=rows("owner", PADDING),
        questions=rows("questions", 0),
        segment=segment,
        blind=blind,
        positions=positions,
        targets=rows("targets", -100),
        gold=gold,
        asks=(flags & WORDS) > 0,
        decides=(flags & DECIDES) > 0,
    )
