"""How long prompts and answers are: a distribution, written as a word on a command line."""

import math
from dataclasses import dataclass
from random import Random
from typing import Literal

from evals.load.errors import InvalidTraffic
from evals.load.plan import MAX_TOKENS

_HINT = "Write 256, uniform:64:512 or lognormal:256:0.6 (median and sigma)."


@dataclass(frozen=True, slots=True)
class Lengths:
    """A distribution of token counts, from 1 to `MAX_TOKENS`.

    Attributes:
        first: the constant, the least, or the median.
        second: the most, or the standard deviation of the logarithm.
    """

    kind: Literal["constant", "uniform", "lognormal"]
    first: float
    second: float = 0.0

    def draw(self, random: Random) -> int:
        """One length."""
        match self.kind:
            case "constant":
                return int(self.first)
            case "uniform":
                return random.randint(int(self.first), int(self.second))
            case "lognormal":
                drawn = random.lognormvariate(math.log(self.first), self.second)
                return max(1, round(min(drawn, MAX_TOKENS)))

    def __str__(self) -> str:
        if self.kind == "constant":
            return f"{self.first:g}"
        return f"{self.kind}:{self.first:g}:{self.second:g}"


def read_lengths(text: str) -> Lengths:
    """The distribution that a text names.

    >>> str(read_lengths("uniform:64:512"))
    'uniform:64:512'

    Raises:
        InvalidTraffic: it names none, or one of lengths that cannot be.
    """
    kind, *numbers = text.split(":") if ":" in text else ("constant", text)
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        raise InvalidTraffic(f"{text!r}: not a length", hint=_HINT) from None
    match kind, values:
        case "constant", [tokens] if _is_count(tokens):
            return Lengths("constant", tokens)
        case "uniform", [least, most] if _is_count(least) and _is_count(most) and least <= most:
            return Lengths("uniform", least, most)
        case "lognormal", [median, sigma] if 1 <= median <= MAX_TOKENS and 0 <= sigma <= 5:
            return Lengths("lognormal", median, sigma)
    raise InvalidTraffic(f"{text!r}: not lengths from 1 to {MAX_TOKENS:,} tokens", hint=_HINT)


def _is_count(value: float) -> bool:
    return 1 <= value <= MAX_TOKENS and value == int(value)
