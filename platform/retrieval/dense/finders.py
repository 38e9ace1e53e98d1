"""Which finder belongs to a kind. Those that need a GPU or a server are imported when asked for."""

from typing import Literal

import numpy as np

from rostra.core import FloatMatrix
from rostra.retrieval.dense.codes import BinaryFinder, Int8Finder
from rostra.retrieval.dense.finder import DenseOptions, Finder
from rostra.retrieval.dense.hnsw import HnswFinder
from rostra.retrieval.dense.ivf import IvfFinder
from rostra.retrieval.dense.packing import unpacked
from rostra.retrieval.dense.pruned import PrunedFinder
from rostra.retrieval.dense.store import VectorView

# `auto` goes back from lists when the rows are fewer than this share of where it took them up, so
# that rows that come and go do not have it trained over and over.
_BACK = 0.5
_REMINDED = 512

AutoKind = Literal["pruned", "two_stage"]


def auto_kind(options: DenseOptions, rows: int) -> AutoKind:
    """What `auto` is with so many live rows."""
    return "two_stage" if rows >= options.lists_at else "pruned"


def fits(options: DenseOptions, finder: Finder, rows: int) -> bool:
    """Whether a finder is of the kind that is wanted for so many live rows."""
    if options.kind == "two_stage":
        return isinstance(finder, IvfFinder)
    if options.kind != "auto":
        return True
    if isinstance(finder, PrunedFinder):
        return rows < options.lists_at
    return rows >= _BACK * options.lists_at


def remind(finder: Finder, view: VectorView) -> None:
    """Shows a finder that was loaded some rows that came after it was trained.

    So it can say when it is outgrown, even where no process lives long enough to see many.
    """
    if isinstance(finder, IvfFinder) and finder.rows < len(view):
        some = min(_REMINDED, len(view) - finder.rows)
        finder.notice(view.take(np.linspace(finder.rows, len(view) - 1, some).astype(np.int64)))


def train_finder(options: DenseOptions, sample: FloatMatrix, rows: int) -> Finder:
    """An empty finder.

    Args:
        options: say which.
        sample: float32 [some rows, dimensions].
        rows: how many it is to hold.

    Raises:
        ValueError: the kind has none.
        FinderFailed: a GPU or a server is not there.
    """
    width = sample.shape[1]
    short = min(options.code_dimensions, width)
    sample = np.ascontiguousarray(sample, np.float32)
    kind = auto_kind(options, rows) if options.kind == "auto" else options.kind
    match kind:
        case "pruned":
            return PrunedFinder.train(sample, rows)
        case "hnsw":
            return HnswFinder.empty(width)
        case "ivf_sq":
            return IvfFinder.train(sample, rows, width)
        case "two_stage":
            return IvfFinder.train(sample, rows, short)
        case "int8":
            return Int8Finder(width)
        case "binary":
            return BinaryFinder.train(sample)
        case "gpu_flat":
            from rostra.retrieval.dense.gpu import TorchFinder

            return TorchFinder.train(sample, short, options.device)
        case "gpu_ivf":
            from rostra.retrieval.dense.gpu import RecheckedIvfFinder

            return RecheckedIvfFinder.train(sample, rows, short, options.device)
        case "milvus":
            from rostra.retrieval.dense.milvus import MilvusFinder

            return MilvusFinder.create(options.milvus_uri, options.milvus_collection, width)
        case "flat":
            raise ValueError("every vector is looked at: there is nothing to find with")


def load_finder(options: DenseOptions, body: bytes) -> Finder:
    """The finder whose `save` gave this; rows or codes that it lacks are still to be added.

    Raises:
        ValueError, KeyError, RuntimeError: it is something else.
        FinderFailed: a GPU or a server is not there.
    """
    match options.kind:
        case "hnsw":
            return HnswFinder.load(body)
        case "auto" | "two_stage":
            # A folder may have been made by the other of the two.
            saved = unpacked(body)
            return PrunedFinder.load(body) if "rotation" in saved else IvfFinder.load(body)
        case "pruned":
            return PrunedFinder.load(body)
        case "ivf_sq":
            return IvfFinder.load(body)
        case "int8":
            return Int8Finder.load(body)
        case "binary":
            return BinaryFinder.load(body)
        case "gpu_flat":
            from rostra.retrieval.dense.gpu import TorchFinder

            return TorchFinder.load(body, options.device)
        case "gpu_ivf":
            from rostra.retrieval.dense.gpu import RecheckedIvfFinder

            return RecheckedIvfFinder.load(body, options.device)
        case "milvus":
            from rostra.retrieval.dense.milvus import MilvusFinder

            return MilvusFinder.load(body, options.milvus_uri, options.milvus_collection)
        case "flat":
            raise ValueError("every vector is looked at: there is nothing to find with")
