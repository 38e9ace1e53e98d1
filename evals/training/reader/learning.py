"""How the reader learns: which examples a step takes, what is validated.

What always holds: a step's examples depend on seed, step and progress alone; those of stages that
are behind still come, so that nothing is unlearnt.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import torch
from torch import Tensor

from evals.training.reader.net import Batch, Guides, Reader, losses, sentence_scores
from evals.training.reader.sequences import Marks, StoredSequences


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of the steps from easy to hard: an entry of `stages` in the configuration.

    Attributes:
        name: of its folder.
        passages: of an example.
        hardness: of its questions at most, 0 to 1; see `ClozeMaker`.
        examples: how many are built.
        unanswerable: questions without an answer for each with one.
        begins: share of the training from which on it is learnt.
    """

    name: str
    passages: int
    hardness: float
    examples: int
    unanswerable: float
    begins: float


class Course(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table `course`: the stages, from the first to the last."""

    stages: tuple[Stage, ...]


class Pace(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table `pace`.

    Attributes:
        tokens: of a step's batch, padding included.
        behind: share of steps that go back to a stage before the current one.
        validation: batches of each stage.
    """

    tokens: int = 4096
    behind: float = 0.3
    validation: int = 4


@dataclass(frozen=True, slots=True)
class Score:
    """What was right of some questions.

    Attributes:
        picked: share of those with an answer where the first number is one that answers.
        seen: share of them where the highest sentence score is that of one that answers.
        decided: share where it is told right whether anything answers.
        said: share of the tokens of answers, each given those before.
    """

    picked: float
    seen: float
    decided: float
    said: float
    questions: int


class Learner:
    """What the training loop needs, for examples of the stages.

    Args:
        net: on its device.
        answers: the token whose vector stands for "this answers".
        train: for each stage of the course; likewise `held`, which are held out.
    """

    def __init__(
        self,
        net: Reader,
        course: Course,
        pace: Pace,
        guides: Guides,
        marks: Marks,
        answers: int,
        train: Sequence[StoredSequences],
        held: Sequence[StoredSequences],
        *,
        seed: int,
        device: str = "cpu",
    ) -> None:
        self._net, self._course, self._pace = net, course, pace
        self._guides, self._marks, self._answers = guides, marks, answers
        self._train, self._held = train, held
        self._seed, self._device = seed, device

    @property
    def net(self) -> Reader:
        """See `Trainee`."""
        return self._net

    def batch(self, step: int, progress: float) -> Batch:
        """See `Trainee`."""
        rng = random.Random(f"{self._seed}-{step}")
        begun = [at for at, one in enumerate(self._course.stages) if one.begins <= progress]
        stage = begun[-1]
        if len(begun) > 1 and rng.random() < self._pace.behind:
            stage = rng.choice(begun[:-1])
        return self._train[stage].draw(rng, self._pace.tokens)

    def items(self, batch: Batch) -> int:
        """Tokens without padding."""
        return int(batch.lengths.sum())

    def loss(self, batch: Batch) -> Tensor:
        """See `Trainee`."""
        found = losses(self._net, batch.to(self._device), self._answers)
        return (
            found["tokens"]
            + self._guides.sentences * found["sentences"]
            + self._guides.answer * found["answer"]
        )

    def validate(self) -> Mapping[str, float]:
        """Scores of each stage on examples of pages that are held out."""
        scores = {}
        for stage, stored in zip(self._course.stages, self._held, strict=True):
            rng = random.Random(f"{self._seed}-{stage.name}")
            drawn = [stored.draw(rng, self._pace.tokens) for _ in range(self._pace.validation)]
            score = scored(self._net, drawn, self._marks, self._answers, self._device)
            scores[f"picked {stage.name}"] = score.picked
            scores[f"seen {stage.name}"] = score.seen
            scores[f"decided {stage.name}"] = score.decided
            scores[f"said {stage.name}"] = score.said
        return scores


@torch.no_grad()
def scored(net: Reader, batches: Sequence[Batch], marks: Marks, answers: int, device: str) -> Score:
    """How well a net answers, each token given the right ones before it."""
    numbers = torch.tensor(marks.numbers, device=device)
    picked = seen = answered = decided = asked = said = tokens = 0
    for given in batches:
        batch = given.to(device)
        passed = net(batch.tokens)
        wanted = batch.targets >= 0
        logits = net.logits(passed.states[wanted]).float()
        right = logits.argmax(1) == batch.targets[wanted]
        tokens += len(right)
        said += int(right.sum())
        steps = (batch.tokens == marks.step) & batch.decides
        asked += int(steps.sum())
        decided += int(right[steps[wanted]].sum())
        firsts = batch.decides & ~steps
        rows = firsts.nonzero(as_tuple=True)[0]
        number = logits[firsts[wanted]][:, numbers].argmax(1) + 1
        picked += int(batch.gold[rows, number].sum())
        scores = sentence_scores(net, passed.middle, answers).masked_fill(batch.ends == 0, -1e4)
        best = batch.ends.gather(1, scores.argmax(1, keepdim=True))[:, 0]
        seen += int(batch.gold[rows, best[rows]].sum())
        answered += len(rows)
    return Score(
        picked / max(1, answered),
        seen / max(1, answered),
        decided / max(1, asked),
        said / max(1, tokens),
        asked,
    )
