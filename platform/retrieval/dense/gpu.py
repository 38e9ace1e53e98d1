"""Searching on a GPU: all truncated vectors as float16 by torch, or FAISS's inverted lists.

FAISS's flat GPU index ignores selectors without a word, and no GPU index removes rows or gives more
than 2,048. So the flat search is torch's, where a mask goes before the best are taken, and lists
are asked for more than is wanted and checked (`recheck`). Both run on a CPU too, which is how they
are tested where there is no GPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import faiss
import numpy as np

from rostra.core import FloatMatrix, FloatVector
from rostra.retrieval.dense.basis import fit_basis, reduced
from rostra.retrieval.dense.finder import Allowed, FinderFailed
from rostra.retrieval.dense.ivf import list_count, probes, train_ivf
from rostra.retrieval.dense.packing import packed, unpacked
from rostra.retrieval.dense.recheck import oversampled
from rostra.retrieval.dense.rows import Octets
from rostra.retrieval.dense.sharing import ReadersWriter
from rostra.retrieval.lexical import Positions

# FAISS's limits on a GPU.
_MOST_FOUND = 2048
_MOST_PROBES = 2048


class TorchFinder:
    """Looks at all truncated vectors on a device.

    Args:
        basis: float32 [dimensions kept, dimensions].
        device: torch's name of it; on a CPU vectors are kept as float32.

    Raises:
        FinderFailed: there is no such device.
    """

    exact = False

    def __init__(self, basis: FloatMatrix, device: str) -> None:
        import torch

        self._basis = basis
        self._device = device
        self._dtype = torch.float32 if device == "cpu" else torch.float16
        self._count = 0
        with _translated():
            self._rows: torch.Tensor = torch.empty(
                (0, len(basis)), dtype=self._dtype, device=device
            )

    @classmethod
    def train(cls, sample: FloatMatrix, dimensions: int, device: str) -> "TorchFinder":
        """An empty one."""
        return cls(fit_basis(sample, dimensions), device)

    @classmethod
    def load(cls, body: bytes, device: str) -> "TorchFinder":
        """What `save` gave, still empty."""
        return cls(np.asarray(unpacked(body)["basis"], np.float32), device)

    @property
    def count(self) -> int:
        return self._count

    @property
    def code_width(self) -> int:
        return 0

    def encode(self, rows: FloatMatrix) -> Octets:
        return np.zeros((len(rows), 0), np.uint8)

    def add(self, rows: FloatMatrix | None, codes: Octets) -> None:
        import torch

        if rows is None:
            raise ValueError("this index is made of vectors, not of codes")
        with _translated():
            fresh = torch.from_numpy(reduced(rows, self._basis)).to(self._device, self._dtype)
            need = self._count + len(fresh)
            if need > len(self._rows):
                # Searches that began keep the older tensor.
                grown = torch.empty(
                    (max(need, 2 * len(self._rows), 1024), len(self._basis)),
                    dtype=self._dtype,
                    device=self._device,
                )
                grown[: self._count] = self._rows[: self._count]
                self._rows = grown
            self._rows[self._count : need] = fresh
            self._count = need

    def forget(self, positions: Positions) -> None:
        pass

    def find(self, query: FloatVector, width: int, allowed: Allowed) -> Positions:
        import torch

        with _translated(), torch.inference_mode():
            short = torch.from_numpy(reduced(query[None, :], self._basis)[0])
            scores = self._rows[: allowed.total] @ short.to(self._device, self._dtype)
            if allowed.mask is not None:
                mask = torch.from_numpy(allowed.mask).to(self._device)
                scores = scores.masked_fill(~mask, -torch.inf)
            best = torch.topk(scores, min(width, allowed.count), sorted=False).values
            # And all that are as good as the last: rows in another order find the same.
            found = torch.nonzero((scores >= best.min()) & (scores > -torch.inf))[:, 0]
            positions: Positions = found.cpu().numpy()
            return positions

    def save(self) -> bytes:
        return packed(basis=self._basis)

    def worth_saving(self, saved: int) -> bool:
        return False

    def outgrown(self, count: int) -> bool:
        return False


class RecheckedIvfFinder:
    """FAISS's inverted lists on a GPU.

    Args:
        empty: a trained CPU index without rows, which is what is saved.
        basis: float32 [dimensions kept, dimensions].
        device: "cuda", or "cpu" to run the same without one.

    Raises:
        FinderFailed: FAISS here has no GPU, or finds none.
    """

    exact = False

    def __init__(self, empty: Any, basis: FloatMatrix, device: str) -> None:
        self._empty = empty
        self._basis = basis
        self._device = device
        # Neither adding nor searching may run beside another search on FAISS's GPU resources.
        self._turns = ReadersWriter()
        with _translated():
            if device == "cpu":
                self._index = faiss.clone_index(empty)
            elif not hasattr(faiss, "StandardGpuResources") or not faiss.get_num_gpus():
                raise FinderFailed("FAISS finds no GPU here; install the extra `gpu`")
            else:
                self._resources = faiss.StandardGpuResources()
                self._index = faiss.index_cpu_to_gpu(self._resources, 0, empty)

    @classmethod
    def train(
        cls, sample: FloatMatrix, rows: int, dimensions: int, device: str
    ) -> "RecheckedIvfFinder":
        """An empty one that will hold so many rows."""
        basis = fit_basis(sample, dimensions)
        lists = min(list_count(rows), len(sample))
        return cls(train_ivf(reduced(sample, basis), lists), basis, device)

    @classmethod
    def load(cls, body: bytes, device: str) -> "RecheckedIvfFinder":
        """What `save` gave, still empty."""
        saved = unpacked(body)
        empty = faiss.deserialize_index(np.asarray(saved["index"], np.uint8))
        return cls(empty, np.asarray(saved["basis"], np.float32), device)

    @property
    def count(self) -> int:
        return int(self._index.ntotal)

    @property
    def code_width(self) -> int:
        return 0

    def encode(self, rows: FloatMatrix) -> Octets:
        return np.zeros((len(rows), 0), np.uint8)

    def add(self, rows: FloatMatrix | None, codes: Octets) -> None:
        if rows is None:
            raise ValueError("this index is made of vectors, not of codes")
        with self._turns.writing(), _translated():
            self._index.add(reduced(rows, self._basis))

    def forget(self, positions: Positions) -> None:
        pass

    def find(self, query: FloatVector, width: int, allowed: Allowed) -> Positions:
        short = reduced(query[None, :], self._basis)
        with self._turns.writing(), _translated():
            self._index.nprobe = min(_MOST_PROBES, probes(self._empty.nlist, allowed))

            def ask(count: int) -> Positions:
                found: Positions = self._index.search(short, count)[1][0]
                return found

            return oversampled(ask, width, allowed, self.count, _MOST_FOUND)

    def save(self) -> bytes:
        return packed(index=faiss.serialize_index(self._empty), basis=self._basis)

    def worth_saving(self, saved: int) -> bool:
        return False

    def outgrown(self, count: int) -> bool:
        return list_count(count) >= 4 * int(self._empty.nlist)


@contextmanager
def _translated() -> Iterator[None]:
    """What a device refuses, most often memory, as `FinderFailed`."""
    try:
        yield
    except FinderFailed:
        raise
    except (RuntimeError, MemoryError, AssertionError) as error:  # torch asserts that CUDA is there
        raise FinderFailed(str(error).partition("\n")[0]) from error
