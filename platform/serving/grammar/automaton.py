"""A grammar as a recursive transition network over bytes, with what its shortest ends cost.

One nondeterministic automaton for each rule, whose edges read a range of symbols, call another
rule, or read nothing (Woods, "Transition network grammars", 1970). A symbol is a byte, or 256 plus
the id of a special token. `builder` makes it.

What always holds: every state can reach the end of its rule; `distance[state]` is the least number
of symbols to it. Reading symbol `b` makes what any one reading of the text still needs longer by at
most `growth[b]`, whatever the state, so far from the budget's end a sum of table entries says that
there is room.
"""

from typing import NamedTuple

import msgspec

BYTES = 256
SKIP, READ, CALL = range(3)


class Edge(NamedTuple):
    """Reads one symbol in [low, high]."""

    low: int
    high: int
    target: int


class Automaton(msgspec.Struct, frozen=True, array_like=True):
    """The network; states are numbered across rules.

    Attributes:
        root: the rule that is the text.
        starts: first state of each rule.
        ends: last state of each rule; it has no edges.
        reads: for each state its reading edges, (low, high, target).
        skips: for each state the states it may go on as, reading nothing.
        calls: for each state (rule, state after it).
        distance: for each state the least number of symbols to its rule's end.
        hops: for each state how a shortest way goes on: (skip, 0, state), (read, symbol, state) or
            (call, rule, state after it).
        growth: for each byte, by how much at most it lengthens what a reading of the text still
            needs; empty if a rule can begin with itself, since nothing bounds it then.
        special_growth: the same for any special token.
    """

    root: int
    starts: list[int]
    ends: list[int]
    reads: list[list[Edge]]
    skips: list[list[int]]
    calls: list[list[tuple[int, int]]]
    distance: list[int]
    hops: list[tuple[int, int, int]]
    growth: list[int]
    special_growth: int

    def shortest(self, state: int) -> list[int]:
        """Symbols of a shortest way from a state to its rule's end."""
        symbols: list[int] = []
        stack = [state]
        while stack:
            at = stack.pop()
            if self.distance[at] == 0:
                continue
            kind, first, then = self.hops[at]
            stack.append(then)
            if kind == READ:
                symbols.append(first)
            elif kind == CALL:
                stack.append(self.starts[first])
        return symbols
