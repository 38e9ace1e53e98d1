"""Examples put together: passages beside those that are mistaken for them, and questions of all.

What always holds: the examples depend on sources, configuration and seed alone; one is of passages
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
from evals.training.reader.sequences import Marks, TokenSequence, tokenised
from evals.training.reader.tasks import (
    Asked,
    Question,
    arithmetic_step,
    ask_all,
    citable,
    cloze_questions,
    opening_step,
)
from rostra.core import FloatMatrix
from rostra.retrieval import TextIndex

_SIBLINGS = (-1, 1, -2, 2)
_TRIES = 20  # a group of passages, for each example wanted


class Building(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table `build`.

    Attributes:
        vocabulary: tokens, at most.
        held_out: examples of each stage that validation keeps.
        reading: share of groups of passages that are of the reading set.
        questions: of a group, at most.
        openings: first steps of an agent for each group, on average; 0 to 1.
        numbered: share of those whose question holds numbers, and is no arithmetic.
        arithmetic: steps of arithmetic, likewise.
        anywhere: share of groups whose passages have nothing to do with each other.
        longest: tokens of an example, at most.
    """

    vocabulary: int = 16_384
    held_out: int = 400
    reading: float = 0.4
    questions: int = 4
    openings: float = 0.5
    numbered: float = 0.45
    arithmetic: float = 0.2
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
    """Makes the examples of a stage; see this module."""

    pools: Sequence[Pool]
    maker: ClozeMaker
    building: Building
    seed: int

    def sequences(
        self,
        stage: Stage,
        count: int,
        tokenizer: Tokenizer,
        *,
        held_out: bool,
        tell: Callable[[int], None] = lambda _: None,
    ) -> Iterator[TokenSequence]:
        """Examples of a stage; fewer than asked for where passages are few.

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
            first, *others = (at for at, places in enumerate(usable) if places)
            number = others[0] if others and rng.random() < self.building.reading else first
            for asked in self._group(self.pools[number], rng.choice(usable[number]), stage, rng):
                tokens = tokenised(asked, tokenizer, marks)
                if len(tokens.tokens) <= self.building.longest:
                    made += 1
                    tell(made)
                    yield tokens
                if made == count:
                    return

    def _group(self, pool: Pool, at: int, stage: Stage, rng: random.Random) -> list[Asked]:
        """Questions about one group of passages, with and without an answer in it."""
        if len(citable(pool.passages[at])) < 2:
            return []
        wanted = stage.passages - 1 + _AWAY
        far = rng.random() < self.building.anywhere
        others = pool.anywhere(at, wanted, rng) if far else pool.beside(at, wanted, rng)
        kept, away = others[: stage.passages - 1], others[stage.passages - 1 :]
        most = self.building.questions
        questions = self._questions(pool, [at, *kept], stage, most, rng)
        rng.shuffle(questions)
        without = self._questions(pool, away, stage, most, rng)
        rng.shuffle(without)
        bare = sum(rng.random() < stage.unanswerable for _ in range(most))
        questions = questions[: most - bare] + without[:bare]
        if not questions:
            return []
        asked = ask_all(pool.passages, [at, *kept], questions, rng)
        if rng.random() < self.building.openings:
            question = rng.choice(questions).text
            asked.append(opening_step(question, rng, self.building.numbered))
        if rng.random() < self.building.arithmetic:
            asked.append(arithmetic_step(rng))
        return asked

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
