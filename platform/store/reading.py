"""What a search reads, in the thread that searches: few statements, and each made ready beforehand.

What always holds: a function here gives what its namesake for sessions gives for the same rows. On
SQLite statements are compiled once and go straight to the driver, since compiling and converting
take several times as long as finding the rows; on PostgreSQL they are put together once. What
filters ask for is put together each time.
"""

import json
import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    Select,
    String,
    Uuid,
    any_,
    bindparam,
    column,
    func,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY

from rostra.store.changes import Ids, matching_query, packed_spelled
from rostra.store.chunks import ChunkRecord, record_query
from rostra.store.collections import Collection, collection_query, found_collection, possible_name
from rostra.store.filters import Filters, filter_conditions
from rostra.store.prepared import PreparedRead
from rostra.store.tables import ChunkRow, CollectionRow
from rostra.store.vectors import MOST_PARAMETERS


def read_collection(connection: Connection, name: str) -> Collection:
    """See `get_collection`.

    Raises:
        CollectionNotFound: there is none.
    """
    possible_name(name)
    if connection.dialect.name == "sqlite":
        rows = _collection_read().rows(_driver(connection), name=name)
        return found_collection(name, rows[0] if rows else None)
    found = connection.execute(_collection_query(), {"name": name})
    return found_collection(name, found.one_or_none())


def read_matching_ids(connection: Connection, collection_id: UUID, filters: Filters) -> Ids:
    """See `matching_ids`.

    Raises:
        InvalidFilter: the filters cannot be understood.
    """
    query = matching_query(collection_id, filters, connection.dialect.name)
    return packed_spelled(connection.scalars(query).all())


def read_records(
    connection: Connection,
    collection_id: UUID,
    chunk_ids: Sequence[UUID],
    filters: Filters | None = None,
) -> dict[UUID, ChunkRecord]:
    """See `chunk_records`."""
    rows: Sequence[Sequence[Any]]
    if filters:
        rows = _filtered_records(connection, collection_id, chunk_ids, filters)
    elif connection.dialect.name == "sqlite":
        rows = _record_read().rows(
            _driver(connection),
            chunks=json.dumps([one.hex for one in chunk_ids]),
            collection=collection_id.hex,
        )
    else:
        given = {"chunks": list(chunk_ids), "collection": collection_id}
        rows = connection.execute(_given_records(), given).all()
    return {row[0]: ChunkRecord(*row) for row in rows}


def _filtered_records(
    connection: Connection, collection_id: UUID, chunk_ids: Sequence[UUID], filters: Filters
) -> list[Sequence[Any]]:
    conditions = filter_conditions(filters, connection.dialect.name)
    query = record_query(collection_id).where(*conditions)
    found: list[Sequence[Any]] = []
    for at in range(0, len(chunk_ids), MOST_PARAMETERS):
        page = query.where(ChunkRow.id.in_(chunk_ids[at : at + MOST_PARAMETERS]))
        found.extend(connection.execute(page))
    return found


@cache
def _collection_query() -> Select[*tuple[Any, ...]]:
    return collection_query().where(CollectionRow.name == bindparam("name"))


@cache
def _collection_read() -> PreparedRead:
    return PreparedRead(_collection_query())


@cache
def _given_records() -> Select[*tuple[Any, ...]]:
    given = bindparam("chunks", type_=ARRAY(Uuid()))
    return record_query(_given_collection()).where(ChunkRow.id == any_(given))


@cache
def _record_read() -> PreparedRead:
    given = func.json_each(bindparam("chunks", type_=String)).table_valued(column("value", String))
    return PreparedRead(
        record_query(_given_collection()).where(
            type_coerce(ChunkRow.id, String).in_(select(given.c.value))
        )
    )


def _given_collection() -> Any:
    return bindparam("collection", type_=Uuid())


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        raise TypeError(f"{type(driver)} is not SQLite's own connection")
    return driver
