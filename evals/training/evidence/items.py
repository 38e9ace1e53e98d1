"""Examples as the net reads them: a passage and a question, and which sentences answer.

What always holds: the items of a step are a pure function of the seed and the step; an item whose
answering sentences lie in another row of a long passage reads that row, so that none is taught to
say "nothing" beside an answer it cannot see.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import torch

from evals.training.examples import Example, ExampleSet
from evals.training.examples.records import without_sentences
from evals.training.loop import Draws, bucketed
from evals.training.pages import Passage
from rostra.answer import Batch, Featuriser, Row, make_batch
from rostra.answer import Passage as Readable

# Kinds whose answers are more than the sentences that are named: all of a section is about its
# heading.
_ANSWERED_BY_MORE = frozenset({"heading"})
_BATCHES = 8  # drawn together and sorted by length
_SPARE = 1.2


class Mixture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a step is made of: the table `mixture` of a configuration.

    Attributes:
        weights: share of each kind of example.
        cut: share of the negatives that are the passage itself without the sentences that answer.
        validated: examples of each kind that a validation during training reads; `measure` reads
            all.
    """

    weights: dict[str, float]
    cut: float = 0.1
    validated: int = 60


@dataclass(frozen=True, slots=True)
class Item:
    """A row to read.

    Attributes:
        gold: sentences that answer; empty where none does.
    """

    row: Row
    gold: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Items:
    """Items of a step as tensors.

    Attributes:
        gold: bool [B, S], sentences that answer.
    """

    batch: Batch
    gold: torch.Tensor

    def to(self, device: str) -> "Items":
        """The same on another device."""
        return Items(self.batch.to(device), self.gold.to(device))


class ItemStream:
    """Items of training, step by step; see this module.

    Args:
        batch: items of a step.
    """

    def __init__(
        self, examples: ExampleSet, featuriser: Featuriser, mixture: Mixture, batch: int, seed: int
    ) -> None:
        self._passages = examples.passages
        self._featuriser = featuriser
        self._mixture = mixture
        self._batch = batch
        self._seed = seed
        self._by_kind: dict[str, list[Example]] = {}
        for one in examples.train:
            self._by_kind.setdefault(one.kind, []).append(one)
        count = math.ceil(_BATCHES * batch / 2 * _SPARE)
        sizes = {kind: len(found) for kind, found in self._by_kind.items()}
        self._draws = Draws(sizes, mixture.weights, count, seed)
        self._pool: tuple[int, list[list[Item]]] = (-1, [])

    def step(self, step: int) -> list[Item]:
        """The items of a step, from 0."""
        number, at = divmod(step, _BATCHES)
        if self._pool[0] != number:
            self._pool = number, self._drawn(number)
        return self._pool[1][at]

    def _drawn(self, number: int) -> list[list[Item]]:
        rng = random.Random(f"{self._seed}-items-{number}")
        items: list[Item] = []
        for kind, place in self._draws.draw(number):
            example = self._by_kind[kind][place]
            items += self._items(example, rng)
        wanted = _BATCHES * self._batch
        while len(items) < wanted:  # many examples had no negative
            items += items[: wanted - len(items)]
        return bucketed(
            items[:wanted],
            self._batch,
            lambda one: len(one.row.ids),
            f"{self._seed}-batches-{number}",
        )

    def _items(self, example: Example, rng: random.Random) -> list[Item]:
        found = []
        own = self._passages[example.passages[0]]
        if (item := read_item(self._featuriser, example.question, own, example.gold)) is not None:
            found.append(item)
        others = example.passages[1:] if example.gold else example.passages
        can_cut = bool(example.gold) and example.kind not in _ANSWERED_BY_MORE
        if can_cut and (not others or rng.random() < self._mixture.cut):
            other = without_sentences(own, example.gold)
        elif others:
            other = self._passages[rng.choice(others)]
        else:
            return found
        if other.spans and (item := read_item(self._featuriser, example.question, other)):
            found.append(item)
        return found


def read_item(
    featuriser: Featuriser, question: str, passage: Passage, gold: Sequence[int] = ()
) -> Item | None:
    """A passage with a question; None where no row has a sentence that answers.

    Args:
        gold: sentences that answer; without any the first row is read.
    """
    readable = Readable(passage.context, passage.text, passage.spans)
    if not gold:
        return Item(featuriser.row(question, readable))
    for _, row in featuriser.rows(question, [readable]):
        seen = [number for number in gold if number < len(row.sentences) and row.sentences[number]]
        if seen:
            return Item(row, seen)
    return None


def make_items(items: Sequence[Item]) -> Items:
    """Items as tensors."""
    batch = make_batch([item.row for item in items])
    gold = torch.zeros_like(batch.scored)
    for at, item in enumerate(items):
        gold[at, item.gold] = True
    return Items(batch, gold)
