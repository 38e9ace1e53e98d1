"""What answers cost: by the hour of the machine, or by the token."""

from dataclasses import asdict, dataclass
from typing import Any

from evals.load.measures import RateFigures
from rostra.core import InvalidRequest


@dataclass(frozen=True, slots=True)
class LoadPrices:
    """LoadPrices in any one currency; all None: nobody told them.

    Attributes:
        per_hour: of the machines that answer.
        prompt, output: of a million tokens; one alone leaves the other free.

    Raises:
        InvalidRequest: one is negative, or both kinds are given.
    """

    per_hour: float | None = None
    prompt: float | None = None
    output: float | None = None

    def __post_init__(self) -> None:
        given = [p for p in (self.per_hour, self.prompt, self.output) if p is not None]
        if any(price < 0 for price in given):
            raise InvalidRequest("prices must not be negative")
        if self.per_hour is not None and len(given) > 1:
            raise InvalidRequest(
                "a price per hour and prices of tokens are two ways to pay for the same",
                hint="Give --price-per-hour, or --price-in and --price-out.",
            )

    def per_thousand(self, figures: RateFigures) -> float | None:
        """Of a thousand answers at this rate; None without prices, or without answers.

        By the hour, failed requests and idle moments are paid for as well.
        """
        if not figures.completed:
            return None
        if self.per_hour is not None:
            spent = self.per_hour * figures.seconds / 3600
        elif self.prompt is not None or self.output is not None:
            spent = (self.prompt or 0) * figures.prompt_tokens / 1e6
            spent += (self.output or 0) * figures.output_tokens / 1e6
        else:
            return None
        return 1000 * spent / figures.completed

    def to_dict(self) -> dict[str, Any]:
        """As the report tells them."""
        return asdict(self)
