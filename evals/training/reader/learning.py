"""How the reader learns: which packs a step takes, what is validated.

What always holds: a step's packs depend on seed, step and progress alone; questions of stages that
are behind still come, so that nothing is unlearnt.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import torch
from torch import Tensor

from evals.training.reader.net import Guides, Packs, Reader, losses
from evals.training.reader.packs import Marks, StoredPacks


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of the steps from easy to hard: an entry of `stages` in the configuration.

    Attributes:
        name: of its folder.
        passages: of a pack's material.
        hardness: of its questions at most, 0 to 1; see `ClozeMaker`.
        packs: how many are built.
        unanswerable: questions without an answer for each with one.
        begins: share of the training from which on it is learnt.
    """

    name: str
    passages: int
    hardness: float
    packs: int
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
        decided: share where it is told right whether anything answers.
        said: share of the tokens of answers, each given those before.
    """

    picked: float
    decided: float
    said: float
    questions: int


class Learner:
    """What the training loop needs, for packs of the stages.

    Args:
        net: on its device.
        stages: those of the course, with packs to learn of and packs that are held out.
    """

    def __init__(
        self,
        net: Reader,
        course: Course,
        pace: Pace,
        guides: Guides,
        marks: Marks,
        train: Sequence[StoredPacks],
        held: Sequence[StoredPacks],
        *,
        seed: int,
        device: str = "cpu",
    ) -> None:
        self._net, self._course, self._pace = net, course, pace
        self._guides, self._marks = guides, marks
        self._train, self._held = train, held
        self._seed, self._device = seed, device
        self._numbers = torch.tensor(marks.numbers, device=device)

    @property
    def net(self) -> Reader:
        """See `Trainee`."""
        return self._net

    def batch(self, step: int, progress: float) -> Packs:
        """See `Trainee`."""
        rng = random.Random(f"{self._seed}-{step}")
        begun = [at for at, one in enumerate(self._course.stages) if one.begins <= progress]
        stage = begun[-1]
        if len(begun) > 1 and rng.random() < self._pace.behind:
            stage = rng.choice(begun[:-1])
        return self._train[stage].draw(rng, self._pace.tokens)

    def items(self, batch: Packs) -> int:
        """Tokens without padding."""
        return int((batch.owner >= 0).sum() + (batch.segment >= 0).sum())

    def loss(self, batch: Packs) -> Tensor:
        """See `Trainee`."""
        packs = batch.to(self._device)
        found = losses(self._net, packs, self._guides, self._numbers)
        loss = found["tokens"]
        for name in ("numbers", "words", "answer"):
            if name in found:
                loss = loss + getattr(self._guides, name) * found[name]
        return loss

    def validate(self) -> Mapping[str, float]:
        """Scores of each stage on packs of pages that are held out."""
        scores = {}
        for stage, packs in zip(self._course.stages, self._held, strict=True):
            rng = random.Random(f"{self._seed}-{stage.name}")
            drawn = [packs.draw(rng, self._pace.tokens) for _ in range(self._pace.validation)]
            score = scored(self._net, drawn, self._marks, self._device)
            scores[f"picked {stage.name}"] = score.picked
            scores[f"decided {stage.name}"] = score.decided
            scores[f"said {stage.name}"] = score.said
        return scores


@torch.no_grad()
def scored(net: Reader, batches: Sequence[Packs], marks: Marks, device: str) -> Score:
    """How well a net answers packs, each token given the right ones before it."""
    numbers = torch.tensor(marks.numbers, device=device)
    picked = answered = decided = asked = said = tokens = 0
    for batch in batches:
        packs = batch.to(device)
        passed = net(packs)
        logits = net.logits(passed.states[:, packs.material.shape[1] :]).float()
        guess = logits.argmax(-1)
        wanted = packs.targets >= 0
        tokens += int(wanted.sum())
        said += int((guess == packs.targets)[wanted].sum())
        steps = (packs.questions == marks.step) & packs.decides
        asked += int(steps.sum())
        decided += int((guess == packs.targets)[steps].sum())
        batch_at, row = (packs.decides & ~steps).nonzero(as_tuple=True)
        number = logits[batch_at, row][:, numbers].argmax(-1) + 1
        picked += int(packs.gold[batch_at, packs.segment[batch_at, row], number].sum())
        answered += len(row)
    return Score(picked / max(1, answered), decided / max(1, asked), said / max(1, tokens), asked)
