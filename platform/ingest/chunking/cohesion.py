"""How much the text before a place has in common with the text after it, by words alone.

As TextTiling has it (Hearst, "TextTiling: Segmenting Text into Multi-paragraph Subtopic Passages",
1997): a window of units stands on either side of each place; the cosine of what they hold, each
token weighted by how few of the units have it, says how much goes on across the place. No model
reads anything.

What always holds: tokens are those of a `TokenIndex`, so that languages without spaces between
words are told apart too; a value depends on the units alone, and is rounded, so that processors
agree on it; time is linear in the text,
and memory in its units and its words that differ.
"""

import math
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from rostra.ingest.tokens import TokenIndex

# Units on either side. Sentences are meant: a window is then about as long as a small chunk.
WINDOW_UNITS = 2
# No place counts as more than so many standard deviations from the mean.
_MOST_DEVIATIONS = 2.0
# Smaller differences than this between places are those of chance: they are not made larger.
_LEAST_DEVIATION = 0.05
_DECIMALS = 3
Bag = Mapping[str, float]


def cohesions(text: str, tokens: TokenIndex, units: Sequence[tuple[int, int]]) -> list[float]:
    """Cohesion across the place after each unit but the last.

    Args:
        text: the text.
        tokens: of the text.
        units: `[start, end)` of each, in order.

    Returns:
        Standard deviations above the mean of all places, -2 to 2; less where all are much
        alike.
    """
    if len(units) < 2:
        return []
    found_in = Counter(word for unit in units for word in set(_words(text, tokens, *unit)))
    weights = {word: math.log((len(units) + 1) / number) for word, number in found_in.items()}
    # Read once more rather than kept: a book's worth of bags is far larger than the book.
    bags = deque(_bag(text, tokens, unit, weights) for unit in units[:WINDOW_UNITS])
    before: deque[Bag] = deque(maxlen=WINDOW_UNITS)
    similar = []
    for place in range(1, len(units)):
        before.append(bags.popleft())
        following = place + WINDOW_UNITS - 1
        if following < len(units):
            bags.append(_bag(text, tokens, units[following], weights))
        similar.append(_cosine(_sum(before), _sum(bags)))
    mean = math.fsum(similar) / len(similar)
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in similar) / len(similar))
    scale = max(deviation, _LEAST_DEVIATION)
    return [
        round(max(-_MOST_DEVIATIONS, min(_MOST_DEVIATIONS, (one - mean) / scale)), _DECIMALS)
        for one in similar
    ]


def _words(text: str, tokens: TokenIndex, start: int, end: int) -> list[str]:
    """The tokens of a range that begin with a letter or a digit, in one case."""
    starts = tokens.starts
    first, last = bisect_left(starts, start), bisect_left(starts, end)
    found = []
    for begin, stop in pairwise([*starts[first:last], end]):
        word = text[begin:stop].strip().lower()
        if word and word[0].isalnum():
            found.append(word)
    return found


def _bag(text: str, tokens: TokenIndex, unit: tuple[int, int], weights: Mapping[str, float]) -> Bag:
    """What a unit holds, by weight."""
    bag: dict[str, float] = {}
    for word in _words(text, tokens, *unit):
        bag[word] = bag.get(word, 0.0) + weights[word]
    return bag


def _sum(bags: Iterable[Bag]) -> dict[str, float]:
    summed: dict[str, float] = {}
    for bag in bags:
        for word, weight in bag.items():
            summed[word] = summed.get(word, 0.0) + weight
    return summed


def _cosine(one: Bag, other: Bag) -> float:
    shared = math.fsum(weight * other[word] for word, weight in one.items() if word in other)
    lengths = math.fsum(weight * weight for weight in one.values()) * math.fsum(
        weight * weight for weight in other.values()
    )
    return shared / math.sqrt(lengths) if lengths else 0.0
