"""A small evidence scorer with random weights, and one that counts words."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from transformers import BertConfig

from rostra.answer import (
    Calibration,
    EvidenceNet,
    EvidenceScorer,
    Featuriser,
    Passage,
    Scored,
    scorer_encoder,
)


@cache
def featuriser() -> Featuriser:
    """By the packaged tokenizer."""
    return Featuriser(scorer_encoder())


def small_net() -> EvidenceNet:
    """One narrow layer, always the same random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        config = BertConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
        )
        return EvidenceNet(config).eval()


@cache
def small_scorer() -> EvidenceScorer:
    """Over `small_net`, in float32."""
    return EvidenceScorer(
        small_net(), featuriser(), Calibration(), device="cpu", dtype=torch.float32
    )


class WordScorer(EvidenceScorer):
    """Scores a sentence by how many of the question's words it has, less `null`."""

    def __init__(self, null: float = 1.5, calibration: Calibration | None = None) -> None:
        self.calibration = calibration or Calibration()
        self._null = null

    def score(self, question: str, passages: Sequence[Passage]) -> list[Scored]:
        """See `EvidenceScorer`."""
        asked = set(question.lower().split())
        return [
            Scored(
                np.array(
                    [
                        len(asked & set(passage.text[start:end].lower().split())) - self._null
                        for start, end in passage.spans
                    ],
                    np.float64,
                )
            )
            for passage in passages
        ]
