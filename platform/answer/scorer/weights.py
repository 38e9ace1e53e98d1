"""The evidence scorer's file: layers and heads as safetensors, and what belongs to them.

What always holds: the encoder's embeddings are not in the file; the file names the encoder whose
they are by the sha256 of its weights, and is refused beside another one; the numbers that make
scores an answer (`Calibration`) are of the same training as the weights and lie in the same file.
"""

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
class Calibration:
    """How far a scorer's log-odds count beside similarity; set on data held out of its training.

    Attributes:
        sentence: their weight in a sentence's score.
        evidence: that of the best sentence's in the evidence score.
        threshold: evidence under which nothing is found, with the packaged embedder.
    """

    sentence: float = 0.04
    evidence: float = 0.03
    threshold: float = 0.61


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
    metadata = {
        "format": _FORMAT,
        "encoder": weights_digest(scorer_encoder()),
        "calibration": msgspec.json.encode(asdict(calibration)).decode(),
    }
    path = folder / FILE
    save_file(weights, path, metadata)
    return path


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
