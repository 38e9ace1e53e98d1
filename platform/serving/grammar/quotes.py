"""Quotes that cannot be invented: a JSON array of strings, each cut verbatim from a passage.

A suffix automaton (Blumer et al., "The smallest automaton recognizing the subwords of a text",
1985) of the passages accepts exactly their substrings. Walking the vocabulary, sorted, against it
gives the mask of a state; masks are kept, since a state deep in a passage has few ways on.

What always holds: the text is `[]` or `["...", "..."]` in `json.dumps` layout with at most `most`
strings; each is a non-empty run of whole characters of one passage, escaped in one way.
"""

import json
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Collection
from typing import NamedTuple

import msgspec
import torch

from rostra.core import Quotes
from rostra.serving.errors import InvalidGrammar
from rostra.serving.grammar.vocabulary import Vocabulary

MAX_CHARS = 200_000
MAX_QUOTES = 1024
MAX_MASKS = 512
_SEPARATOR = -1
# Between passages: a character that no text has, so no substring spans two of them.

_OPEN, _FIRST, _INSIDE, _BETWEEN, _NEXT_SPACE, _NEXT_QUOTE, _DONE = range(7)


class QuotePlan(msgspec.Struct, frozen=True):
    """What the quote grammar needs.

    Attributes:
        moves: of the suffix automaton: for each state, code point to state; state 0 is the start.
        most: most strings in the array.
    """

    moves: list[dict[int, int]]
    most: int


class Place(NamedTuple):
    """Where in the text we are.

    Attributes:
        kind: which part of the array.
        state: of the suffix automaton, inside a string.
        partial: bytes of a character that is not whole yet.
        begun: the string has a character.
        left: strings that may still begin.
    """

    kind: int
    state: int = 0
    partial: bytes = b""
    begun: bool = False
    left: int = 0


def plan_quotes(quotes: Quotes) -> QuotePlan:
    """Builds the automaton; linear in the passages' length.

    Raises:
        InvalidGrammar: if the passages are too long, or `most` is out of its range.
    """
    if not 0 <= quotes.most <= MAX_QUOTES:
        raise InvalidGrammar(f"most must be 0 to {MAX_QUOTES:,}.", field="most")
    if sum(map(len, quotes.passages)) > MAX_CHARS:
        raise InvalidGrammar(f"The passages have more than {MAX_CHARS:,} characters together.")
    points: list[int] = []
    for passage in quotes.passages:
        # Half a surrogate pair has no UTF-8, so no quote can hold it.
        points += [_SEPARATOR if 0xD800 <= ord(char) <= 0xDFFF else ord(char) for char in passage]
        points.append(_SEPARATOR)
    moves = _suffix_automaton(points)
    for each in moves:
        each.pop(_SEPARATOR, None)
    return QuotePlan(moves, quotes.most if moves[0] else 0)


def _suffix_automaton(points: list[int]) -> list[dict[int, int]]:
    moves: list[dict[int, int]] = [{}]
    links = [-1]
    lengths = [0]
    last = 0
    for point in points:
        new = len(moves)
        moves.append({})
        lengths.append(lengths[last] + 1)
        links.append(0)
        at = last
        while at >= 0 and point not in moves[at]:
            moves[at][point] = new
            at = links[at]
        if at >= 0:
            target = moves[at][point]
            if lengths[target] == lengths[at] + 1:
                links[new] = target
            else:
                copy = len(moves)
                moves.append(dict(moves[target]))
                lengths.append(lengths[at] + 1)
                links.append(links[target])
                while at >= 0 and moves[at].get(point) == target:
                    moves[at][point] = copy
                    at = links[at]
                links[target] = links[new] = copy
        last = new
    return moves


def _escaped(point: int) -> bytes:
    return json.dumps(chr(point), ensure_ascii=False)[1:-1].encode()


