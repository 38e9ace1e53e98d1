"""Public ids of stored things: a prefix and the hexadecimal digits of a UUID.

What always holds: text that is no id at all is not found, with the same error as an id that nothing
has.
"""

from typing import Literal
from uuid import UUID

from rostra.core import NotFound, parse_id

Prefix = Literal["file-", "batch_"]


def public_id(prefix: Prefix, id_: UUID) -> str:
    """An id as clients see it."""
    return f"{prefix}{id_.hex}"


def stored_id(prefix: Prefix, text: str, missing: type[NotFound], field: str | None = None) -> UUID:
    """An id as the store knows it.

    Raises:
        NotFound: of the class given, when it is no such id.
    """
    digits = text.removeprefix(prefix)
    found = parse_id(digits) if digits != text and len(digits) == 32 else None
    if found is None:
        details = {"field": field} if field else {}
        raise missing(f"there is no {prefix[:-1]} {text[:100]!r}", **details)
    return found
