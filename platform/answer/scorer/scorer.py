"""Scores sentences of passages by the trained net.

What always holds: a passage's scores do not depend on what else is in the call, but for rounding:
rows are padded to a length of their own and read in batches of their like; a sentence that no row
has tokens of scores `ABSENT`.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rostra.answer.scorer.features import Featuriser, Passage, Row, make_batch
from rostra.answer.scorer.net import EvidenceNet
from rostra.answer.scorer.weights import Calibration, load_scorer_net, scorer_encoder
from rostra.core import file_digest, get_logger, pick_device, pick_dtype

log = get_logger(__name__)

ABSENT = -1e3
# Padded lengths are multiples of this many tokens.
_BUCKET = 32
# Tokens of one batch.
_BATCH_TOKENS = {"cpu": 2048, "cuda": 65536, "mps": 8192}

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """What the net says of one passage.

    Attributes:
        sentences: float64 [sentences], log-odds of each against "nothing here answers".
    """

    sentences: Scores

    @property
    def best(self) -> float:
        """Of the best sentence; `ABSENT` without any."""
        return float(self.sentences.max()) if len(self.sentences) else ABSENT


class EvidenceScorer:
    """See this module. Safe to share between threads. Make with `load`.

    Args:
        net: in evaluation mode; taken over, and moved to the device.
        featuriser: of the encoder that the net was trained on.
        calibration: of the net's training.
        device: a torch device.
        dtype: in which the encoder's layers compute; the heads always compute in float32.
        revision: of the weights, for those who compare; a digest of the file.
    """

    def __init__(
        self,
        net: EvidenceNet,
        featuriser: Featuriser,
        calibration: Calibration,
        *,
        device: str,
        dtype: torch.dtype,
        revision: str = "",
    ) -> None:
        net = net.to(device).eval()
        trunk: nn.Module = net.trunk
        trunk.to(dtype=dtype)
        self.calibration = calibration
        self.revision = revision
        self._net = net
        self._featuriser = featuriser
        self._device = device
        self._batch_tokens = _BATCH_TOKENS.get(device.split(":")[0], 2048)
        # One reader at a time: two would only take each other's cores.
        self._turn = threading.Lock()

    @classmethod
    def load(cls, path: Path, device: str = "auto") -> "EvidenceScorer":
        """Reads a trained scorer.

        Args:
            path: its file.
            device: as the setting `device` has it.

        Raises:
            ModelUnavailable: it is missing, damaged or of another encoder.
            ConfigError: the device is not on this machine.
        """
        device = pick_device(device)
        net, calibration = load_scorer_net(path)
        dtype = pick_dtype("auto", device)
        featuriser = Featuriser(scorer_encoder())
        log.info("evidence scorer loaded", device=device, dtype=str(dtype))
        return cls(
            net,
            featuriser,
            calibration,
            device=device,
            dtype=dtype,
            revision=file_digest(path),
        )

    def score(self, question: str, passages: Sequence[Passage]) -> list[Scored]:
        """Reads each passage with the question. Blocks while it computes."""
        found = [Scored(np.full(len(passage.spans), ABSENT)) for passage in passages]
        waiting: dict[int, list[tuple[int, Row]]] = {}
        for place, row in self._featuriser.rows(question, passages):
            waiting.setdefault(-(-len(row.ids) // _BUCKET) * _BUCKET, []).append((place, row))
        for padded in sorted(waiting, reverse=True):
            rows = waiting[padded]
            size = max(1, self._batch_tokens // padded)
            for at in range(0, len(rows), size):
                self._read(rows[at : at + size], padded, found)
        return found

    def _read(self, rows: Sequence[tuple[int, Row]], padded: int, found: Sequence[Scored]) -> None:
        batch = make_batch([row for _, row in rows], tokens=padded).to(self._device)
        with self._turn, torch.inference_mode():
            logits, nothing = self._net(batch)
        odds = (logits - nothing[:, None]).cpu().numpy()
        for (place, row), scores in zip(rows, odds, strict=True):
            for number, members in enumerate(row.sentences):
                if members:
                    found[place].sentences[number] = float(scores[number])
