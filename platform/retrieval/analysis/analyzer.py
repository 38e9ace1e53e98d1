"""What an analyzer is."""

from typing import Protocol


class Analyzer(Protocol):
    """Text to terms."""

    @property
    def name(self) -> str:
        """Changes whenever its terms do; kept with every index built by it."""
        ...

    def terms(self, text: str) -> list[str]:
        """The terms of a text in order, repeats included."""
        ...
