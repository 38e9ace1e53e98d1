"""Makes any embedding truncatable: an orthogonal rotation that puts the most variance first.

What always holds: a rotation is orthogonal, so cosines at full width stay what they were (to
float32 rounding); cut to its first d coordinates it keeps the directions in which a corpus varies
most. Fitted as the eigenvectors of the centred covariance, largest first, and applied without
subtracting the mean (principal component analysis; Jolliffe 2002, chapter 2).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import numpy.typing as npt

from rostra.core import FloatMatrix, InvalidRequest, ModelUnavailable
from rostra.retrieval.models import PACKAGED_REVISION
from rostra.shipped import is_shipped, shipped_folder

if TYPE_CHECKING:
    from sentence_transformers.sentence_transformer.modules import Dense

SHIPPED_ROTATION = "rotation.safetensors"
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Rotation:
    """An orthogonal matrix for the vectors of one encoder.

    Attributes:
        weight: float32 [width, width]; rows are directions, the most varied first.
        revision: sha256 of the encoder's weights that it was fitted for.
    """

    weight: FloatMatrix
    revision: str

    @classmethod
    def of_covariance(cls, covariance: npt.NDArray[np.float64], revision: str) -> Self:
        """The eigenvectors of a covariance, float64 [width, width], or of a multiple of one."""
        _, directions = np.linalg.eigh(covariance)
        weight = directions.T[::-1]
        # An eigenvector's sign is arbitrary; fix it so that equal corpora give equal files.
        signs = np.sign(weight[np.arange(len(weight)), np.abs(weight).argmax(axis=1)])
        return cls(np.ascontiguousarray(weight * signs[:, None], dtype=np.float32), revision)

    @property
    def sha256(self) -> str:
        """Digest of the weights; part of the embedding space's fingerprint."""
        return hashlib.sha256(self.weight.astype("<f4").tobytes()).hexdigest()

    def apply(self, vectors: FloatMatrix) -> FloatMatrix:
        """Rotates vectors, float32 [n, width]; each by itself, so that its company is no matter."""
        # One product of all would round a row differently by how many there are.
        turned = [self.weight @ vector for vector in vectors]
        return np.array(turned, dtype=np.float32).reshape(vectors.shape)

    def undo(self, vectors: FloatMatrix) -> FloatMatrix:
        """What `apply` made these of, float32 [n, width]."""
        return np.asarray(vectors @ self.weight, dtype=np.float32)

    def save(self, path: Path) -> None:
        """Writes the rotation as safetensors."""
        from safetensors.numpy import save_file

        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"linear.weight": self.weight}, path, {"revision": self.revision})

    def as_module(self) -> "Dense":
        """The same as a sentence-transformers module, to be appended to the encoder's.

        It has no bias and no activation, so `truncate_dim` then works as for a model trained to be
        truncated.
        """
        import torch
        from sentence_transformers.sentence_transformer.modules import Dense

        width = len(self.weight)
        return Dense(
            width,
            width,
            bias=False,
            activation_function=torch.nn.Identity(),
            init_weight=torch.from_numpy(self.weight.copy()),
        )


def fit_rotation(vectors: FloatMatrix, revision: str) -> Rotation:
    """Fits a rotation to a corpus.

    Args:
        vectors: float32 [n, width], unit length, of the encoder's full width.
        revision: sha256 of the encoder's weights.

    Raises:
        InvalidRequest: too few vectors to say anything.
    """
    count, width = vectors.shape if vectors.ndim == 2 else (0, 0)
    if count < 2 * width or not width:
        raise InvalidRequest(
            f"a rotation of {width} dimensions needs at least {2 * width} passages, got {count}",
            hint="Ingest more documents into the collection first.",
        )
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    return Rotation.of_covariance(centred.T @ centred, revision)


def load_rotation(path: Path) -> Rotation:
    """Reads a rotation that `Rotation.save` wrote.

    Raises:
        ModelUnavailable: the file is missing, damaged, or its matrix is not orthogonal.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            weight: npt.NDArray[np.float32] = file.get_tensor("linear.weight")
            revision = (file.metadata() or {}).get("revision", "")
    except (OSError, SafetensorError) as error:
        raise ModelUnavailable(
            f"rotation file {path} cannot be read: {error}",
            hint="Write it with `rostra embed fit`.",
        ) from None
    square = weight.ndim == 2 and weight.shape[0] == weight.shape[1]
    if not square or not _is_orthogonal(weight):
        raise ModelUnavailable(f"rotation file {path} holds no orthogonal matrix")
    return Rotation(weight.astype(np.float32), revision)


def shipped_rotation(revision: str) -> Rotation | None:
    """The rotation that ships for an encoder; None where none does.

    Args:
        revision: sha256 of the encoder's weights.

    Raises:
        ShippedModelBroken: its file is not what was shipped.
    """
    if revision != PACKAGED_REVISION or not is_shipped("rotation"):
        return None
    return load_rotation(shipped_folder("rotation") / SHIPPED_ROTATION)


def rotation_for(
    asked: Path | Literal["auto", "off"], model: str, revision: str, width: int, dimensions: int
) -> Rotation | None:
    """The rotation of an encoder's vectors, as the settings say.

    By itself only where vectors are truncated: at full width it would change nothing.

    Args:
        asked: `embedding_rotation`.
        model: the encoder's name, for messages.
        revision: sha256 of its weights.
        width: of its vectors.
        dimensions: that these are cut to.

    Raises:
        ModelUnavailable: the file cannot be read, or was fitted for another encoder.
        ShippedModelBroken: see `shipped_rotation`.
    """
    if asked == "off" or (asked == "auto" and dimensions >= width):
        return None
    found = shipped_rotation(revision) if asked == "auto" else load_rotation(Path(asked))
    if found is not None and (found.revision != revision or len(found.weight) != width):
        raise ModelUnavailable(
            f"rotation {asked} was fitted for another model than {model}",
            hint="Fit one with `rostra embed fit`.",
        )
    return found


def _is_orthogonal(weight: FloatMatrix) -> bool:
    if not weight.size:
        return False
    # Not-a-number compares false, so it fails too.
    return bool(np.abs(weight @ weight.T - np.eye(len(weight))).max() <= _TOLERANCE)


def truncate(vectors: FloatMatrix, dimensions: int) -> FloatMatrix:
    """The first `dimensions` coordinates, scaled back to unit length; zero vectors stay zero."""
    cut = vectors[:, :dimensions]
    norms = np.linalg.norm(cut, axis=1, keepdims=True)
    return np.ascontiguousarray(cut / np.where(norms > 0, norms, 1), dtype=np.float32)