class QuoteTables:
    """The plan with what is worked out from it; shared by all texts of a constraint."""

    def __init__(self, plan: QuotePlan) -> None:
        self.most = plan.most
        self._moves = plan.moves
        self._steps: dict[Place, dict[int, Place]] = {}
        self._masks: OrderedDict[Place, torch.Tensor] = OrderedDict()

    def start(self) -> Place:
        return Place(_OPEN, left=self.most)

    def steps(self, place: Place) -> dict[int, Place]:
        """The bytes that may come, and where they lead."""
        kind, state, partial, begun, left = place
        match kind:
            case 0:  # _OPEN
                return {ord("["): Place(_FIRST, left=left)}
            case 1:  # _FIRST
                found = {ord("]"): Place(_DONE)}
                if left:
                    found[ord('"')] = Place(_INSIDE, left=left - 1)
                return found
            case 3:  # _BETWEEN
                found = {ord("]"): Place(_DONE)}
                if left:
                    found[ord(",")] = Place(_NEXT_SPACE, left=left)
                return found
            case 4:  # _NEXT_SPACE
                return {ord(" "): Place(_NEXT_QUOTE, left=left)}
            case 5:  # _NEXT_QUOTE
                return {ord('"'): Place(_INSIDE, left=left - 1)}
            case 6:  # _DONE
                return {}
        known = self._steps.get(place)
        if known is not None:
            return known
        found = {}
        for point, target in self._moves[state].items():
            spelled = _escaped(point)
            if spelled.startswith(partial) and len(spelled) > len(partial):
                upto = spelled[: len(partial) + 1]
                if len(upto) == len(spelled):
                    found[upto[-1]] = Place(_INSIDE, target, b"", True, left)
                else:
                    found[upto[-1]] = Place(_INSIDE, state, upto, begun, left)
        if begun and not partial:
            found[ord('"')] = Place(_BETWEEN, left=left)
        self._steps[place] = found
        return found

    def after(self, place: Place, data: bytes) -> Place | None:
        """Where bytes lead; None if they may not come."""
        for byte in data:
            onward = self.steps(place).get(byte)
            if onward is None:
                return None
            place = onward
        return place

    def ending(self, place: Place) -> bytes:
        """The shortest end of the text."""
        kind, state, partial, begun, _ = place
        match kind:
            case 0:
                return b"[]"
            case 1 | 3:
                return b"]"
            case 6:
                return b""
        if kind == _INSIDE and begun and not partial:
            return b'"]'
        # A string must have a whole character, whichever is shortest.
        units = [_escaped(point) for point in self._moves[state if kind == _INSIDE else 0]]
        rest = min(
            (unit[len(partial) :] for unit in units if unit.startswith(partial)),
            key=lambda unit: (len(unit), unit),
        )
        lead = {_NEXT_SPACE: b' "', _NEXT_QUOTE: b'"'}.get(kind, b"")
        return lead + rest + b'"]'

    def mask(self, place: Place, vocabulary: Vocabulary) -> torch.Tensor:
        """Tokens whose bytes may come, [words] int32."""
        known = self._masks.get(place)
        if known is not None:
            self._masks.move_to_end(place)
            return known
        spelled, ids = vocabulary.in_order
        allowed: list[int] = []
        stack = [(b"", 0, len(spelled), place)]
        while stack:
            prefix, low, high, at = stack.pop()
            while low < high and spelled[low] == prefix:
                allowed.append(ids[low])
                low += 1
            for byte, onward in self.steps(at).items():
                longer = prefix + bytes([byte])
                first = bisect_left(spelled, longer, low, high)
                if first == high or not spelled[first].startswith(longer):
                    continue
                end = (
                    bisect_left(spelled, prefix + bytes([byte + 1]), first, high)
                    if byte < 0xFF
                    else high
                )
                stack.append((longer, first, end, onward))
        mask = vocabulary.bits(allowed)
        self._masks[place] = mask
        if len(self._masks) > MAX_MASKS:
            self._masks.popitem(last=False)
        return mask


def shortest_quotes(vocabulary: Vocabulary) -> int:
    """Tokens of the shortest text, `[]`.

    Raises:
        InvalidGrammar: if the vocabulary cannot spell it.
    """
    return len(_segment(vocabulary, b"[]"))


def _segment(vocabulary: Vocabulary, data: bytes) -> list[int]:
    tokens = vocabulary.segment(data)
    if tokens is None:
        raise InvalidGrammar(f"The model's vocabulary cannot spell {data!r}.")
    return tokens


class QuoteMatcher:
    """A `Matcher` whose text is an array of quotes.

    Args:
        tables: of the constraint.
        vocabulary: of the model.
        max_tokens: budget of new tokens.

    Raises:
        InvalidGrammar: if even `[]` exceeds `max_tokens`.
    """

    def __init__(
        self,
        tables: QuoteTables,
        vocabulary: Vocabulary,
        *,
        max_tokens: int,
        eos_token_ids: Collection[int],
    ) -> None:
        self._tables = tables
        self._vocabulary = vocabulary
        self._remaining = max_tokens
        self._eos = frozenset(eos_token_ids)
        self._place = tables.start()
        self.finished = False
        if shortest_quotes(vocabulary) > max_tokens:
            raise InvalidGrammar(
                f"The shortest list of quotes takes {shortest_quotes(vocabulary)} tokens; "
                f"max_tokens is {max_tokens}.",
                field="max_tokens",
            )

    def fill(self, bitmask: torch.Tensor, row: int) -> None:
        if self.finished:
            raise ValueError("the text is complete: nothing may follow")
        mask = self._tables.mask(self._place, self._vocabulary)
        if bitmask.shape[1] != len(mask):
            bitmask[row].zero_()
        bitmask[row, : len(mask)] = mask

    def take(self, token: int) -> list[int]:
        if self.finished:
            raise ValueError("the text is complete: nothing may follow")
        if token in self._eos:
            raise ValueError(f"end token {token} before the text is complete")
        spelled = self._vocabulary.tokens[token] if 0 <= token < len(self._vocabulary) else b""
        onward = self._tables.after(self._place, spelled) if spelled else None
        if onward is None:
            raise ValueError(f"token {token} is not allowed here")
        if not self._fits(self._tables.ending(onward)):
            closing = _segment(self._vocabulary, self._tables.ending(self._place))
            self._remaining -= len(closing)
            self.finished = True
            return closing
        self._remaining -= 1
        self._place = onward
        self.finished = onward.kind == _DONE
        return [token]

    def _fits(self, ending: bytes) -> bool:
        """Whether the text can end so after one more token."""
        if len(ending) < self._remaining:
            return True
        return len(_segment(self._vocabulary, ending)) < self._remaining
