"""What the commands do for the reranker; see `TrainableModel`."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from evals.training.card import Card, write_card, write_scores
from evals.training.examples import build_for, read_examples
from evals.training.loop import Checkpoint, Plan, load_trained, train
from evals.training.reranker.learning import (
    Grouping,
    RerankerTrainee,
    ranking_scores,
    texts_of,
)
from evals.training.reranker.net import PairTokens, RerankerNet, new_reranker, save_reranker
from evals.training.work import Work
from rostra.answer import load_scorer_net, scorer_encoder, scorer_file
from rostra.core import file_digest, pick_device


class RerankerModel:
    """See this module."""

    config = Path(__file__).with_name("reranker.toml")

    def build(self, work: Work) -> None:
        """See `TrainableModel`."""
        asyncio.run(build_for(work))

    def train(self, work: Work, minutes: float | None) -> None:
        """See `TrainableModel`."""
        manifest, examples = read_examples(work.examples, work.config.digest("build"))
        plan = work.config.section("train", Plan)
        grouping = work.config.section("groups", Grouping)
        device = pick_device(work.settings.device)
        seed = work.config.seed
        torch.manual_seed(seed)
        encoder = scorer_encoder()
        scorer = scorer_file(work.settings)  # it has learned to read pairs
        begun, digest = None, "encoder"
        if scorer is not None:
            begun, digest = load_scorer_net(scorer)[0].trunk, file_digest(scorer)
        net = new_reranker(encoder, begun).to(device)
        recipe = f"{work.config.digest('groups', 'train')}-{digest}"
        fingerprint = f"reranker-{manifest.fingerprint}-{recipe}"
        trainee = RerankerTrainee(
            net, PairTokens(encoder), examples, grouping, plan.batch, seed, device
        )
        piece = train(
            trainee,
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
        found, net, scores = _measured(work)
        save_reranker(net.cpu(), scorer_encoder(), work.exported)
        manifest, _ = read_examples(work.examples)
        card = Card(
            name="reranker",
            what="Scores how well a passage answers a query: a cross-encoder of six layers on "
            "all-MiniLM-L6-v2, in the form that sentence-transformers' CrossEncoder reads.",
            sources=manifest.sources,
            counts=manifest.counts,
            scores=scores,
            limits=(
                "Trained on English: software documentation, encyclopedia and medical papers.",
                "Most questions are made by a program; the judged sets of retrieval were not "
                "trained on.",
                "Reads 384 tokens of a pair.",
            ),
        )
        write_card(work, found, card)
        work.tell(f"exported to {work.exported}")

    def measure(self, work: Work) -> Mapping[str, Any]:
        """See `TrainableModel`."""
        found, _, scores = _measured(work)
        return write_scores(work, "reranker", found, scores)


MODEL = RerankerModel()


def _measured(work: Work) -> tuple[Checkpoint, RerankerNet, dict[str, float]]:
    _, examples = read_examples(work.examples)
    device = pick_device(work.settings.device)
    encoder = scorer_encoder()
    net = new_reranker(encoder)
    found = load_trained(net, work.run)
    net = net.to(device).eval()
    usable = [one for one in examples.validation if one.gold and len(one.passages) > 1]
    texts = texts_of(examples.passages)
    return found, net, ranking_scores(net, PairTokens(encoder), usable, texts, device)
