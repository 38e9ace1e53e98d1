"""Builds the network of a grammar (see `automaton`), and measures its shortest ends.

What always holds: from every state of the network the end of its rule is reached; distances are
exact (Knuth, "A generalization of Dijkstra's algorithm", 1977); the size is bounded.
"""

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush

from rostra.serving.errors import InvalidGrammar
from rostra.serving.grammar.automaton import BYTES, CALL, READ, SKIP, Automaton, Edge
from rostra.serving.grammar.expr import (
    Alt,
    Chars,
    Expr,
    Grammar,
    Range,
    Repeat,
    Rule,
    Seq,
    Special,
    Text,
)
from rostra.serving.grammar.growth import growth_of

MAX_STATES = 400_000
MAX_RUN = 50_000
# Runs of runs multiply; reading a longer one takes the engine's process a second.
_UTF8_LIMITS = (0x7F, 0x7FF, 0xFFFF, 0x10FFFF)
# A shortest text should read like text: these stand for a class before other characters do.
_PREFERRED = b"a0 AZ_-.:/@"


def build(grammar: Grammar) -> Automaton:
    """The network of a pruned grammar.

    Raises:
        InvalidGrammar: if the grammar admits no finite text or is too large.
    """
    builder = _Builder(grammar)
    return builder.build()


