"""Vectors in Milvus, for collections that outgrow one machine; in one file by milvus-lite.

Milvus only shortlists: rows are named by position, the vectors on disk here rescore them, and what
it returns is checked against the mask (`recheck`). Rows that it has beyond those that count, left
by a process that was killed, are never allowed, and are replaced when their positions are given
again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import numpy as np
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

from rostra.core import FloatMatrix, FloatVector
from rostra.retrieval.dense.finder import Allowed, FinderFailed
from rostra.retrieval.dense.recheck import oversampled
from rostra.retrieval.dense.rows import Octets, pieces
from rostra.retrieval.lexical import Positions

_BATCH = 1000
# Milvus's limit on the results of one search.
_MOST_FOUND = 16_384
_GROWN = 1.05


class _Saved(msgspec.Struct, frozen=True):
    """What this side remembers: where the rows are, and how many are surely there."""

    collection: str
    dimensions: int
    count: int


class MilvusFinder:
    """Asks a collection of a Milvus server.

    Args:
        client: of the server.
        collection: its name; has the fields `position` and `vector`.
        dimensions: of the vectors.
        count: rows that are there.
    """

    def __init__(self, client: MilvusClient, collection: str, dimensions: int, count: int) -> None:
        self._client = client
        self._collection = collection
        self._dimensions = dimensions
        self._count = count

    @classmethod
    def create(cls, uri: str, collection: str, dimensions: int) -> "MilvusFinder":
        """An empty collection in place of any of that name.

        Raises:
            FinderFailed: the server does not answer or refuses.
        """
        with _translated():
            client = MilvusClient(uri)
            if client.has_collection(collection):
                client.drop_collection(collection)
            schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
            schema.add_field("position", DataType.INT64, is_primary=True)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimensions)
            index = client.prepare_index_params()
            index.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
            client.create_collection(
                collection, schema=schema, index_params=index, consistency_level="Strong"
            )
            return cls(client, collection, dimensions, 0)

    @classmethod
    def load(cls, body: bytes, uri: str, collection: str) -> "MilvusFinder":
        """The collection that `save` told of.

        Raises:
            FinderFailed: the server does not answer, or has no such collection.
            ValueError: it is another.
        """
        saved = msgspec.json.decode(body, type=_Saved)
        if saved.collection != collection:
            raise ValueError(f"rows are in {saved.collection}, not in {collection}")
        with _translated():
            client = MilvusClient(uri)
            if not client.has_collection(collection):
                raise FinderFailed(f"Milvus has no collection {collection}")
            client.load_collection(collection)
            return cls(client, collection, saved.dimensions, saved.count)

    @property
    def count(self) -> int:
        return self._count

    @property
    def code_width(self) -> int:
        return 0

    def encode(self, rows: FloatMatrix) -> Octets:
        return np.zeros((len(rows), 0), np.uint8)

    def add(self, rows: FloatMatrix | None, codes: Octets) -> None:
        if rows is None:
            raise ValueError("this index is made of vectors, not of codes")
        with _translated():
            for piece in pieces(len(rows), _BATCH):
                data = [
                    {"position": self._count + at, "vector": rows[at]}
                    for at in range(piece.start, piece.stop)
                ]
                self._client.upsert(self._collection, data)
        self._count += len(rows)

    def forget(self, positions: Positions) -> None:
        with _translated():
            for piece in pieces(len(positions), _BATCH):
                self._client.delete(self._collection, ids=positions[piece].tolist())

    def find(self, query: FloatVector, width: int, allowed: Allowed) -> Positions:
        def ask(count: int) -> Positions:
            with _translated():
                hits = self._client.search(
                    self._collection,
                    data=[np.asarray(query, np.float32)],
                    anns_field="vector",
                    limit=count,
                    consistency_level="Strong",
                )
            return np.fromiter((hit["position"] for hit in hits[0]), np.int64)

        return oversampled(ask, width, allowed, self._count, _MOST_FOUND)

    def save(self) -> bytes:
        with _translated():
            self._client.flush(self._collection)
        return msgspec.json.encode(_Saved(self._collection, self._dimensions, self._count))

    def worth_saving(self, saved: int) -> bool:
        return self._count > saved * _GROWN

    def outgrown(self, count: int) -> bool:
        return False


@contextmanager
def _translated() -> Iterator[None]:
    """What the client reports, as `FinderFailed`."""
    try:
        yield
    except (MilvusException, OSError) as error:
        raise FinderFailed(str(error).partition("\n")[0]) from error
