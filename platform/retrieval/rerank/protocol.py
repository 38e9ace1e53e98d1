"""What a reranker is."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol, runtime_checkable

from rostra.retrieval.lexical import Scores


class Reranker(Protocol):
    """Scores passages against a query. Calls block; use a thread."""

    @property
    def name(self) -> str: ...

    def scores(self, query: str, passages: Sequence[str]) -> Scores:
        """float64 [passages]; higher answers better."""
        ...


@runtime_checkable
class Submits(Protocol):
    """A reranker with a thread of its own, which several searches share."""

    def submit(self, query: str, passages: Sequence[str]) -> Future[Scores]:
        """The same scores, later; a cancelled future need not be read."""
        ...
