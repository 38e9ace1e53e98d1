"""Packs put together: passages beside those that are mistaken for them, and questions of all.

What always holds: the packs depend on sources, configuration and seed alone; a pack is of passages
that are all held out or all not, and so are the texts that the vocabulary is made of.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
from tokenizers import Tokenizer

from evals.training.clozes import ClozeMaker, content_words
from evals.training.pages import Passage
from evals.training.reader.learning import Stage
from evals.training.reader.packs import Marks, TokenPack, tokenised
from evals.training.reader.tasks import (
    Asked,
    Pack,
    Question,
    arithmetic_step,
    citable,
    cloze_questions,
    make_pack,
    opening_steps,
)
from rostra.core import FloatMatrix
from rostra.retrieval import TextIndex

_SIBLINGS = (-1, 1, -2, 2)
_TRIES = 20  # a pack wanted


class Building(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table `build`.

    Attributes:
        vocabulary: tokens, at most.
        held_out: packs of each stage that validation keeps.
        reading: share of packs that are of the reading set.
        questions: of a pack, at most.
        openings: first steps of an agent, of a pack.
        arithmetic: steps of arithmetic, of a pack, on average; 0 to 1.
        anywhere: share of packs whose passages have nothing to do with each other.
        longest: tokens of a pack's material, at most.
    """

    vocabulary: int = 16_384
    held_out: int = 60
    reading: float = 0.3
    questions: int = 24
    openings: int = 2
    arithmetic: float = 0.5
    anywhere: float = 0.3
    longest: int = 2600


@dataclass(slots=True)
class Pool:
    """Passages of one kind, and what is known to be asked of them.

    Attributes:
        index: over `passages`, with `vectors`.
        questions: by the passage that answers.
    """

    passages: Sequence[Passage]
    index: TextIndex
    vectors: FloatMatrix
    questions: dict[int, list[Question]] = field(default_factory=dict)

    def beside(self, at: int, count: int, rng: random.Random) -> list[int]:
        """Passages that are mistaken for one: neighbours on its page and what a search finds."""
        own = self.passages[at]
        siblings = [
            at + step
            for step in _SIBLINGS
            if 0 <= at + step < len(self.passages) and self.passages[at + step].page == own.page
        ]
        words = " ".join(content_words(own.text)[:24])
        found = self.index.best(words, 2 * count, self.vectors[at])
        chosen = [*rng.sample(siblings, min(2, len(siblings))), *found]
        return [one for one in dict.fromkeys(chosen) if self._goes_with(one, at)][:count]

    def anywhere(self, at: int, count: int, rng: random.Random) -> list[int]:
        """Passages that have nothing to do with one."""
        drawn = (rng.randrange(len(self.passages)) for _ in range(4 * count))
        return [one for one in dict.fromkeys(drawn) if self._goes_with(one, at)][:count]

    def _goes_with(self, one: int, at: int) -> bool:
        other, own = self.passages[one], self.passages[at]
        return other.is_held_out == own.is_held_out and other.text != own.text


@dataclass(frozen=True, slots=True)
class Builder:
    """Makes packs; see this module."""

    pools: Sequence[Pool]
    maker: ClozeMaker
    building: Building
    seed: int

    def packs(
        self,
        stage: Stage,
        count: int,
        tokenizer: Tokenizer,
        *,
        held_out: bool,
        tell: Callable[[int], None] = lambda _: None,
    ) -> Iterator[TokenPack]:
        """Packs of a stage; fewer than asked for where passages are few.

        Args:
            held_out: of the passages that are never trained on; else of the others.
            tell: takes how many were made so far.
        """
        marks = Marks.of(tokenizer)
        rng = random.Random(f"{self.seed}-{stage.name}-{held_out}")
        usable = [
            [at for at, one in enumerate(pool.passages) if one.is_held_out == held_out]
            for pool in self.pools
        ]
        made = 0
        for _ in range(_TRIES * count):
            if made == count:
                return
            first, *others = (at for at, places in enumerate(usable) if places)
            number = others[0] if others and rng.random() < self.building.reading else first
            pack = self._pack(self.pools[number], rng.choice(usable[number]), stage, rng)
            if pack is None:
                continue
            tokens = tokenised(pack, tokenizer, marks)
            if len(tokens.material) <= self.building.longest:
                made += 1
                tell(made)
                yield tokens

    def _pack(self, pool: Pool, at: int, stage: Stage, rng: random.Random) -> Pack | None:
        if len(citable(pool.passages[at])) < 2:
            return None
        wanted = stage.passages - 1 + _AWAY
        far = rng.random() < self.building.anywhere
        others = pool.anywhere(at, wanted, rng) if far else pool.beside(at, wanted, rng)
        kept, away = others[: stage.passages - 1], others[stage.passages - 1 :]
        most = self.building.questions
        each = max(2, most // stage.passages)
        questions = self._questions(pool, [at, *kept], stage, each, rng)
        bare = round(len(questions) * stage.unanswerable)
        rng.shuffle(questions)
        unanswered = self._questions(pool, away, stage, each, rng)
        rng.shuffle(unanswered)
        questions = questions[: max(1, most - bare)] + unanswered[:bare]
        if not questions:
            return None
        pack = make_pack(pool.passages, [at, *kept], questions, rng)
        drawn = rng.sample(questions, min(self.building.openings, len(questions)))
        alone: list[Asked] = [opening_steps(one.text, rng) for one in drawn]
        if rng.random() < self.building.arithmetic:
            alone.append(arithmetic_step(rng))
        return Pack(pack.material, pack.asked + tuple(alone))

    def _questions(
        self, pool: Pool, places: Sequence[int], stage: Stage, each: int, rng: random.Random
    ) -> list[Question]:
        found = []
        for at in places:
            asked = pool.questions.get(at, [])
            asked = rng.sample(asked, min(each, len(asked)))
            more = each - len(asked)
            hardness = rng.random() * stage.hardness
            found += asked + cloze_questions(pool.passages[at], at, self.maker, rng, hardness, more)
        return found


# Passages beside those that are shown, whose questions then have no answer.
_AWAY = 3
