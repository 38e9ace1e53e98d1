"""The evidence scorer as a `Trainee`: its loss and its validation.

The loss is the negative log-likelihood of all sentences that answer together, over the sentences of
the passage and "nothing here answers" (as Clark & Gardner 2018 sum over answers, and BERT's null
score stands beside its spans).

What always holds: validation reads every passage of an example, as a search would give them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from evals.training.evidence.items import Items, ItemStream, make_items
from evals.training.examples import Example, ExampleSet
from evals.training.examples.records import first_of_each_kind
from evals.training.pages import Passage
from rostra.answer import EvidenceNet, Featuriser, make_batch
from rostra.answer import Passage as Readable

_ABSENT = -1e4
_BATCH = 32
NOWHERE = -1e3  # score of a sentence that no row has


class EvidenceTrainee:
    """See this module.

    Args:
        net: on the device.
        device: a torch device.
        validated: examples of each kind that a validation reads.
    """

    def __init__(
        self,
        net: EvidenceNet,
        stream: ItemStream,
        examples: ExampleSet,
        featuriser: Featuriser,
        device: str,
        validated: int = 60,
    ) -> None:
        self.net = net
        self._stream = stream
        self._passages = examples.passages
        self._validation = first_of_each_kind(examples.validation, validated)
        self._featuriser = featuriser
        self._device = device

    def batch(self, step: int, progress: float) -> Items:
        """See `Trainee`."""
        return make_items(self._stream.step(step))

    def items(self, batch: Items) -> int:
        """See `Trainee`."""
        return len(batch.gold)

    def loss(self, batch: Items) -> torch.Tensor:
        """See `Trainee`."""
        there = batch.to(self._device)
        sentences, nothing = self.net(there.batch)
        return evidence_loss(sentences, nothing, there.gold)

    def validate(self) -> Mapping[str, float]:
        """See `Trainee`."""
        scored = score_examples(
            self.net, self._featuriser, self._validation, self._passages, self._device
        )
        return validation_scores(scored)


def evidence_loss(
    sentences: torch.Tensor, nothing: torch.Tensor, gold: torch.Tensor
) -> torch.Tensor:
    """See this module.

    Args:
        sentences: logits, float32 [B, S].
        nothing: logits, float32 [B].
        gold: bool [B, S], sentences that answer; rows without any are of "nothing".
    """
    logits = torch.cat([nothing[:, None], sentences], 1)
    right = torch.cat([~gold.any(1, keepdim=True), gold], 1)
    chosen = logits.masked_fill(~right, _ABSENT)
    return (torch.logsumexp(logits, 1) - torch.logsumexp(chosen, 1)).mean()


@dataclass(frozen=True, slots=True)
class ScoredExample:
    """An example, and the net's scores of each passage's sentences.

    Attributes:
        scores: log-odds against "nothing here answers"; `NOWHERE` for what was not read.
    """

    example: Example
    scores: list[list[float]]


@torch.no_grad()
def score_examples(
    net: EvidenceNet,
    featuriser: Featuriser,
    examples: Sequence[Example],
    passages: Sequence[Passage],
    device: str,
) -> list[ScoredExample]:
    """Reads every passage of every example."""
    scored = [
        ScoredExample(one, [[NOWHERE] * len(passages[place].spans) for place in one.passages])
        for one in examples
    ]
    rows = []
    for one in scored:
        readable = [
            Readable(passages[place].context, passages[place].text, passages[place].spans)
            for place in one.example.passages
        ]
        for at, row in featuriser.rows(one.example.question, readable):
            rows.append((one.scores[at], row))
    rows.sort(key=lambda pair: len(pair[1].ids))
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        sentences, nothing = net(make_batch([row for _, row in part]).to(device))
        odds = (sentences - nothing[:, None]).tolist()
        for (into, row), found in zip(part, odds, strict=True):
            for number, members in enumerate(row.sentences):
                if members:
                    into[number] = found[number]
    return scored


def validation_scores(scored: Sequence[ScoredExample]) -> dict[str, float]:
    """Scores by kind of example.

    `sentence`: the best sentence of all passages answers; `passage`: the best of the answering
    passage does; `auc`: an answering passage's best scores above another's, over all pairs.
    """
    by_kind: dict[str, list[ScoredExample]] = defaultdict(list)
    for one in scored:
        if one.example.gold:
            by_kind[one.example.kind].append(one)
    found: dict[str, float] = {}
    for kind, of in sorted(by_kind.items()):
        right = [max_place(one.scores) for one in of]
        own = [max_place(one.scores[:1]) for one in of]
        answering = [max(one.scores[0]) for one in of]
        others = [max(scores) for one in of for scores in one.scores[1:] if scores]
        found[f"{kind}/sentence"] = _share(
            at == 0 and number in one.example.gold
            for (at, number), one in zip(right, of, strict=True)
        )
        found[f"{kind}/passage"] = _share(
            number in one.example.gold for (_, number), one in zip(own, of, strict=True)
        )
        if others:
            found[f"{kind}/auc"] = above(answering, others)
    return found


def max_place(scores: Sequence[Sequence[float]]) -> tuple[int, int]:
    """(passage, sentence) of the best score; ties fall by place."""
    return max(
        ((at, number) for at, of in enumerate(scores) for number in range(len(of))),
        key=lambda place: (scores[place[0]][place[1]], -place[0], -place[1]),
    )


def above(ones: Sequence[float], others: Sequence[float]) -> float:
    """How often one of the first is above one of the others; ties count half."""
    ordered = np.sort(np.asarray(others))
    low = np.searchsorted(ordered, ones, "left")
    high = np.searchsorted(ordered, ones, "right")
    return float((low + high).mean() / 2 / len(ordered))


def _share(values: Iterable[bool]) -> float:
    flags = list(values)
    return sum(flags) / len(flags)
