"""Vectors in Milvus, for collections that outgrow one machine; in one file by milvus-lite.

Milvus only shortlists: rows are named by position, the vectors on disk here rescore them, and what
it returns is checked against the mask (`recheck`). Rows that it has beyond those that count, left
by a process that was killed, are never allowed, and are replaced when their positions are given
again. Every training has a collection of its own there; those that nobody names any more go when
the index is opened.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from rostra.core import FloatMatrix, FloatVector, new_id
from rostra.retrieval.dense.finder import Allowed, FinderFailed
from rostra.retrieval.dense.recheck import oversampled
from rostra.retrieval.dense.rows import Octets, pieces
from rostra.retrieval.lexical import Positions

if TYPE_CHECKING:
    from pymilvus import MilvusClient

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

    exact = False

    def __init__(
        self, client: "MilvusClient", collection: str, dimensions: int, count: int
    ) -> None:
        self._client = client
        self._collection = collection
        self._dimensions = dimensions
        self._count = count

    @classmethod
    def create(cls, uri: str, collection: str, dimensions: int) -> "MilvusFinder":
        """A new, empty collection whose name starts so.

        Raises:
            FinderFailed: the server does not answer or refuses, or the client is not installed.
        """
        with _translated():
            from pymilvus import DataType, MilvusClient

            client = MilvusClient(uri)
            collection = f"{collection}_{new_id().hex}"
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
        """The collection that `save` told of; others whose names start so are removed.

        Raises:
            FinderFailed: the server does not answer, or has no such collection, or the client is
                not installed.
            ValueError: it is no such collection.
        """
        saved = msgspec.json.decode(body, type=_Saved)
        with _translated():
            from pymilvus import MilvusClient

            client = MilvusClient(uri)
            names = [name for name in client.list_collections() if _is_ours(name, collection)]
            if saved.collection not in names:
                raise FinderFailed(f"Milvus has no collection {saved.collection}")
            for name in names:
                if name != saved.collection:
                    client.drop_collection(name)
            client.load_collection(saved.collection)
            return cls(client, saved.collection, saved.dimensions, saved.count)

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


def _is_ours(name: str, collection: str) -> bool:
    start, _, end = name.rpartition("_")
    return start == collection and len(end) == 32


@contextmanager
def _translated() -> Iterator[None]:
    """What the client reports, as `FinderFailed`."""
    try:
        from pymilvus.exceptions import MilvusException
    except ImportError as error:
        raise FinderFailed("pymilvus is not installed: add the extra `milvus`") from error
    try:
        yield
    except (MilvusException, OSError) as error:
        raise FinderFailed(str(error).partition("\n")[0]) from error
