"""The evidence scorer's file: layers and heads as safetensors, and what belongs to them.

What always holds: the encoder's embeddings are not in the file; the file names the encoder whose
they are by the sha256 of its weights, and is refused beside another one; the numbers that make
scores an answer (`Calibration`) are of the same training as the weights and lie in the same file.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from rostra.answer.scorer.net import EvidenceNet, new_net
from rostra.core import ModelUnavailable
from rostra.retrieval import PACKAGED_MODEL, find_model, weights_digest

if TYPE_CHECKING:
    import torch

FILE = "model.safetensors"
_FORMAT = "rostra-evidence-1"


@dataclass(frozen=True, slots=True)
class Mixture:
    """What a sentence's log-odds become together with what search knew of it, and what follows.

    A sentence's mixed log-odds are the weighted sum of the five, `bias` times 1.

    Attributes:
        odds: weight of the scorer's log-odds.
        share: weight of the share of the question's term weight that the sentence holds.
        rank: weight of its passage's place among those found, 1 for the best and 0 for the last.
        cosine: weight of the cosine of question and passage, by the packaged embedder.
        threshold: mixed log-odds of the best sentence under which nothing is found.
        cut: a sentence is quoted beside the best one when its odds are at least this share of its.
    """

    bias: float = 0.0
    odds: float = 1.0
    share: float = 0.0
    rank: float = 0.0
    cosine: float = 0.0
    threshold: float = 0.0
    cut: float = 0.2

    def log_odds(self, odds: float, share: float, rank: float, cosine: float) -> float:
        """Mixed log-odds of a sentence."""
        return (
            self.bias
            + self.odds * odds
            + self.share * share
            + self.rank * rank
            + self.cosine * cosine
        )


@dataclass(frozen=True, slots=True)
class Calibration:
    """What makes scores an answer; set on held-out data of the training.

    Attributes:
        threshold: log-odds of the best sentence under which nothing is found, unmixed.
        cut: as `Mixture.cut`, unmixed.
        packaged: for passages that the packaged embedder found.
        others: for those that another one found, whose cosines are on another scale.
    """

    threshold: float = 0.0
    cut: float = 0.2
    packaged: Mixture | None = None
    others: Mixture | None = None

    def mixture(self, *, packaged: bool) -> Mixture:
        """What to go by; the scorer's log-odds alone where none was fitted."""
        fitted = self.packaged if packaged else self.others
        return fitted or Mixture(threshold=self.threshold, cut=self.cut)


def probability(log_odds: float) -> float:
    """The logistic function, without overflow."""
    return 0.5 * (1 + math.tanh(log_odds / 2))


def scorer_encoder() -> Path:
    """Folder of the encoder that the scorer is built on.

    Raises:
        ModelUnavailable: it is missing or altered.
    """
    return Path(find_model(PACKAGED_MODEL).location)


def save_scorer(net: EvidenceNet, folder: Path, calibration: Calibration) -> Path:
    """Writes the file, in float16, and returns its path."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: weight.detach().to("cpu", torch.float16).contiguous()
        for name, weight in net.own_state().items()
    }
    path = folder / FILE
    save_file(weights, path, _metadata(calibration))
    return path


def _metadata(calibration: Calibration) -> dict[str, str]:
    return {
        "format": _FORMAT,
        "encoder": weights_digest(scorer_encoder()),
        "calibration": msgspec.json.encode(asdict(calibration)).decode(),
    }


def recalibrate(path: Path, calibration: Calibration) -> None:
    """Puts other numbers into a scorer's file; its weights stay, bit for bit.

    Raises:
        ModelUnavailable: as `load_scorer_net`.
    """
    from safetensors.torch import load_file, save_file

    load_scorer_net(path)
    weights = load_file(path)
    save_file(weights, path, _metadata(calibration))


def load_scorer_net(path: Path) -> tuple[EvidenceNet, Calibration]:
    """Reads what `save_scorer` wrote; the net is in float32 and in evaluation mode.

    Raises:
        ModelUnavailable: the file is missing or damaged, or belongs to another encoder.
    """
    from safetensors import SafetensorError, safe_open

    encoder = scorer_encoder()
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 # no mapping
    except (OSError, SafetensorError) as error:
        raise ModelUnavailable(f"evidence scorer {path} cannot be read: {error}") from None
    if metadata.get("format") != _FORMAT:
        raise ModelUnavailable(f"evidence scorer {path} is not of the format {_FORMAT}")
    if metadata.get("encoder") != weights_digest(encoder):
        raise ModelUnavailable(f"evidence scorer {path} was trained on another encoder")
    calibration = _calibration(path, metadata.get("calibration", ""))
    net = new_net(encoder)
    _fill(net, path, weights)
    return net.eval(), calibration


def _calibration(path: Path, written: str) -> Calibration:
    try:
        found: Calibration = msgspec.json.decode(written, type=Calibration)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ModelUnavailable(f"evidence scorer {path} has no calibration: {error}") from None
    return found


def _fill(net: EvidenceNet, path: Path, weights: dict[str, "torch.Tensor"]) -> None:
    own = net.own_state()
    if {n: w.shape for n, w in own.items()} != {n: w.shape for n, w in weights.items()}:
        raise ModelUnavailable(f"evidence scorer {path} holds other layers than this version reads")
    net.load_state_dict(weights, strict=False)