class _Builder:
    def __init__(self, grammar: Grammar) -> None:
        self.names = {name: i for i, name in enumerate(grammar.rules)}
        self.grammar = grammar
        self.reads: list[list[Edge]] = []
        self.skips: list[list[int]] = []
        self.calls: list[list[tuple[int, int]]] = []
        # States that several ways share: before a call that ends a sequence, by rule and what
        # follows; and before the last bytes of a character, likewise.
        self.before_call: dict[tuple[str, int], int] = {}
        self.before_bytes: dict[tuple[tuple[Range, ...], int], int] = {}

    def build(self) -> Automaton:
        starts: list[int] = []
        ends: list[int] = []
        for expr in self.grammar.rules.values():
            start, end = self._state(), self._state()
            self._add(expr, start, end)
            starts.append(start)
            ends.append(end)
        root = self.names[self.grammar.root]
        distance, hops = self._distances(starts, ends)
        if distance[starts[root]] is None:
            raise InvalidGrammar(
                "No text of bounded length satisfies this grammar.",
                hint="Look for contradictions, and for rules or references that only lead back.",
            )
        self._drop_dead(distance, starts)
        known = [0 if each is None else each for each in distance]
        growth, special = growth_of(self.reads, self.skips, self.calls, starts, known)
        return Automaton(
            root, starts, ends, self.reads, self.skips, self.calls, known, hops, growth, special
        )

    def _state(self) -> int:
        if len(self.reads) >= MAX_STATES:
            raise InvalidGrammar(
                f"The grammar is too large: more than {MAX_STATES:,} states.",
                hint="Lower the bounds of repetitions, lengths and item counts.",
            )
        self.reads.append([])
        self.skips.append([])
        self.calls.append([])
        return len(self.reads) - 1

    def _add(self, expr: Expr, start: int, end: int) -> None:
        match expr:
            case Text(text):
                self._bytes(text.encode(), start, end)
            case Chars(ranges):
                self._chars(ranges, start, end)
            case Special(token):
                self.reads[start].append(Edge(BYTES + token, BYTES + token, end))
            case Rule(name):
                self.calls[start].append((self.names[name], end))
            case Seq(parts):
                at = start
                for index, part in enumerate(parts[:-1]):
                    last = parts[-1]
                    if index == len(parts) - 2 and isinstance(last, Rule):
                        self._add(part, at, self._calling(last.name, end))
                        return
                    after = self._state()
                    self._add(part, at, after)
                    at = after
                if parts:
                    self._add(parts[-1], at, end)
                else:
                    self.skips[start].append(end)
            case Alt(options):
                self._texts([each.text for each in options if isinstance(each, Text)], start, end)
                for option in options:
                    if isinstance(option, Text):
                        continue
                    inner = self._state()
                    self.skips[start].append(inner)
                    self._add(option, inner, end)
            case Repeat(item, least, most):
                self._repeat(item, least, most, start, end)

    def _bytes(self, data: bytes, start: int, end: int) -> None:
        at = start
        for index, byte in enumerate(data):
            after = end if index == len(data) - 1 else self._state()
            self.reads[at].append(Edge(byte, byte, after))
            at = after
        if not data:
            self.skips[start].append(end)

    def _texts(self, texts: Sequence[str], start: int, end: int) -> None:
        """Texts as options; what they begin with alike is one way, so following them is cheap."""
        if not texts:
            return
        top = self._state()
        self.skips[start].append(top)
        after: dict[tuple[int, int], int] = {}
        for text in texts:
            at = top
            for byte in text.encode():
                if (at, byte) not in after:
                    after[at, byte] = self._state()
                    self.reads[at].append(Edge(byte, byte, after[at, byte]))
                at = after[at, byte]
            self.skips[at].append(end)

    def _chars(self, ranges: Sequence[Range], start: int, end: int) -> None:
        shared = self.before_bytes
        for low, high in ranges:
            for sequence in utf8_sequences(low, high):
                at = start
                for index, (first, last) in enumerate(sequence):
                    rest = sequence[index + 1 :]
                    known = not rest or (rest, end) in shared
                    if not known:
                        shared[rest, end] = self._state()
                    after = shared[rest, end] if rest else end
                    self.reads[at].append(Edge(first, last, after))
                    if known:
                        break
                    at = after

    def _calling(self, name: str, end: int) -> int:
        """A state from which a call leads to `end`, and nothing else."""
        key = (name, end)
        if key not in self.before_call:
            state = self.before_call[key] = self._state()
            self.calls[state].append((self.names[name], end))
        return self.before_call[key]

    def _repeat(self, item: Expr, least: int, most: int | None, start: int, end: int) -> None:
        if max(least, most or 0) > MAX_RUN:
            raise InvalidGrammar(
                f"The grammar is too large: something may repeat more than {MAX_RUN:,} times.",
                hint="Lower the bounds of repetitions in repetitions.",
            )
        at = start
        for _ in range(least):
            after = self._state()
            self._add(item, at, after)
            at = after
        if most is None:
            loop = self._state()
            self.skips[at].append(loop)
            back = self._state()
            self._add(item, loop, back)
            self.skips[back].append(loop)
            self.skips[loop].append(end)
            return
        for _ in range(most - least):
            self.skips[at].append(end)
            after = self._state()
            self._add(item, at, after)
            at = after
        self.skips[at].append(end)

    def _distances(
        self, starts: list[int], ends: list[int]
    ) -> tuple[list[int | None], list[tuple[int, int, int]]]:
        """Distances, None where there is no end, and hops, which only lead to settled states."""
        states = len(self.reads)
        before: list[list[tuple[int, int, int]]] = [[] for _ in range(states)]
        returning: list[list[tuple[int, int]]] = [[] for _ in range(states)]
        callers: list[list[tuple[int, int]]] = [[] for _ in starts]
        for state in range(states):
            for edge in self.reads[state]:
                symbol = representative(edge.low, edge.high)
                before[edge.target].append((state, READ, symbol))
            for other in self.skips[state]:
                before[other].append((state, SKIP, 0))
            for rule, after in self.calls[state]:
                returning[after].append((state, rule))
                callers[rule].append((state, after))
        rule_of_start = {state: rule for rule, state in enumerate(starts)}
        distance: list[int | None] = [None] * states
        hops = [(SKIP, 0, 0)] * states
        heap = [(0, end, (SKIP, 0, end)) for end in ends]
        while heap:
            length, state, hop = heappop(heap)
            if distance[state] is not None:
                continue
            distance[state] = length
            hops[state] = hop
            for other, kind, symbol in before[state]:
                if distance[other] is None:
                    heappush(heap, (length + (kind == READ), other, (kind, symbol, state)))
            for other, rule in returning[state]:
                inner = distance[starts[rule]]
                if inner is not None and distance[other] is None:
                    heappush(heap, (length + inner, other, (CALL, rule, state)))
            if (rule := rule_of_start.get(state, -1)) >= 0:
                for other, after in callers[rule]:
                    outer = distance[after]
                    if outer is not None and distance[other] is None:
                        heappush(heap, (length + outer, other, (CALL, rule, after)))
        return distance, hops

    def _drop_dead(self, distance: Sequence[int | None], starts: Sequence[int]) -> None:
        for state in range(len(self.reads)):
            alive = self.reads[state]
            self.reads[state] = [edge for edge in alive if distance[edge.target] is not None]
            self.skips[state] = [to for to in self.skips[state] if distance[to] is not None]
            self.calls[state] = [
                (rule, after)
                for rule, after in self.calls[state]
                if distance[after] is not None and distance[starts[rule]] is not None
            ]


def representative(low: int, high: int) -> int:
    """The symbol that stands for a range."""
    for symbol in _PREFERRED:
        if low <= symbol <= high:
            return symbol
    return max(low, 0x21) if low <= 0x21 <= high else low


def utf8_sequences(low: int, high: int) -> Iterator[tuple[Range, ...]]:
    """Byte ranges, one for each byte, that together spell the code points [low, high].

    The range must not contain surrogates.
    """
    for limit in _UTF8_LIMITS:
        if low <= limit < high:
            yield from utf8_sequences(low, limit)
            yield from utf8_sequences(limit + 1, high)
            return
    if high <= _UTF8_LIMITS[0]:
        yield ((low, high),)
        return
    length = len(chr(high).encode())
    for shift in range(6, 6 * length, 6):
        mask = (1 << shift) - 1
        if low & ~mask != high & ~mask:
            if low & mask:
                yield from utf8_sequences(low, low | mask)
                yield from utf8_sequences((low | mask) + 1, high)
                return
            if high & mask != mask:
                yield from utf8_sequences(low, (high & ~mask) - 1)
                yield from utf8_sequences(high & ~mask, high)
                return
    yield tuple(zip(chr(low).encode(), chr(high).encode(), strict=True))
