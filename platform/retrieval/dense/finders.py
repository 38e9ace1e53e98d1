"""Which finder belongs to a kind. Those that need a GPU or a server are imported when asked for."""

import numpy as np

from rostra.core import FloatMatrix
from rostra.retrieval.dense.codes import BinaryFinder, Int8Finder
from rostra.retrieval.dense.finder import DenseOptions, Finder
from rostra.retrieval.dense.hnsw import HnswFinder
from rostra.retrieval.dense.ivf import IvfFinder


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
    match options.kind:
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
        case "ivf_sq" | "two_stage":
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
