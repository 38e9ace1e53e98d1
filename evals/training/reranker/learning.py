"""The reranker as a `Trainee`: groups of passages, of which the first answers.

The loss is the negative log-likelihood of the answering passage among those of its group (the
listwise softmax of Cao et al. 2007, ListNet, with one relevant passage).

What always holds: the groups of a step are a pure function of the seed and the step.
"""

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import torch

from evals.training.examples import Example, ExampleSet
from evals.training.examples.records import first_of_each_kind
from evals.training.loop import Draws, bucketed
from evals.training.pages import Passage
from evals.training.reranker.net import Pairs, PairTokens, RerankerNet
from rostra.retrieval import searchable_text

_BATCHES = 8  # drawn together and sorted by length
_EVALUATED = 8  # groups at once
_OF_SENTENCES = ("cloze", "reading-cloze")  # kinds whose question is made of one sentence


class Grouping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a step is made of: the table `groups` of a configuration.

    Attributes:
        weights: share of each kind of example.
        passages: of a group, the answering one among them.
        inverse: share of the questions made of a sentence in whose place the sentence itself
            asks, and is not in its passage: the inverse cloze task (Lee et al. 2019, "Latent
            Retrieval for Weakly Supervised Open Domain Question Answering").
        validated: examples of each kind that a validation during training reads; `measure` reads
            all.
    """

    weights: dict[str, float]
    passages: int = 4
    inverse: float = 0.0
    validated: int = 60


@dataclass(frozen=True, slots=True)
class Group:
    """A question and passages, the answering one first."""

    question: str
    texts: tuple[str, ...]


class RerankerTrainee:
    """See this module.

    Args:
        batch: pairs of a step.
    """

    def __init__(
        self,
        net: RerankerNet,
        tokens: PairTokens,
        examples: ExampleSet,
        grouping: Grouping,
        batch: int,
        seed: int,
        device: str,
    ) -> None:
        self.net = net
        self._tokens = tokens
        self._passages = examples.passages
        self._texts = texts_of(examples.passages)
        usable = [one for one in examples.validation if _is_usable(one)]
        self._validation = first_of_each_kind(usable, grouping.validated)
        self._grouping = grouping
        self._groups = max(1, batch // grouping.passages)
        self._seed = seed
        self._device = device
        self._by_kind: dict[str, list[Example]] = defaultdict(list)
        for one in examples.train:
            if _is_usable(one):
                self._by_kind[one.kind].append(one)
        sizes = {kind: len(found) for kind, found in self._by_kind.items()}
        self._draws = Draws(sizes, grouping.weights, _BATCHES * self._groups, seed)
        self._pool: tuple[int, list[list[Group]]] = (-1, [])

    def batch(self, step: int, progress: float) -> Pairs:
        """See `Trainee`."""
        number, at = divmod(step, _BATCHES)
        if self._pool[0] != number:
            self._pool = number, self._drawn(number)
        return self._pairs(self._pool[1][at])

    def items(self, batch: Pairs) -> int:
        """See `Trainee`."""
        return len(batch.ids)

    def loss(self, batch: Pairs) -> torch.Tensor:
        """See `Trainee`."""
        scores = self.net(batch.to(self._device))
        loss: torch.Tensor = (torch.logsumexp(scores, 1) - scores[:, 0]).mean()
        return loss

    def validate(self) -> Mapping[str, float]:
        """See `Trainee`: by kind, how often the answering passage is first, and its mean 1/rank."""
        return ranking_scores(self.net, self._tokens, self._validation, self._texts, self._device)

    def _drawn(self, number: int) -> list[list[Group]]:
        rng = random.Random(f"{self._seed}-groups-{number}")
        groups = []
        for kind, place in self._draws.draw(number):
            example = self._by_kind[kind][place]
            others = example.passages[1:]
            first = self._passages[example.passages[0]]
            question, answer = example.question, self._texts[example.passages[0]]
            if kind in _OF_SENTENCES and rng.random() < self._grouping.inverse:
                # What stands beside it on the page is about the same, and no worse an answer.
                apart = [at for at in others if self._passages[at].page != first.page]
                if apart and len(first.spans) > 1:
                    others = apart
                    question, answer = taken_out(first, example.gold[0])
            wanted = self._grouping.passages - 1
            chosen = rng.sample(others, min(wanted, len(others)))
            while len(chosen) < wanted:  # one that had few is asked again
                chosen.append(rng.choice(others))
            groups.append(Group(question, (answer, *(self._texts[at] for at in chosen))))
        return bucketed(groups, self._groups, _length, f"{self._seed}-order-{number}")

    def _pairs(self, groups: Sequence[Group]) -> Pairs:
        return self._tokens.pairs([(one.question, one.texts) for one in groups])


@torch.no_grad()
def ranking_scores(
    net: RerankerNet,
    tokens: PairTokens,
    examples: Sequence[Example],
    texts: Sequence[str],
    device: str,
) -> dict[str, float]:
    """By kind: `first`, the answering passage is first; `mrr`, its mean reciprocal rank."""
    ranks: dict[str, list[int]] = defaultdict(list)
    by_count: dict[int, list[Example]] = defaultdict(list)
    for one in examples:
        by_count[len(one.passages)].append(one)
    for alike in by_count.values():
        for at in range(0, len(alike), _EVALUATED):
            part = alike[at : at + _EVALUATED]
            pairs = tokens.pairs(
                [(one.question, [texts[place] for place in one.passages]) for one in part]
            )
            scores = net(pairs.to(device))
            places = (scores > scores[:, :1]).sum(1) + 1
            for one, rank in zip(part, places.tolist(), strict=True):
                ranks[one.kind].append(rank)
    found: dict[str, float] = {}
    for kind, of in sorted(ranks.items()):
        found[f"{kind}/first"] = sum(rank == 1 for rank in of) / len(of)
        found[f"{kind}/mrr"] = math.fsum(1 / rank for rank in of) / len(of)
    return found


def texts_of(passages: Sequence[Passage]) -> list[str]:
    """What the reranker reads of passages: what is indexed of them."""
    return [searchable_text(one.context, one.text) for one in passages]


def taken_out(passage: Passage, number: int) -> tuple[str, str]:
    """A sentence, and what the reranker reads of its passage without it."""
    start, end = passage.spans[number]
    rest = f"{passage.text[:start].rstrip()} {passage.text[end:].lstrip()}".strip()
    return passage.text[start:end], searchable_text(passage.context, rest)


def _length(group: Group) -> int:
    return max(len(text) for text in group.texts)


def _is_usable(example: Example) -> bool:
    return bool(example.gold) and len(example.passages) > 1
