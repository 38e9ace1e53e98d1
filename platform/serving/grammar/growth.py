"""By how much one symbol can lengthen what a text still needs, whatever came before it.

What always holds: the bound is one for a network, so that a sum of table entries bounds what a
whole token does; where a rule can begin with itself nothing bounds it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rostra.serving.grammar.automaton import BYTES, Edge


def growth_of(
    reads: list[list[Edge]],
    skips: list[list[int]],
    calls: list[list[tuple[int, int]]],
    starts: list[int],
    distance: list[int],
) -> tuple[list[int], int]:
    """Bounds how much a byte, and any special token, lengthens an end; empty where nothing does.

    The arguments are as in `Automaton`.
    """
    return _Growth(reads, skips, calls, starts, distance).bounds()


@dataclass(frozen=True, slots=True)
class _Growth:
    reads: list[list[Edge]]
    skips: list[list[int]]
    calls: list[list[tuple[int, int]]]
    starts: list[int]
    distance: list[int]

    def bounds(self) -> tuple[list[int], int]:
        """See `growth_of`.

        Between two symbols a parse goes through skips and calls from an *entry*: a state that a
        symbol or a finished call led to, or a rule's first state. From entry `e` to a reading
        state `q` of the same rule the shortest end grows by `distance[q] - distance[e]`; a call
        adds what remains to be done after it. Calls from first states chain.
        """
        starts, distance = self.starts, self.distance
        entry_floor, left_corner = self._entries()
        enter = self._chains(entry_floor, left_corner)
        if enter is None:
            return [], 0
        growth = [0] * BYTES
        special = 0
        for state, edges in enumerate(self.reads):
            if not edges:
                continue
            # `enter` and `entry_floor` are relative: the best of starting at an inner entry and of
            # having come through the rule's first state.
            base = distance[state] - entry_floor[state]
            if (rule := left_corner[state]) >= 0:
                base = max(base, enter[rule] + distance[state] - distance[starts[rule]])
            for edge in edges:
                more = base + distance[edge.target] - distance[state]
                if edge.low >= BYTES:
                    special = max(special, more)
                    continue
                for byte in range(edge.low, min(edge.high, BYTES - 1) + 1):
                    if more > growth[byte]:
                        growth[byte] = more
        return growth, special

    def _entries(self) -> tuple[list[int], list[int]]:
        """For each state the least distance of an inner entry that skips lead from, and the rule
        whose first state skips lead from (-1: none). Calls that may read nothing act as skips."""
        states, distance = len(self.reads), self.distance
        entries: set[int] = set()
        for state in range(states):
            entries.update(edge.target for edge in self.reads[state])
            entries.update(after for _, after in self.calls[state])
        floor = list(distance)  # a state is no worse than an entry of its own
        # Ascending distance of the entry: the first to reach a state is the lowest.
        settled = [False] * states
        for entry in sorted(entries, key=distance.__getitem__):
            for state in self._skipped(entry, settled):
                floor[state] = min(floor[state], distance[entry])
        corner = [-1] * states
        settled = [False] * states
        for rule, start in enumerate(self.starts):
            for state in self._skipped(start, settled):
                corner[state] = rule
        return floor, corner

    def _skipped(self, entry: int, settled: list[bool]) -> Iterator[int]:
        starts, distance = self.starts, self.distance
        stack = [entry]
        while stack:
            state = stack.pop()
            if settled[state]:
                continue
            settled[state] = True
            yield state
            stack.extend(self.skips[state])
            stack.extend(after for rule, after in self.calls[state] if distance[starts[rule]] == 0)

    def _chains(self, floor: list[int], corner: list[int]) -> list[int] | None:
        """For each rule the most by which entering it lengthens an end; None if that is unbounded
        because a rule can begin with itself."""
        starts, distance = self.starts, self.distance
        rules = len(starts)
        enter = [0] * rules
        left: list[dict[int, int]] = [{} for _ in range(rules)]
        for state in range(len(self.calls)):
            for rule, after in self.calls[state]:
                more = distance[starts[rule]] + distance[after]
                enter[rule] = max(enter[rule], more - floor[state])
                if (caller := corner[state]) >= 0:
                    weight = max(0, more - distance[starts[caller]])
                    left[caller][rule] = max(left[caller].get(rule, 0), weight)
        # Components come callees first; what entering costs flows from callers to callees.
        for component in reversed(_components([list(each) for each in left])):
            rule = component[0]
            if len(component) > 1 or rule in left[rule]:
                return None
            for callee, weight in left[rule].items():
                enter[callee] = max(enter[callee], enter[rule] + weight)
        return enter


def _components(graph: Sequence[Sequence[int]]) -> list[list[int]]:
    """Strongly connected components, callees before callers (Tarjan, 1972), without recursion."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    on_stack: set[int] = set()
    stack: list[int] = []
    found: list[list[int]] = []
    for first in range(len(graph)):
        if first in index:
            continue
        work = [(first, iter(graph[first]))]
        index[first] = low[first] = len(index)
        stack.append(first)
        on_stack.add(first)
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(graph[other])))
                    break
                if other in on_stack:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == index[node]:
                    component: list[int] = []
                    while True:
                        other = stack.pop()
                        on_stack.discard(other)
                        component.append(other)
                        if other == node:
                            break
                    found.append(component)
    return found
