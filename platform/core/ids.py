"""Identifiers: UUID version 7 (RFC 9562), so that ids sort by the time they were made.

An id made later on the same machine compares greater, which keeps B-tree inserts at the right
edge and gives lists a stable order without a second column.
"""

from uuid import UUID

import uuid_utils.compat


def new_id() -> UUID:
    """Makes a fresh UUIDv7, monotonic within this process."""
    return uuid_utils.compat.uuid7()


def parse_id(text: str) -> UUID | None:
    """Reads an id as users write it; None when it is not a UUID at all."""
    try:
        return UUID(text)
    except ValueError:
        return None
