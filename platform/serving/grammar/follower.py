"""All readings of a text so far, on a grammar's network (`automaton`).

They are kept as a graph-structured stack (Scott and Johnstone, "GLL parsing", 2010). What always
holds: every reading kept can still become a text of the grammar; there are at most
`MAX_CONFIGURATIONS` of them. Following costs about ten microseconds a byte.
"""

from collections.abc import Sequence
from heapq import heappop, heappush
from random import Random

from rostra.serving.errors import InvalidGrammar
from rostra.serving.grammar.automaton import Automaton

MAX_CONFIGURATIONS = 500
MAX_STEPS = 5_000
# Ambiguous grammars keep several readings at once; so many, or so much to look at for one symbol
# (some milliseconds), is an attack.
_WALKS = 4
_WALK_SYMBOLS = 40
_TRIED = 4


class NoWay(Exception):
    """The text so far is no beginning of a text of the grammar."""


class Tables:
    """What following derives from a network, worked out where the text comes by."""

    def __init__(self, automaton: Automaton) -> None:
        self.automaton = automaton
        ends = set(automaton.ends)
        states = len(automaton.reads)
        self.accepts = [state in ends for state in range(states)]
        self.reading = [bool(edges) for edges in automaton.reads]
        self._closures: dict[int, tuple[int, ...]] = {}
        self._targets: dict[tuple[int, int], tuple[int, ...]] = {}

    def closures(self, state: int) -> tuple[int, ...]:
        """The states that skips lead to which read, call or end; itself included."""
        found = self._closures.get(state)
        if found is None:
            skips, calls = self.automaton.skips, self.automaton.calls
            seen = {state}
            stack = [state]
            while stack:
                for other in skips[stack.pop()]:
                    if other not in seen:
                        seen.add(other)
                        stack.append(other)
            found = self._closures[state] = tuple(
                each
                for each in sorted(seen)
                if self.reading[each] or calls[each] or self.accepts[each]
            )
        return found

    def targets(self, state: int, symbol: int) -> tuple[int, ...]:
        """Where reading a symbol leads."""
        key = (state, symbol)
        found = self._targets.get(key)
        if found is None:
            found = self._targets[key] = tuple(
                target for low, high, target in self.automaton.reads[state] if low <= symbol <= high
            )
        return found


class Frame:
    """A call that began at one place of the text, and where it may return to."""

    __slots__ = ("finished", "returns", "rule")

    def __init__(self, rule: int) -> None:
        self.rule = rule
        self.returns: list[tuple[int, Frame]] = []
        # Returned already at the place where it began; only asked while at that place.
        self.finished = False


Configuration = tuple[int, Frame]


