"""Parameters that many handlers share: pages of lists, and ids in paths.

What always holds: a page has at most 200 items; a path's id that is no id at all is not found, with
the same error as an id that nothing has.
"""

from typing import Annotated
from uuid import UUID

from litestar.openapi.spec import Example
from litestar.params import PathParameter, QueryParameter

from rostra.core import NotFound, parse_id

MAX_PAGE = 200
# Databases hold 64-bit integers.
_MAX_OFFSET = 2**62

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE, description="Most items of the page.")]
Offset = Annotated[int, QueryParameter(ge=0, le=_MAX_OFFSET, description="Items to skip.")]
IdInPath = Annotated[
    str,
    PathParameter(
        description="A UUID.", examples=[Example(value="0190b6c5-6d1c-7cc1-8a5a-0123456789ab")]
    ),
]


def id_in_path(text: str, missing: type[NotFound], kind: str) -> UUID:
    """An id out of a path.

    Raises:
        NotFound: of the class given, when it is no id.
    """
    found = parse_id(text)
    if found is None:
        raise missing(f"{text[:64]!r} is no {kind} id")
    return found
