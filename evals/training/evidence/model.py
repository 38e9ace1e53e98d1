"""What the commands do for the evidence scorer; see `TrainableModel`."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from evals.training.card import Card, write_card, write_scores
from evals.training.evidence.items import ItemStream, Mixture
from evals.training.evidence.learning import (
    EvidenceTrainee,
    ScoredExample,
    score_examples,
    validation_scores,
)
from evals.training.examples import build_for, read_examples
from evals.training.loop import Checkpoint, Plan, load_trained, train
from evals.training.work import Work
from rostra.answer import Calibration, Featuriser, new_net, save_scorer, scorer_encoder
from rostra.core import pick_device

_MEANT = {
    "sentence": "the best sentence of all passages answers",
    "passage": "the best sentence of the answering passage answers",
    "auc": "an answering passage's best sentence scores above another passage's (AUC)",
}


class EvidenceModel:
    """See this module."""

    config = Path(__file__).with_name("evidence.toml")

    def build(self, work: Work) -> None:
        """See `TrainableModel`."""
        asyncio.run(build_for(work))

    def train(self, work: Work, minutes: float | None) -> None:
        """See `TrainableModel`."""
        manifest, examples = read_examples(work.examples, work.config.digest("build"))
        plan = work.config.section("train", Plan)
        mixture = work.config.section("mixture", Mixture)
        device = pick_device(work.settings.device)
        seed = work.config.seed
        torch.manual_seed(seed)
        encoder = scorer_encoder()
        featuriser = Featuriser(encoder)
        stream = ItemStream(examples, featuriser, mixture, plan.batch, seed)
        net = new_net(encoder).to(device)
        fingerprint = f"evidence-{manifest.fingerprint}-{work.config.digest('mixture', 'train')}"
        piece = train(
            EvidenceTrainee(net, stream, examples, featuriser, device, mixture.validated),
            plan,
            work.run,
            fingerprint,
            device=device,
            minutes=minutes,
            tell=work.tell,
        )
        work.tell(piece.summary)

    def export(self, work: Work) -> None:
        """See `TrainableModel`."""
        found, scored = _scored(work)
        net = new_net(scorer_encoder())
        load_trained(net, work.run)
        save_scorer(net, work.exported, work.config.section("calibration", Calibration))
        scores = validation_scores(scored)
        manifest, _ = read_examples(work.examples)
        card = Card(
            name="evidence",
            what="Scores each sentence of a passage by how well it answers a question, and says "
            "when none does: a cross-encoder of six layers on all-MiniLM-L6-v2, whose embeddings "
            "it borrows and which are not in the file.",
            sources=manifest.sources,
            counts=manifest.counts,
            kinds='by kind of question (docs/train.md, "Examples")',
            scores=_in_words(scores),
            limits=(
                "Trained on English: software documentation, encyclopedia and medical papers.",
                "Questions of the documentation are made by a program; only those of the reading "
                "set are people's.",
                "Reads 384 tokens at a time; what needs two passages together it does not see.",
                "How far it counts beside similarity and its threshold were chosen with people's "
                "held-out questions, questions over held-out pages and ClapNQ's development set in "
                "view; on these its figures are those of development sets.",
            ),
        )
        write_card(work, found, card)
        work.tell(f"exported to {work.exported}")

    def measure(self, work: Work) -> Mapping[str, Any]:
        """See `TrainableModel`."""
        found, scored = _scored(work)
        return write_scores(work, "evidence", found, validation_scores(scored))


MODEL = EvidenceModel()


def _in_words(scores: Mapping[str, float]) -> dict[str, float]:
    return {
        f"{name.rpartition('/')[0]}: {_MEANT[name.rpartition('/')[2]]}": score
        for name, score in scores.items()
    }


def _scored(work: Work) -> tuple[Checkpoint, list[ScoredExample]]:
    _, examples = read_examples(work.examples)
    device = pick_device(work.settings.device)
    encoder = scorer_encoder()
    net = new_net(encoder)
    found = load_trained(net, work.run)
    net = net.to(device).eval()
    featuriser = Featuriser(encoder)
    scored = score_examples(net, featuriser, examples.validation, examples.passages, device)
    return found, scored