class Follower:
    """All readings of a text so far; a value: `after` makes a new one.

    Args:
        automaton: the grammar's network.
    """

    __slots__ = ("_automaton", "_tables", "complete", "configurations")

    def __init__(self, automaton: Automaton, tables: Tables) -> None:
        self._automaton = automaton
        self._tables = tables
        self.configurations: list[Configuration] = []
        self.complete = False

    @classmethod
    def start(cls, tables: Tables) -> "Follower":
        automaton = tables.automaton
        follower = cls(automaton, tables)
        root = Frame(automaton.root)
        follower._close([(automaton.starts[automaton.root], root)])
        return follower

    def after(self, symbols: Sequence[int]) -> "Follower":
        """The readings after more symbols.

        Raises:
            NoWay: if there is none.
            InvalidGrammar: if there are too many.
        """
        follower = self
        targets = self._tables.targets
        for symbol in symbols:
            moved: dict[Configuration, None] = {}
            for state, frame in follower.configurations:
                for target in targets(state, symbol):
                    moved[(target, frame)] = None
            if not moved:
                raise NoWay(f"symbol {symbol} leads nowhere")
            follower = Follower(self._automaton, self._tables)
            follower._close(list(moved))
        return follower

    def _close(self, work: list[Configuration]) -> None:
        """Adds what is reached without reading."""
        closures, calls, accepts = (
            self._tables.closures,
            self._automaton.calls,
            self._tables.accepts,
        )
        starts = self._automaton.starts
        called: dict[int, Frame] = {}
        seen: set[Configuration] = set(work)
        reading: dict[Configuration, None] = {}
        steps = 0
        while work:
            state, frame = work.pop()
            steps += len(closures(state)) + len(frame.returns)
            if steps > MAX_STEPS or len(reading) > MAX_CONFIGURATIONS:
                raise _too_ambiguous()
            for each in closures(state):
                if accepts[each]:
                    frame.finished = frame is called.get(frame.rule)
                    if not frame.returns:
                        self.complete = True
                    for back in frame.returns:
                        if back not in seen:
                            seen.add(back)
                            work.append(back)
                for rule, after in calls[each]:
                    if accepts[after]:
                        # Nothing is left to do after this call: its end is the caller's end. It
                        # keeps right recursion from growing the stack.
                        entered = (starts[rule], frame)
                        if entered not in seen:
                            seen.add(entered)
                            work.append(entered)
                        continue
                    inner = called.get(rule)
                    if inner is None:
                        inner = called[rule] = Frame(rule)
                    back = (after, frame)
                    if back not in inner.returns:
                        inner.returns.append(back)
                        if inner.finished and back not in seen:
                            seen.add(back)
                            work.append(back)
                    entered = (starts[rule], inner)
                    if entered not in seen:
                        seen.add(entered)
                        work.append(entered)
                if self._tables.reading[each]:
                    reading[each, frame] = None
        if len(reading) > MAX_CONFIGURATIONS:
            raise _too_ambiguous()
        self.configurations = list(reading)

    def some_symbols(self, most: int, rng: Random) -> set[int]:
        """Up to so many symbols that may come next, at random."""
        reads = self._automaton.reads
        found: set[int] = set()
        for _ in range(most if self.configurations else 0):
            edge = rng.choice(reads[rng.choice(self.configurations)[0]])
            found.add(rng.randint(edge.low, edge.high))
        return found

    def ceiling(self) -> int | None:
        """Most symbols that any single reading needs at least; None if nothing bounds it.

        A later symbol may rule out the reading with the shortest end, so this, not the length of
        the shortest end, is what grows by at most `growth`.
        """
        distance = self._automaton.distance
        outside: dict[int, int] = {}
        pending: list[tuple[Frame, bool]] = [(frame, False) for _, frame in self.configurations]
        open_frames: set[int] = set()
        while pending:
            frame, entered = pending.pop()
            key = id(frame)
            if entered:
                open_frames.discard(key)
                outside[key] = max(
                    (distance[after] + outside[id(outer)] for after, outer in frame.returns),
                    default=0,
                )
            elif key not in outside:
                if key in open_frames:
                    return None
                open_frames.add(key)
                pending.append((frame, True))
                for _, outer in frame.returns:
                    if id(outer) in open_frames:
                        return None
                    pending.append((outer, False))
        return max(
            (distance[state] + outside[id(frame)] for state, frame in self.configurations),
            default=0,
        )

    def shortest_end(self) -> list[int]:
        """Symbols of a shortest way to a complete text.

        Dijkstra over the frames: from the readings outwards to the root.
        """
        if self.complete:
            return []
        automaton = self._automaton
        distance = automaton.distance
        heap: list[tuple[int, int, int, Frame, int]] = []
        # (symbols so far, tie break, state, its frame, index of the step before)
        steps: list[tuple[int, int]] = []
        order = 0
        for state, frame in self.configurations:
            heappush(heap, (distance[state], order, state, frame, -1))
            order += 1
        done: set[int] = set()
        while heap:
            length, _, state, frame, before = heappop(heap)
            # Popped means: this frame's end is reached at this cost, through `state`.
            if id(frame) in done:
                continue
            done.add(id(frame))
            steps.append((state, before))
            here = len(steps) - 1
            if not frame.returns:
                symbols: list[list[int]] = []
                while here >= 0:
                    at, here = steps[here]
                    symbols.append(automaton.shortest(at))
                return [symbol for part in reversed(symbols) for symbol in part]
            for after, outer in frame.returns:
                if id(outer) not in done:
                    heappush(heap, (length + distance[after], order, after, outer, here))
                    order += 1
        raise NoWay("no reading leads to an end")


def _too_ambiguous() -> InvalidGrammar:
    return InvalidGrammar(
        "The grammar is too ambiguous: a text has too many readings at once.",
        hint="Look for repetitions in repetitions, and for options that begin alike.",
    )


def probe(tables: Tables) -> None:
    """Walks through some texts of a grammar, the first towards where most readings are.

    Raises:
        InvalidGrammar: if one of them has too many readings.
    """
    rng = Random(0)
    for walk in range(_WALKS):
        follower = Follower.start(tables)
        for _ in range(_WALK_SYMBOLS):
            symbols = follower.some_symbols(_TRIED if walk == 0 else 1, rng)
            if not symbols:
                break
            follower = max(
                (follower.after([symbol]) for symbol in symbols),
                key=lambda each: len(each.configurations),
            )
