"""Responses kept for a while, so that a later request can continue one.

What always holds: they live in this process's memory, the oldest going first beyond the bounds
below; a restart forgets them all, which is what "not found" then says.
"""

from collections import OrderedDict
from dataclasses import dataclass

from rostra.api.openai.messages import TemplateMessage
from rostra.core import NotFound

MAX_RESPONSES = 1000
MAX_BYTES = 64 * 1024 * 1024


class ResponseNotFound(NotFound):
    """No response of this id is kept."""

    code = "response_not_found"


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """A response and what led to it.

    Attributes:
        body: the response as it was sent, JSON.
        messages: the conversation up to and with it, instructions left out.
        size: bytes that both take, about.
    """

    body: bytes
    messages: list[TemplateMessage]
    size: int


class ResponseStore:
    """The responses of this process.

    Args:
        most: how many are kept.
        most_bytes: how large they are together.
    """

    def __init__(self, most: int = MAX_RESPONSES, most_bytes: int = MAX_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, KeptResponse] = OrderedDict()
        self._size = 0

    def put(self, id_: str, kept: KeptResponse) -> None:
        """Keeps a response, unless it alone is too large; the oldest make room."""
        if kept.size > self._most_bytes:
            return
        self._kept[id_] = kept
        self._size += kept.size
        while len(self._kept) > self._most or self._size > self._most_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._size -= oldest.size

    def get(self, id_: str, field: str | None = None) -> KeptResponse:
        """A response that is kept.

        Raises:
            ResponseNotFound: it never was, or no longer is; `field` named it.
        """
        if id_ not in self._kept:
            raise ResponseNotFound(
                f"there is no response {id_[:100]!r}",
                hint="Responses are kept in memory, for a while and until the server restarts.",
                **({"field": field} if field else {}),
            )
        return self._kept[id_]

    def delete(self, id_: str) -> None:
        """Forgets a response; raises as `get` does."""
        self._size -= self.get(id_).size
        del self._kept[id_]
